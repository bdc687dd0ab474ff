"""Identity checks on all parts: what people see and do, and where names and IDs must not be."""

import pytest
from django.db import connection
from django.urls import reverse
from playwright.sync_api import expect

from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import ConfirmedStudent, Job, Notice, Run, Webhook
from partners.models import Partner
from runway.sandbox.input_files import Expectation, InputFile
from runway.sandbox.population import CURRENT, EARLIER, in_group, students
from tests.browser.screens import look
from tests.e2e.jobs import json_lines, output, student_ids, submit, wait_for_end
from tests.earthbeam.executor.test_identity_checks import BUNDLE, file_of, row

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

HERE, GONE = in_group(CURRENT)[10:70], in_group(EARLIER)[:2]
GOOD = HERE[:48]
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def damaged_rows():
    """Twelve rows that are damaged in different ways, each with its student."""

    def damaged(student, change, **names):
        return student, row(student, StateStudentID=change(student.state_id), **names)

    born = HERE[57].birth_date
    return [
        damaged(HERE[48], lambda code: code.lstrip("0")),
        damaged(HERE[49], lambda code: f"{code.lstrip('0')}.00"),
        damaged(HERE[50], lambda code: f'="{code}"'),
        damaged(HERE[51], lambda code: f"'{code}"),
        damaged(HERE[52], lambda code: code.translate(FULL_WIDTH)),
        damaged(HERE[53], lambda code: f"{int(code):,}"),
        damaged(HERE[54], lambda code: f"{int(code):.1E}"),  # its digits are lost
        damaged(HERE[55], lambda _: ""),
        damaged(
            HERE[56], lambda _: "77", StudentName=f"{HERE[56].first_name} {HERE[56].last_name}"
        ),
        damaged(HERE[57], lambda _: "", DOB=f"{born.day}/{born.month}/{born.year}"),
        damaged(HERE[58], lambda _: GOOD[0].state_id),  # somebody else's
        damaged(GONE[0], lambda code: code.lstrip("0")),
    ]


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


def test_twelve_damaged_rows_of_sixty_are_decided_in_the_browser_once_and_for_all(
    stack, ods, tmp_path, open_page
):
    Partner.objects.update(identity_checks="hold")
    # Its messages, too, are among what the database keeps.
    Webhook.objects.create(partner=Partner.objects.get(), url="http://127.0.0.1:9/")
    damaged = damaged_rows()
    path = tmp_path / "fall.csv"
    path.write_bytes(file_of([*map(row, GOOD), *(each for _, each in damaged)]))
    file = InputFile(path, BUNDLE, Expectation(60, 48, 0, 12, 2, 0, "StateStudentID"))
    run = wait_for_end(start_run(submit(file)))
    assert run.status == "success", run.log.text
    matches = run.matches
    assert (matches.ods_matched, matches.unmatched, matches.disagreeing) == (48, 12, 1)
    assert (matches.suggested, matches.confirmed) == (12, 0)

    page = open_page(reverse("admin:earthbeam_job_change", args=[run.job_id]))
    page.get_by_role("link", name="Review and fix these rows").click()
    page.get_by_role("button", name="very likely students").click()
    for number, (student, _) in enumerate(damaged, start=1):
        page.locator(f"input[name='student-{number}'][value='{student.unique_id}']").check()
    look(page, "sixty-rows-decided")
    page.get_by_role("button", name="Re-run 12 rows").click()
    expect(page.get_by_text("12 rows are being loaded again")).to_be_visible()

    child = wait_for_end(Run.objects.get(job=Job.objects.get(parent=run.job)))
    assert child.status == "success", child.log.text
    made = {
        folder: student_ids(json_lines(output(child) / folder / "studentAssessments.jsonl"))
        for folder in ("ods", "non-ods")
    }
    assert made["ods"] == {student.unique_id for student, _ in damaged[:-1]}
    assert made["non-ods"] == {GONE[0].unique_id}

    # The same file once more: only the rows without an ID, or with a rounded one, are left.
    again = wait_for_end(start_run(submit(file)))
    assert again.status == "success", again.log.text
    assert (again.matches.unmatched, again.matches.confirmed) == (3, 9)
    assert (again.matches.ods_matched, again.matches.cross_year_matched) == (56, 1)
    page.goto(reverse("admin:earthbeam_job_change", args=[again.job_id]))
    expect(page.get_by_text("9 rows went to the students confirmed for their ID")).to_be_visible()
    look(page, "job-with-confirmed-students")
    page.goto("/admin/partners/partner/ea/confirmed/")
    expect(page.get_by_role("heading", name="9 confirmed students")).to_be_visible()
    look(page, "confirmed-students")
    page.get_by_label("ID in a file, or studentUniqueId").fill(HERE[48].unique_id)
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name="1 confirmed student found")).to_be_visible()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Revoke the selected").click()
    expect(page.get_by_text("Revoked 1 confirmed student.")).to_be_visible()
    assert ConfirmedStudent.objects.count() == 8

    assert Notice.objects.count() == 3
    told = everything_in_the_database()
    told["logs"] = stack.log("web") + stack.log("worker")
    told["runs' logs"] = "".join(each.log.text for each in (run, child, again))
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
