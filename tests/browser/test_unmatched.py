"""The page of unmatched students, as people use it: by mouse, by keyboard, from a spreadsheet."""

import csv
import io
import json
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from earthbeam.files import open_store
from earthbeam.models import Job, Run, RunMatches
from earthbeam.paths import app_data_base_path
from tests import factories, people
from tests.browser.screens import look

WIDE = ["School", "StudentID", "Last Name", "First Name", "DOB", "Grade"] + [
    f"Goal {number} RIT Score" for number in range(1, 15)
]


def wide_run(rows):
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(WIDE)
    for number in range(1, rows + 1):
        person = ["Sample School", f"90{number:04}", f"Last {number}", "Zoë", "2014-03-01", "5"]
        writer.writerow([*person, *["201"] * 14])
    content = text.getvalue().encode()
    run = factories.make_unmatched_run(original=content, rows_left=content)
    run.unmatched_ids.name = "StudentID"
    run.unmatched_ids.save()
    return run


def url(job):
    return reverse("admin:earthbeam_job_unmatched", args=[job.pk])


def job_url(job):
    return reverse("admin:earthbeam_job_change", args=[job.pk])


def field(page, number):
    return page.locator(f"input[name='id-{number}']")


def paste(page, number, text):
    """What Ctrl+V does with a spreadsheet's cells on the clipboard."""
    field(page, number).focus()
    page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            document.activeElement.dispatchEvent(new ClipboardEvent(
                "paste", {clipboardData: data, bubbles: true, cancelable: true}));
        }""",
        text,
    )


def ids_of(job):
    file = job.files.get()
    with open_store(app_data_base_path(job)).open(f"input/{file.stored_name}") as stream:
        lines = list(csv.reader(io.StringIO(stream.read().decode(), newline="")))
    place = next(lines[0].index(name) for name in ("StudentID", "student_id") if name in lines[0])
    return [line[place] for line in lines[1:]]


def test_a_pasted_column_becomes_a_job(open_page):
    run = wide_run(17)
    page = open_page(people.make_partner_admin(), url(run.job))
    look(page, "unmatched")
    expect(page.get_by_role("button", name="Re-run the changed rows")).to_be_disabled()
    paste(page, 2, "604001\r\n604002\r\n\r\n604004\r\n")
    expect(page.get_by_text("3 IDs pasted.")).to_be_visible()
    expect(page.get_by_text("3 rows will be re-run.")).to_be_visible()
    look(page, "unmatched-changed")
    page.get_by_role("button", name="Re-run 3 rows").click()
    expect(page.get_by_text("3 rows are being loaded again")).to_be_visible()
    child = Job.objects.get(parent=run.job)
    assert ids_of(child) == ["604001", "604002", "604004"]
    page.goto(url(run.job))
    expect(page.get_by_text("One file, 2 jobs")).to_be_visible()
    look(page, "unmatched-linked")


def test_a_whole_column_is_pasted_with_its_header_and_the_blank_cells_below(open_page):
    # As a click on the column's letter copies it; with the header as an id every row would get
    # another one's.
    page = open_page(people.make_partner_admin(), url(wide_run(3).job))
    paste(page, 1, "StudentID\r\n604001\r\n604002\r\n604003\r\n\r\n\r\n")
    for number in (1, 2, 3):
        expect(field(page, number)).to_have_value(f"60400{number}")
    expect(page.locator("[data-announce]")).to_have_text("3 IDs pasted.")
    paste(page, 1, "StudentID\tNew\r\n900002\t604009\r\n\t\r\n")
    expect(field(page, 2)).to_have_value("604009")
    expect(page.locator("[data-announce]")).to_have_text("1 row got a new ID.")


def test_two_pasted_columns_go_by_the_old_id(open_page):
    run = wide_run(5)
    page = open_page(people.make_partner_admin(), url(run.job))
    paste(page, 1, "900005\t604005\n900002\t604002\n1\t2\n")
    expect(field(page, 5)).to_have_value("604005")
    expect(field(page, 2)).to_have_value("604002")
    expect(field(page, 1)).to_have_value("900001")
    expect(page.get_by_text("1 pasted line did not match a row on this page.")).to_be_visible()


def test_everything_is_done_by_keyboard(open_page):
    run = wide_run(3)
    page = open_page(people.make_partner_admin(), url(run.job))
    field(page, 1).focus()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("604001")
    page.keyboard.press("Enter")
    expect(field(page, 2)).to_be_focused()
    page.keyboard.type("604002")
    page.keyboard.press("ArrowDown")
    page.keyboard.type("wrong")
    page.keyboard.press("Escape")
    expect(field(page, 3)).to_have_value("900003")
    expect(page.get_by_text("2 rows will be re-run.")).to_be_visible()
    page.get_by_role("button", name="Re-run 2 rows").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 rows are being loaded again")).to_be_visible()


def test_changes_survive_pages_and_wrong_ids_are_marked(open_page, monkeypatch):
    monkeypatch.setattr("earthbeam.admin.jobs.unmatched_table.PAGE_ROWS", 20)
    run = wide_run(25)
    page = open_page(people.make_partner_admin(), url(run.job))
    field(page, 3).fill("604003")
    page.get_by_role("button", name="Next rows").click()
    expect(page.get_by_text("Page 2 of 2")).to_be_visible()
    expect(page.get_by_text("1 row will be re-run.")).to_be_visible()
    field(page, 21).fill("")
    page.get_by_role("button", name="Re-run 2 rows").click()
    expect(page.get_by_text("fix the marked IDs first")).to_be_visible()
    expect(page.get_by_text("Without an ID this row cannot be matched")).to_be_visible()
    look(page, "unmatched-wrong")
    page.get_by_text("Or paste a list of old and new IDs").click()
    page.get_by_label("Two columns").fill("900025\t604250\nnobody\t1")
    page.get_by_role("button", name="Fill in").click()
    expect(page.get_by_text("1 row got a new ID from the list.")).to_be_visible()
    look(page, "unmatched-list")


def test_without_scripts_the_form_works(browser, live_server):
    from tests.browser.conftest import session_cookie

    run = factories.make_unmatched_run()
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    try:
        context.add_cookies([session_cookie(people.make_partner_admin(), live_server.url)])
        page = context.new_page()
        page.goto(url(run.job))
        field(page, 1).fill("604001")
        page.keyboard.press("Enter")  # checks, and makes nothing
        expect(page.get_by_text("1 row will be re-run.")).to_be_visible()
        assert not Job.objects.filter(parent=run.job).exists()
        page.get_by_role("button", name="Re-run the changed rows").click()
        expect(page.get_by_role("heading", name="One file, 2 jobs")).to_be_visible()
        assert ids_of(Job.objects.get(parent=run.job)) == ["604001"]
    finally:
        context.close()


def test_what_cannot_be_fixed_here_says_why(open_page):
    run = factories.make_unmatched_run(original=b"9001Ana Diaz        12\n")
    look(open_page(people.make_partner_admin(), url(run.job)), "unmatched-spreadsheet")


@pytest.mark.parametrize("status", [Run.Status.RUNNING, Run.Status.ERROR, Run.Status.SUCCESS])
def test_runs_without_unmatched_rows_look_right(open_page, status):
    run = factories.make_run(status=status)
    look(open_page(people.make_partner_admin(), url(run.job)), f"unmatched-none-{status}")


def test_linked_jobs_with_nothing_left_to_do_are_resolved_by_one_click(open_page):
    run = factories.make_unmatched_run()
    child = factories.make_unmatched_run(parent=run.job)
    RunMatches.objects.filter(run=child).update(
        input_rows=3, ods_matched=3, unmatched=0, blank_ids=0, ambiguous_ids=0
    )
    child.unmatched_ids.delete()
    Run.objects.filter(pk=child.pk).update(has_problems=False)
    page = open_page(people.make_partner_admin(), url(run.job))
    look(page, "unmatched-resolve")
    page.get_by_role("button", name="Mark job 1 as resolved").click()
    expect(page.get_by_text("Marked as resolved.")).to_be_visible()


def test_from_the_job_to_its_fixed_rows_and_to_a_revised_file(open_page):
    run = factories.make_unmatched_run()
    page = open_page(people.make_partner_admin(), job_url(run.job))
    page.get_by_role("link", name="Review and fix these rows").click()
    field(page, 1).fill("604001")
    page.get_by_role("button", name="Re-run 1 row").click()
    expect(page.get_by_role("heading", name="One file, 2 jobs")).to_be_visible()
    child = Job.objects.get(parent=run.job)
    assert page.url.endswith(job_url(child))
    expect(page.get_by_text("Job 2, this one")).to_be_visible()
    look(page, "job-child")
    page.get_by_role("link", name="Job 1", exact=True).click()
    expect(page.get_by_text("Job 1, this one")).to_be_visible()

    page.get_by_role("link", name="Review and fix these rows").click()
    page.get_by_role("link", name="Upload a revised file").click()
    expect(page.get_by_role("heading", name="Submit a revised file")).to_be_visible()
    expect(page.get_by_label("Assessment").locator("option:checked")).to_have_text("Reading check")
    expect(page.get_by_label("2025-26")).to_be_checked()
    revised = {"name": "revised.csv", "mimeType": "text/csv", "buffer": factories.SCORES}
    page.get_by_label("Scores", exact=True).set_input_files(revised)
    expect(page.locator(".rw-files li")).to_contain_text("Ready")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="One file, 3 jobs")).to_be_visible()
    assert Job.objects.filter(parent=run.job).count() == 2


def reviewed_run(rows):
    """A run with so many open rows, each with suggestions of another kind in turn."""
    run = wide_run(rows)
    lines = []
    for number in range(1, rows + 1):
        kind = number % 4
        person = {"firstName": "Zoë", "lastSurname": f"Last {number}", "birthDate": "2014-03-01"}
        student = {**person, "birthDate": "2014-01-03"} if kind == 2 else person
        same = {"lastSurname": "same", "firstName": "same", "birthDate": "same"}
        best = {
            "studentUniqueId": f"60{number}", "ids": {"State": f"0090{number:04}"},
            "source": "edu" if kind == 3 else "ods", "score": 0.9, "student": student,
            "likelihood": "likely" if kind == 2 else "very_likely", "sure": kind in (1, 3),
            "repair": "leading_zeros" if kind == 1 else None,
            "agrees": same | ({"birthDate": "close"} if kind == 2 else {}),
        }  # fmt: skip
        other = best | {
            "studentUniqueId": f"70{number}", "likelihood": "possible", "sure": False,
            "repair": None, "student": {**person, "firstName": "Zora"},
            "agrees": same | {"firstName": "different"},
        }  # fmt: skip
        line: dict[str, Any] = {
            "row": number, "open": True, "reason": "disagrees" if kind == 0 else "unknown",
            "person": person, "suggestions": [best, other] if kind == 2 else [best],
        }  # fmt: skip
        if kind == 0:
            wrong = {"firstName": "Leo", "lastSurname": "Baker", "birthDate": "2013-11-20"}
            line["matched"] = best | {"studentUniqueId": f"80{number}", "student": wrong}
        lines.append(json.dumps(line))
    size = factories.store_file(run.job, "output/row_review.jsonl", "\n".join(lines).encode())
    run.output_files.create(path="row_review.jsonl", size=size)
    return run


def test_twelve_rows_are_decided_with_a_few_clicks_and_loaded_in_one_job(open_page):
    run = reviewed_run(12)
    page = open_page(people.make_partner_admin(), url(run.job))
    look(page, "suggestions")
    page.get_by_role("button", name="Choose all 6 very likely students").click()
    expect(page.get_by_text("6 very likely students were chosen.")).to_be_visible()
    expect(page.get_by_text("6 rows will be re-run.")).to_be_visible()
    for number in (2, 6, 10):
        page.locator(f"input[name='student-{number}'][value='60{number}']").check()
    for number in (4, 8):
        page.locator(f"input[name='student-{number}'][value='80{number}']").check()
    field(page, 12).fill("604012")
    expect(page.get_by_text("12 rows will be re-run.")).to_be_visible()
    look(page, "suggestions-chosen")
    page.get_by_role("button", name="Re-run 12 rows").click()
    expect(page.get_by_text("12 rows are being loaded again")).to_be_visible()
    child = Job.objects.get(parent=run.job)
    assert child.decided_rows == 11
    assert ids_of(child)[-1] == "604012"


def test_a_cell_that_cannot_be_read_is_corrected_beside_a_chosen_student(open_page):
    run = reviewed_run(4)
    content = open_store(app_data_base_path(run.job)).open("output/row_review.jsonl").read()
    lines = [json.loads(each) for each in content.splitlines()]
    cell = {"column": "DOB", "value": "2014-03-01", "problem": "date"}
    for place, more in ((0, {"cell": cell}), (2, {})):
        lines[place] |= {"reason": "untransformable", "suggestions": [], **more}
    content = "\n".join(json.dumps(each) for each in lines).encode()
    factories.store_file(run.job, "output/row_review.jsonl", content)
    RunMatches.objects.update(untransformable=2, blank_ids=0, ambiguous_ids=0)
    page = open_page(people.make_partner_admin(), url(run.job))
    wrong = page.get_by_label("Row 1: DOB: “2014-03-01” is not a date")
    wrong.fill("03/01/2014")
    page.locator("input[name='student-2'][value='602']").check()
    expect(page.get_by_text("2 rows will be re-run.")).to_be_visible()
    look(page, "rows-that-cannot-be-read")
    wrong.fill("2014-03-01")
    expect(page.get_by_text("1 row will be re-run.")).to_be_visible()
    wrong.fill("03/01/2014")
    page.get_by_role("button", name="Re-run 2 rows").click()
    expect(page.get_by_text("2 rows are being loaded again")).to_be_visible()
    child = Job.objects.get(parent=run.job)
    file = child.files.get(template_key="INPUT_FILE")
    with open_store(app_data_base_path(child)).open(f"input/{file.stored_name}") as stream:
        loaded = list(csv.DictReader(io.StringIO(stream.read().decode(), newline="")))
    assert [row["DOB"] for row in loaded] == ["03/01/2014", "2014-03-01"]
    assert ids_of(child) == ["900001", "900002"]


def test_rows_that_were_loaded_although_they_disagree_are_shown(open_page):
    run = reviewed_run(4)
    RunMatches.objects.update(identity_checks="report", disagreeing=1)
    content = open_store(app_data_base_path(run.job)).open("output/row_review.jsonl").read()
    lines = [json.loads(each) for each in content.splitlines()]
    lines[-1]["open"] = False
    content = "\n".join(json.dumps(each) for each in lines).encode()
    factories.store_file(run.job, "output/row_review.jsonl", content)
    page = open_page(people.make_partner_admin(), job_url(run.job))
    page.get_by_role("link", name="See the row that disagrees").click()
    expect(page.get_by_role("heading", name="1 row disagrees with its student")).to_be_visible()
    expect(page.get_by_text("Leo Baker, born 2013-11-20")).to_be_visible()
    look(page, "rows-that-disagree")


def test_a_typed_id_and_a_chosen_student_replace_each_other_by_keyboard_too(open_page):
    page = open_page(people.make_partner_admin(), url(reviewed_run(2).job))
    choice = page.locator("input[name='student-1'][value='601']")
    choice.focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("1 row will be re-run.")).to_be_visible()
    field(page, 1).fill("604001")
    expect(choice).not_to_be_checked()
    expect(page.get_by_text("1 row will be re-run.")).to_be_visible()
    page.locator("input[name='student-1'][value='']").focus()
    page.keyboard.press("ArrowUp")
    expect(choice).to_be_checked()
    expect(field(page, 1)).to_have_value("900001")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_text("Nothing changed yet.")).to_be_visible()
