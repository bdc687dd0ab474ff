"""The page of a job's unmatched students."""

import csv
import io
import json
import logging
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from earthbeam.admin.jobs import unmatched_table
from earthbeam.admin.jobs.unmatched_table import telling_order
from earthbeam.files import open_store
from earthbeam.jobs import unmatched
from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import ConfirmedStudent, Job, Run, RunMatches
from earthbeam.paths import app_data_base_path
from earthbeam.runs import payload
from partners.models import OdsConnection
from tests import factories, people

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(db):
    return factories.make_unmatched_run(input_params={"FORM": "B"})


@pytest.fixture
def client(run):
    return people.logged_in(people.make_user())


def url(job, what="unmatched"):
    return reverse(f"admin:earthbeam_job_{what}", args=[job.pk])


def form(run, do="rerun", **fields):
    """What the page of the run's rows sends."""
    told = factories.told_of(run)
    file = unmatched.read(run, told)
    typed = {name.replace("_", "-"): value for name, value in fields.items() if name[:3] == "id_"}
    rest = {name: value for name, value in fields.items() if name[:3] != "id_"}
    return {"content": file.sha256, "page": "1", "edits": "{}", "do": do} | rest | typed


def shown(answer):
    return " ".join(answer.content.decode().split())


def rows_of(job):
    file = job.files.get(template_key="INPUT_FILE")
    with open_store(app_data_base_path(job)).open(f"input/{file.stored_name}") as stream:
        return list(csv.reader(io.StringIO(stream.read().decode(), newline="")))


def test_the_page_says_what_to_look_up_and_shows_the_rows(client, run):
    text = shown(client.get(url(run.job)))
    assert "3 of 5 rows matched no student" in text
    assert "<strong>State ID</strong> and enter it in the column <code>student_id</code>" in text
    for words in ("1 with an unknown ID", "1 without an ID", "1 with a shared ID"):
        assert words in text
    assert "O&quot;Brien, Pat" in text
    assert 'name="id-1" value="9001"' in text
    assert url(run.job, "unmatched_file") in text


def test_rows_with_new_ids_become_a_job_and_the_log_says_who_made_it(client, run, caplog):
    caplog.set_level(logging.INFO)
    answer = client.post(
        url(run.job), form(run, id_1="9001", id_2=" 604900 ", id_3="604903"), follow=True
    )
    child = Job.objects.get(parent=run.job)
    assert answer.redirect_chain[0][0] == url(child, "change")
    assert "2 rows are being loaded again in this new job" in shown(answer)
    assert rows_of(child) == [
        ["student_id", "name", "score"],
        ["604900", 'O"Brien, Pat', "013"],
        ["604903", "Kim", "=9"],
    ]
    assert child.runs.get().status == "new"
    entries = {entry.object_id: entry.get_change_message() for entry in LogEntry.objects.all()}
    assert entries == {
        str(run.job_id): f"Created job {child.pk} from 2 of 3 unmatched rows.",
        str(child.pk): f"Created from 2 unmatched rows of job {run.job_id}.",
    }
    assert not any(text in caplog.text for text in ("604900", "604903", "9001", "Brien"))


def test_a_second_click_leads_to_the_same_job(client, run):
    fix = form(run, id_1="604900")
    client.post(url(run.job), fix)
    again = client.post(url(run.job), fix, follow=True)
    child = Job.objects.get(parent=run.job)
    # By then the row is no longer one that can be changed.
    assert again.status_code == 200
    assert Job.objects.filter(parent=run.job).count() == 1
    assert str(child.pk) in shown(again)


def test_rows_in_a_later_job_are_shown_as_such_and_cannot_be_changed(client, run):
    client.post(url(run.job), form(run, id_1="604900"))
    text = shown(client.get(url(run.job)))
    assert 'name="id-1"' not in text
    assert 'name="id-2"' in text
    assert "1 row is already in a later job" in text
    assert "One file, 2 jobs" in text
    client.post(url(run.job), form(run, id_1="604901", id_2="604902"))
    newest = Job.objects.filter(parent=run.job).latest("created_at")
    assert [row[0] for row in rows_of(newest)[1:]] == ["604902"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({}, "change the ID of at least one row, or choose a student, first"),
        ({"id_1": " 9001\r\n"}, "change the ID of at least one row"),
        ({"id_1": ""}, "Without an ID this row cannot be matched"),
        ({"id_1": "1" * 101}, "at most 100 characters"),
        ({"id_1": "12\u200b34"}, "cannot be seen"),
        ({"id_7": "1"}, "form was damaged"),
        ({"edits": "[1]"}, "form was damaged"),
        ({"edits": '{"1": 5}'}, "form was damaged"),
        ({"edits": "{"}, "form was damaged"),
        ({"content": "0" * 64}, "was run again after you opened this page"),
        ({"content": ""}, "was run again after you opened this page"),
    ],
)
def test_what_is_wrong_with_the_form_is_said_and_nothing_is_made(client, run, typed, words):
    answer = client.post(url(run.job), form(run, **typed))
    assert answer.status_code == 200
    assert words in shown(answer)
    assert not run.job.children.exists()


def test_a_fix_for_rows_that_the_rules_refuse_keeps_what_was_typed(client, run):
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    text = shown(client.post(url(run.job), form(run, id_1="604900")))
    assert "Nothing was loaded." in text
    assert "no active ODS connection" in text
    assert 'value="604900"' in text


def test_a_job_that_was_started_again_meanwhile_is_not_fixed(client, run):
    fix = form(run, id_1="604900")
    start_run(run.job)
    text = shown(client.post(url(run.job), fix))
    assert "Nothing was loaded, for the reason below" in text
    assert "This job is running." in text
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "has not run yet"),
        ("new", "is running"),
        ("running", "is running"),
        ("error", "The last run of this job failed"),
        ("success", "Every row matched a student"),
    ],
)
def test_a_run_without_unmatched_rows_says_what_to_do(db, status, words):
    job = factories.make_job()
    if status:
        factories.make_run(job, status)
    client = people.logged_in(people.make_user())
    assert words in shown(client.get(url(job)))
    assert client.get(url(job, "unmatched_file")).status_code == 404


def test_rows_of_another_format_are_for_a_spreadsheet(db):
    run = factories.make_unmatched_run(original=b"9001Ana Diaz        12\n")
    text = shown(people.logged_in(people.make_user()).get(url(run.job)))
    assert "You cannot fix them on this page" in text
    assert "not a plain table" in text
    assert "Upload a revised file" in text
    assert 'name="id-1"' not in text


def test_a_revised_file_starts_from_the_jobs_own_choices(client, run):
    page = client.get(client.get(url(run.job)).context["revise_url"])
    assert page.context["title"] == "Submit a revised file"
    form, job = page.context["form"], run.job
    assert (form.tenant, form.bundle, form.parent) == (job.tenant, job.bundle, job)
    assert form.initial == {"school_year": "2526", "param_FORM": "B"}


def test_a_download_is_a_file_and_noted(client, run):
    answer = client.get(url(run.job, "unmatched_file"))
    assert b"".join(answer.streaming_content) == factories.UNMATCHED_ROWS.encode()
    assert answer["Content-Disposition"].startswith("attachment")
    assert LogEntry.objects.get().get_change_message() == "Downloaded the unmatched rows."


@pytest.mark.usefixtures("aws_environment")
def test_a_download_from_a_storage_that_is_away_says_so_and_is_not_noted(client, run, change_aws):
    change_aws(AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    Job.objects.update(files_base="s3://runway-away")
    answer = client.get(url(run.job, "unmatched_file"))
    assert answer.status_code == 503
    assert "cannot be read right now" in answer.content.decode()
    assert not LogEntry.objects.exists()


# --- pages, and lists -------------------------------------------------------------------------


@pytest.fixture
def long_run(monkeypatch):
    monkeypatch.setattr(unmatched_table, "PAGE_ROWS", 2)
    rows = "".join(f"X{number},Name {number},1\r\n" for number in range(1, 6)).encode()
    content = b"student_id,name,score\r\n" + rows
    return factories.make_unmatched_run(original=content, rows_left=content)


def test_changes_are_kept_from_page_to_page(long_run):
    client = people.logged_in(people.make_user())
    second = client.post(url(long_run.job), form(long_run, "page:2", id_1="604901", id_2="X2"))
    assert "Page 2 of 3" in shown(second)
    assert "1 row will be re-run" in shown(second)
    carried = second.context["carried"]["edits"]
    assert json.loads(carried) == {"1": "604901"}
    fix = form(long_run, page="2", edits=carried, id_3="X3", id_4="604904")
    client.post(url(long_run.job), fix)
    child = Job.objects.get(parent=long_run.job)
    assert [row[0] for row in rows_of(child)[1:]] == ["604901", "604904"]


def test_a_change_on_another_page_can_be_taken_back(long_run):
    client = people.logged_in(people.make_user())
    back = form(long_run, "check", edits='{"1": "604901"}', id_1="X1", id_2="X2")
    assert "Nothing changed yet" in shown(client.post(url(long_run.job), back))


def test_a_wrong_id_on_another_page_is_shown_there(long_run):
    client = people.logged_in(people.make_user())
    fix = form(long_run, page="3", edits='{"1": "", "4": "604904"}', id_5="X5")
    answer = client.post(url(long_run.job), fix)
    assert "Page 1 of 3" in shown(answer)
    assert "fix the marked IDs first" in shown(answer)


def test_a_list_of_old_and_new_ids_fills_rows_of_all_pages(long_run):
    client = people.logged_in(people.make_user())
    pasted = "X1\t604901\r\n X5 ; 604905\r\nX4.0,604904\r\n\r\nY1\t1\r\nX2\r\n"
    answer = client.post(url(long_run.job), form(long_run, "fill", pasted=pasted))
    text = shown(answer)
    assert json.loads(answer.context["carried"]["edits"]) == {
        "1": "604901",
        "5": "604905",
        "4": "604904",
    }
    assert "3 rows got a new ID from the list" in text
    assert "old ID of line 5." in text
    assert "Line 6 has no old and new ID" in text


def test_lines_of_a_list_that_fit_nothing_stay_to_be_fixed(long_run):
    client = people.logged_in(people.make_user())
    answer = client.post(url(long_run.job), form(long_run, "fill", pasted="X1\t604901\nY1\t1"))
    assert "X1\t604901\nY1\t1</textarea>" in answer.content.decode()
    answer = client.post(url(long_run.job), form(long_run, "fill", pasted="X1\t604901"))
    assert "604901</textarea>" not in answer.content.decode()


def test_many_rows_stay_within_what_a_form_may_have(monkeypatch, settings):
    rows = b"".join(b"X%d,Name,1\r\n" % number for number in range(2000))
    content = b"student_id,name,score\r\n" + rows
    run = factories.make_unmatched_run(original=content, rows_left=content)
    client = people.logged_in(people.make_user())
    page = client.get(url(run.job)).content.decode()
    fields = page.count("<input") + page.count("<textarea")
    assert fields < settings.DATA_UPLOAD_MAX_NUMBER_FIELDS / 2
    edits = json.dumps({number: f"{number:0100}" for number in range(1, 2001)})
    assert "2000 rows will be re-run" in shown(
        client.post(url(run.job), form(run, "check", edits=edits))
    )


@pytest.mark.parametrize(
    ("columns", "first"),
    [
        (
            ["SchoolName", "StudentName", "Id", "Grade", "TestName", "BirthDate"],
            ["StudentName", "BirthDate", "Grade", "SchoolName", "TestName"],
        ),
        (
            ["Id", "score", "First Name", "student_last_name", "DOB", "GradeLevel"],
            ["student_last_name", "First Name", "DOB", "GradeLevel", "score"],
        ),
        (["a", "Id", "b"], ["a", "b"]),
    ],
)
def test_what_tells_who_the_student_is_comes_first(columns, first):
    assert [columns[place] for place in telling_order(columns, columns.index("Id"))] == first


# --- stories ----------------------------------------------------------------------------------


def test_jobs_whose_rows_were_all_matched_later_are_resolved_by_one_click(client, run):
    child = factories.make_unmatched_run(parent=run.job)
    RunMatches.objects.filter(run=child).update(
        input_rows=3, ods_matched=3, unmatched=0, blank_ids=0, ambiguous_ids=0
    )
    child.unmatched_ids.delete()
    text = shown(client.get(url(run.job)))
    assert "matched every row that the first job left" in text
    assert "Mark job 1 as resolved" in text
    client.post(url(run.job, "resolve_linked"))
    run.job.refresh_from_db()
    assert run.job.resolved_by.username == "user"
    assert "Mark job" not in shown(client.get(url(run.job)))
    messages = [entry.get_change_message() for entry in LogEntry.objects.all()]
    assert messages == ["Resolved: later jobs matched its unmatched rows."]
    again = client.post(url(run.job, "resolve_linked"), follow=True)
    assert "nothing left to resolve" in shown(again)


# --- who may ----------------------------------------------------------------------------------


def test_jobs_of_another_tenant_are_not_there(run):
    stranger = people.logged_in(
        people.make_user("stranger", tenant=factories.make_tenant("elsewhere"))
    )
    fix = form(run, id_1="604900")
    for what in ("unmatched", "unmatched_file"):
        assert stranger.get(url(run.job, what)).status_code == 404
    assert stranger.post(url(run.job), fix).status_code == 404
    assert stranger.post(url(run.job, "resolve_linked")).status_code == 404
    assert Job.objects.count() == 1
    assert not LogEntry.objects.exists()


def test_strangers_are_asked_to_log_in(client, run):
    client.logout()
    for what in ("unmatched", "unmatched_file", "resolve_linked"):
        answer = client.get(url(run.job, what))
        assert (answer.status_code, "login" in answer.url) == (302, True)


def test_only_posts_change_anything(client, run):
    assert client.get(url(run.job, "resolve_linked")).status_code == 405
    assert client.post(url(run.job, "unmatched_file")).status_code == 405


@pytest.mark.parametrize("person", [people.make_partner_admin, people.make_user])
def test_the_page_takes_few_queries(person, client, run, django_assert_max_num_queries):
    for number in (1, 2):
        client.post(url(run.job), form(run, **{f"id_{number}": "604900"}))
    Run.objects.filter(job__parent=run.job).update(status=Run.Status.SUCCESS)
    reader = people.logged_in(person("reader"))
    with django_assert_max_num_queries(20):
        assert reader.get(url(run.job)).status_code == 200


# --- suggested students -----------------------------------------------------------------------


def shown_student(unique_id="604822", first="Mia", last="Castro", birth="2014-03-05"):
    person = {"firstName": first, "lastSurname": last, "birthDate": birth}
    return {"studentUniqueId": unique_id, "ids": {"State": "0009067255"}, "student": person,
            "source": "ods"}  # fmt: skip


def suggestion(likelihood="very_likely", *, sure=True, repair=None, **student):
    agrees = {"lastSurname": "same", "firstName": "close", "birthDate": "different"}
    return shown_student(**student) | {
        "score": 0.97, "likelihood": likelihood, "sure": sure, "repair": repair, "agrees": agrees,
    }  # fmt: skip


def line(row, reason="unknown", *suggestions, **more):
    person = {"firstName": "MIA", "lastSurname": "CASTRO", "birthDate": "2014-03-05"}
    return {"row": row, "open": True, "reason": reason, "person": person,
            "suggestions": list(suggestions)} | more  # fmt: skip


def review(run, *lines):
    content = b"".join(
        each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in lines
    )
    size = factories.store_file(run.job, "output/row_review.jsonl", content)
    run.output_files.create(path="row_review.jsonl", size=size)


@pytest.fixture
def reviewed(run):
    """Rows 1 to 3: one very likely student, two that may be it, and one of somebody else."""
    review(
        run,
        line(2, "unknown", suggestion(repair="leading_zeros")),
        {"row": 3, "open": False, "reason": "disagrees", "person": {}, "suggestions": []},
        line(4, "blank", *(suggestion("possible", sure=False, unique_id=str(n)) for n in (7, 8))),
        line(
            5,
            "disagrees",
            suggestion(unique_id="9", first="Ana"),
            matched=shown_student(unique_id="10", first="Leo"),
        ),
    )
    return run


def decisions(job):
    with open_store(app_data_base_path(job)).open("input/__decisions.jsonl") as stream:
        return [json.loads(each) for each in stream.read().splitlines()]


def test_each_row_shows_its_suggested_students_and_what_agrees(client, reviewed):
    text = shown(client.get(url(reviewed.job)))
    assert "Runway suggests students for 3 rows" in text
    assert "<strong>Mia Castro</strong>, born 2014-03-05" in text
    assert "The file says: MIA CASTRO, born 2014-03-05." in text
    for words in ("✓ last name same", "≈ first name close", "✗ birth date different"):
        assert words in text
    assert "State 0009067255 (the file has 9001)" in text
    assert "the ID and the name are of different students. Which is right?" in text
    assert "Choose all 1 very likely students" in text


def test_rows_that_are_held_are_told_apart_from_unknown_ids(client, reviewed):
    RunMatches.objects.update(identity_checks="hold", disagreeing=1)
    text = shown(client.get(url(reviewed.job)))
    assert "1 of another student" in text
    assert "with an unknown ID" not in text
    RunMatches.objects.update(identity_checks="report")
    assert "1 with an unknown ID" in shown(client.get(url(reviewed.job)))


def test_chosen_students_and_new_ids_become_one_job_that_carries_the_decisions(client, reviewed):
    fields = {"student-1": "604822", "student-3": "10", "student-2": ""}
    client.post(url(reviewed.job), form(reviewed, id_2="604900") | fields)
    child = Job.objects.get(parent=reviewed.job)
    assert [row[0] for row in rows_of(child)[1:]] == ["9001", "604900", rows_of(child)[3][0]]
    assert decisions(child) == [
        {"row": 1, "studentUniqueId": "604822"},
        {"row": 3, "studentUniqueId": "10"},
    ]
    assert child.decided_rows == 2
    admin = people.logged_in(people.make_partner_admin())
    text = shown(admin.get(url(reviewed.job)))
    remembered = ConfirmedStudent.objects.count()
    assert f'confirmed/?job={reviewed.job_id}">{remembered} confirmed so far' in text
    assert "confirmed so far" not in shown(client.get(url(reviewed.job)))
    assert child.last_run is not None
    assert payload.build(child.last_run)["decisionsFile"] == "__decisions.jsonl"
    assert "604822" not in "".join(entry.change_message for entry in LogEntry.objects.all())


def test_rows_that_were_loaded_although_they_disagree_are_listed(client, run):
    RunMatches.objects.update(identity_checks="report", disagreeing=1)
    loaded = line(7, "disagrees", matched=shown_student(unique_id="10", first="Leo"))
    review(run, *GOOD_LINES, loaded | {"open": False})
    page = shown(client.get(url(run.job, "change")))
    assert f'{url(run.job, "disagreeing")}">See the row that disagrees' in page
    text = shown(client.get(url(run.job, "disagreeing")))
    assert "1 row disagrees with its student" in text
    assert "MIA CASTRO, born 2014-03-05" in text
    assert "Leo Castro, born 2014-03-05" in text
    assert "studentUniqueId 10, State 0009067255" in text
    RunMatches.objects.update(identity_checks="hold")
    assert url(run.job, "disagreeing") not in shown(client.get(url(run.job, "change")))


def test_without_rows_that_disagree_the_list_says_so(client, run):
    assert "No row disagrees" in shown(client.get(url(run.job, "disagreeing")))
    Job.objects.update(input_destroyed_at=timezone.now())
    assert "These rows were destroyed" in shown(client.get(url(run.job, "disagreeing")))


@pytest.fixture
def with_held_row(run):
    """Row 1 cannot be read because of its score, row 3 for no single cell."""
    cell = {"column": "score", "value": "12", "problem": "value"}
    review(run, line(2, "untransformable", cell=cell), line(4, "blank"), line(5, "untransformable"))
    RunMatches.objects.update(untransformable=2, blank_ids=1, ambiguous_ids=0)
    return run


def test_a_row_that_cannot_be_read_shows_the_cell_at_fault(client, with_held_row):
    text = shown(client.get(url(with_held_row.job)))
    assert "2 that cannot be read" in text
    assert "with an unknown ID" not in text
    assert "Row 1: score: “12” cannot be read as this assessment." in text
    assert 'name="id-1"' not in text
    assert "Row 3 cannot be read as this assessment, and no single cell is the reason." in text
    page = shown(client.get(url(with_held_row.job, "change")))
    assert "1 did not match a student, 2 could not be read as this assessment" in page


def test_where_all_open_rows_cannot_be_read_nobody_is_asked_to_look_up_ids(client, with_held_row):
    assert "3 of 5 rows need attention" in shown(client.get(url(with_held_row.job)))
    RunMatches.objects.update(untransformable=3, blank_ids=0)
    assert "Look up each student" not in shown(client.get(url(with_held_row.job)))
    page = shown(client.get(url(with_held_row.job, "change")))
    assert "Their students are known, but something in the rows cannot be read" in page


def test_a_corrected_cell_is_loaded_with_the_rows_own_id(client, with_held_row):
    fields = {"cell-1-2": " 13 ", "cell-1-1": "Ana Díaz", "id-2": "604900"}
    answer = client.post(url(with_held_row.job), form(with_held_row) | fields, follow=True)
    assert "2 rows are being loaded again in this new job" in shown(answer)
    assert rows_of(Job.objects.get(parent=with_held_row.job)) == [
        ["student_id", "name", "score"],
        ["9001", "Ana Díaz", "13"],
        ["604900", 'O"Brien, Pat', "013"],
    ]
    assert not ConfirmedStudent.objects.exists()


def test_corrected_cells_are_kept_from_page_to_page_and_count_only_if_they_differ(
    client, with_held_row
):
    kept = client.post(
        url(with_held_row.job), form(with_held_row, "check", cells='{"1": {"2": "13"}}')
    )
    assert "1 row will be re-run" in shown(kept)
    assert 'name="cell-1-2" value="13"' in shown(kept)
    back = form(with_held_row, "check", cells='{"1": {"2": "13"}}') | {"cell-1-2": "12"}
    assert "Nothing changed yet" in shown(client.post(url(with_held_row.job), back))


def test_any_cell_of_a_row_that_cannot_be_read_can_be_corrected(client, with_held_row):
    """Also its ID, and where no single cell is at fault."""
    fields = {"cell-1-0": "604901", "cell-3-1": "Kim, Li", "cell-3-2": "7"}
    client.post(url(with_held_row.job), form(with_held_row) | fields)
    assert rows_of(Job.objects.get(parent=with_held_row.job)) == [
        ["student_id", "name", "score"],
        ["604901", "Ana Díaz", "12"],
        ["604003", "Kim, Li", "7"],
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"cell-2-1": "1"},
        {"cell-9-1": "1"},
        {"cell-1-3": "1"},
        {"cells": "[1]"},
        {"cells": '{"1": 2}'},
    ],
)
def test_only_cells_of_rows_that_cannot_be_read_can_be_corrected(client, with_held_row, fields):
    text = shown(client.post(url(with_held_row.job), form(with_held_row) | fields))
    assert "form was damaged" in text
    assert not Job.objects.filter(parent=with_held_row.job).exists()


def test_all_very_likely_students_are_chosen_at_once_and_no_others(client, reviewed):
    answer = client.post(url(reviewed.job), form(reviewed, "accept"))
    assert "1 very likely student was chosen. Nothing is loaded yet" in shown(answer)
    assert json.loads(answer.context["carried"]["choices"]) == {"1": "604822"}
    assert not Job.objects.filter(parent=reviewed.job).exists()


def test_a_choice_on_another_page_is_kept_and_can_be_taken_back(client, reviewed):
    kept = client.post(url(reviewed.job), form(reviewed, "check", choices='{"1": "604822"}'))
    assert "1 row will be re-run" in shown(kept)
    back = form(reviewed, "check", choices='{"1": "604822"}') | {"student-1": ""}
    assert "Nothing changed yet" in shown(client.post(url(reviewed.job), back))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"student-1": "604999"}, "form was damaged"),
        ({"student-9": "604822"}, "form was damaged"),
        ({"choices": "[1]"}, "form was damaged"),
        ({"student-1": "604822", "id-1": "5"}, "Choose a student or enter another ID, not both."),
    ],
)
def test_students_who_were_not_suggested_cannot_be_chosen(client, reviewed, fields, words):
    assert words in shown(client.post(url(reviewed.job), form(reviewed) | fields))
    assert not Job.objects.filter(parent=reviewed.job).exists()


GOOD_LINES = [line(number) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    "lines",
    [
        [*GOOD_LINES, line(4)],
        GOOD_LINES[:2],
        [*GOOD_LINES[:2], b"{"],
        [*GOOD_LINES[:2], b"[]\n"],
        [*GOOD_LINES[:2], line(3, "unknown", {"studentUniqueId": 5})],
        [*GOOD_LINES[:2], line(3, "unknown", suggestion("certain"))],
        [*GOOD_LINES[:2], line(3, "unknown", "x")],
        [*GOOD_LINES[:2], line(3, person=["x"])],
        [*GOOD_LINES[:2], line(3, suggestions={"a": 1})],
    ],
)
def test_a_review_that_is_not_as_it_should_be_changes_nothing_of_the_page(client, run, lines):
    plain = shown(client.get(url(run.job)))
    review(run, *lines)
    token = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')
    assert token.sub("", shown(client.get(url(run.job)))) == token.sub("", plain)


def test_what_a_bundle_wrote_into_a_review_is_shown_as_text(client, run):
    review(run, line(1, "unknown", suggestion(first="<script>alert(1)</script>")), *GOOD_LINES[1:])
    text = client.get(url(run.job)).content.decode()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
