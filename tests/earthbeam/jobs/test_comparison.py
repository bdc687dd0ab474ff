"""A preview against what was loaded last."""

import json

import pytest

from earthbeam.jobs.comparison import compare
from earthbeam.models import Run
from tests import factories

pytestmark = pytest.mark.django_db


def make(kind, students, *, rows=10, matched=10, **fields):
    run = factories.make_run(factories.make_job(**fields), Run.Status.SUCCESS, kind=kind)
    factories.make_matches(run, rows=rows, ods=matched, across_years=0)
    published = {} if kind == "load" else {"published_at": None}
    content = b"".join(map(factories.result_of, students))
    factories.make_output_set(run, sent_to_ods=True, content=content, **published)
    return run


def test_the_first_file_of_an_assessment_is_compared_with_nothing():
    make("load", ["1"], tenant=factories.make_tenant("elsewhere"))
    found = compare(make("preview", ["1", "2"]))
    assert (found.last, found.warnings) == (None, [])
    assert found.now.students == {"1", "2"}


def test_samples_are_the_first_records_as_the_ods_would_get_them():
    found = compare(make("preview", ["1", "2", "3", "4"]))
    records = [json.loads(sample) for sample in found.samples]
    assert [each["studentReference"]["studentUniqueId"] for each in records] == ["1", "2", "3"]


def test_what_is_like_the_last_load_is_not_unusual():
    make("load", ["9"])
    last = make("load", ["1", "2", "3"], rows=11)
    found = compare(make("preview", ["1", "2", "4"]))
    assert found.last and found.last.run == last
    assert (found.new_students, found.gone_students, found.warnings) == (1, 1, [])


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"matched": 7}, "Only 70% of the rows matched a student; 90% did"),
        ({"rows": 4, "matched": 4}, "The file has 4 rows; the last one had 10"),
        ({"students": "abcdefghijk"}, "Only 0 of the 11 students were in the last file"),
    ],
)
def test_what_is_unusual_is_said(figures, words):
    make("load", list("123"), matched=9)
    given = {"students": list("123"), **figures}
    [warning] = compare(make("preview", **given)).warnings
    assert words in warning


def test_sets_that_are_gone_or_withdrawn_count_as_none():
    last = make("load", ["1"])
    last.output_sets.update(withdrawn_at=last.ended_at)
    assert compare(make("preview", ["1"])).last is None
