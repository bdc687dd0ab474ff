"""Identity checks on all parts: what people see, and where names must not be."""

import pytest
from django.db import connection

from earthbeam.jobs import row_review, unmatched
from earthbeam.jobs.lifecycle import start_run
from earthbeam.jobs.rerun_rows import rerun_rows
from earthbeam.models import Run
from partners.models import Partner
from runway.sandbox.population import CURRENT, EARLIER, in_group, students
from tests import factories, people
from tests.e2e.jobs import json_lines, output, student_ids, submit, wait_for_end

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def everything_in_the_database():
    texts = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "select table_name from information_schema.tables"
            " where table_schema = 'public' and table_type = 'BASE TABLE'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'select row_to_json(t)::text from "{table}" t')
            texts[table] = "\n".join(row for (row,) in cursor.fetchall())
    return texts


def test_open_rows_get_suggestions_and_a_chosen_student_gets_the_result(stack, ods, interim):
    Partner.objects.update(identity_checks="hold")
    run = wait_for_end(start_run(submit(interim)))

    assert run.status == "success", run.log.text
    matches = run.matches
    assert matches.identity_checks == "hold"
    assert matches.identity_columns == {"name": "StudentName"}
    assert matches.suggested
    file = unmatched.read(run, factories.told_of(run))
    reviews = row_review.read(run, len(file.rows))
    assert len(reviews) == matches.unmatched

    gone, here = (
        {student.unique_id for student in in_group(group)} for group in (EARLIER, CURRENT)
    )
    number, chosen = next(
        (number, each.student)
        for number, review in reviews.items()
        for each in review.suggestions
        if each.student.unique_id in gone | here
    )
    child = rerun_rows(
        run, file, {}, by=people.make_superuser(), students={number: chosen.unique_id}
    )
    again = wait_for_end(Run.objects.get(job=child))
    assert again.status == "success", again.log.text
    folder = "ods" if chosen.this_year else "non-ods"
    made = json_lines(output(again) / folder / "studentAssessments.jsonl")
    assert student_ids(made) == {chosen.unique_id}

    told = everything_in_the_database()
    told["logs"] = stack.log("web") + stack.log("worker") + run.log.text + again.log.text
    for where, text in told.items():
        for student in students():
            for secret in (
                f'"{student.unique_id}"',
                f'"{student.state_id}"',
                student.birth_date.isoformat(),
                f"{student.last_name}, {student.first_name}",
            ):
                assert secret not in text, f"{secret} in {where}"
    assert stack.left_behind() == []
