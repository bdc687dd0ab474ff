"""The page of rows whose records the ODS has refused."""

import json

import pytest

from earthbeam.models import Job
from tests import factories, people
from tests.earthbeam.admin.jobs.test_unmatched import rows_of, shown, url
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def load(db):
    factories.make_ods_connection()
    return factories.make_loaded_run(refused=[2, 3])


@pytest.fixture
def client(db):
    return people.logged_in(people.make_user())


def refuse(run, *lines):
    content = "".join(
        json.dumps({"resource": "studentAssessments", "line": 1, "status": 400} | line) + "\n"
        for line in lines
    )
    factories.store_file(run.job, "output/refused_records.jsonl", content.encode())


def seen(answer):
    return answer.context["found"].file.sha256


def test_each_row_comes_with_what_the_ods_said_in_words(client, load):
    text = shown(client.get(url(load.job, "refused")))
    assert "The ODS refused records of 2 rows" in text
    assert "Score is longer than 10 characters." in text
    assert "Score must be between 1 and 10 characters" in text
    for part in ("Row 2", "Row 3", 'name="cell-1-2" value="13"', 'name="cell-2-1" value="Kim"'):
        assert part in text
    assert "Row 1" not in text


def test_corrected_rows_are_loaded_again_and_leave_the_unmatched_ones_open(client, load):
    page = client.get(url(load.job, "refused"))
    fields = {"content": seen(page), "cell-1-2": "99", "cell-1-0": "604011", "cell-2-2": "14"}
    answer = client.post(url(load.job, "refused"), fields, follow=True)
    assert "1 row is being loaded again in this new job" in shown(answer)
    made = Job.objects.get(parent=load.job)
    assert rows_of(made) == [["student_id", "name", "score"], ["604011", "Bo", "99"]]
    assert made.corrects_refused
    assert "Row 2 is in a later job" in shown(client.get(url(load.job, "refused")))


def test_rows_of_one_record_are_loaded_again_together(client, load):
    refuse(load, {"rows": [1, 3], "message": "Nickname is required."}, {"rows": [], "message": "x"})
    page = client.get(url(load.job, "refused"))
    assert "Nickname is missing." in shown(page)
    assert "1 more record is about no row" in shown(page)
    client.post(url(load.job, "refused"), {"content": seen(page), "cell-2-1": "Kimberly"})
    assert rows_of(Job.objects.get(parent=load.job))[1:] == [
        ["604010", "Ana", "12"], ["604012", "Kimberly", "14"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "correct at least one cell"),
        ({"cell-9-1": "x"}, "form was damaged"),
        ({"cell-1-9": "x"}, "form was damaged"),
        ({"cell-1-2": "99", "content": "old"}, "run again after you opened"),
    ],
)
def test_what_cannot_be_loaded_says_why_and_loads_nothing(client, load, fields, words):
    page = client.get(url(load.job, "refused"))
    answer = client.post(url(load.job, "refused"), {"content": seen(page), **fields})
    assert words in shown(answer)
    assert not Job.objects.filter(parent=load.job).exists()


def test_the_rows_can_be_downloaded_as_they_were(client, load):
    answer = client.get(url(load.job, "refused_file"))
    assert answer.content == b"student_id,name,score\r\n604011,Bo,13\r\n604012,Kim,14\r\n"
    assert "attachment" in answer["Content-Disposition"]


def test_without_refused_rows_the_page_says_so(client):
    load = factories.make_loaded_run()
    assert "refused no records of the last run" in shown(client.get(url(load.job, "refused")))
    assert client.get(url(load.job, "refused_file")).status_code == 404


def test_lists_that_are_damaged_break_no_page(client, load):
    factories.store_file(load.job, "output/refused_records.jsonl", b"[1]\n")
    assert "cannot be read" in shown(client.get(url(load.job, "refused")))
    refuse(load, {"rows": [77], "message": "x"})
    assert "not a plain table" in shown(client.get(url(load.job, "refused")))


def test_the_jobs_page_offers_to_send_refused_records_again(client, load):
    page = shown(client.get(url(load.job, "change")))
    assert "3 rows, 3 were sent to the ODS (it refused 2 records of 2 rows)." in page
    assert "Refused by the ODS: <strong>2<" in page
    assert "See the refused rows" in page
    answer = client.post(url(load.job, "resend"), follow=True)
    assert "Started to send the refused records again." in shown(answer)
    assert load.job.runs.get(kind="resend").continues == load


def test_a_preview_is_shown_as_one_and_can_be_loaded(client):
    factories.make_ods_connection()
    job = factories.make_job()
    client.post(url(job, "preview"))
    run = job.runs.get()
    run.__class__.objects.filter(pk=run.pk).update(status="success", fingerprint="x")
    factories.make_matches(run)
    factories.make_output_set(run, sent_to_ods=True, records={"studentAssessments": 251})
    factories.make_output_set(run, records={"studentAssessments": 44, "assessments": 1})
    page = shown(client.get(url(job, "change")))
    assert "This is a preview: nothing was sent." in page
    assert "251 would be sent to the ODS, 44 would be ready for EDU, 17 would stay behind" in page
    assert "Load it now" in page and "Preview again" in page
    assert "these results are loaded as they are" in page
    assert "For the ODS" in page
