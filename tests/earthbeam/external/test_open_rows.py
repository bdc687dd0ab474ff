"""Clients read a job's open rows, and say to which students they belong."""

import csv
import io
import json
import threading

import pytest
from auditlog.models import LogEntry
from django.db import connection

from earthbeam.external import issuer as issuer_module
from earthbeam.files import DirectoryStore
from earthbeam.jobs.confirmed_students import opened
from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import ConfirmedStudent, Job, Run
from partners.models import OdsConnection
from tests import factories
from tests.earthbeam.admin.jobs.test_unmatched import (
    decisions,
    line,
    review,
    rows_of,
    shown_student,
    suggestion,
)
from tests.earthbeam.external.conftest import AUDIENCE, ApiClient
from tests.earthbeam.queue import queue  # noqa: F401

SCOPES = "read:jobs:students decide:students"


@pytest.fixture
def client(client_with):
    return client_with(scope=SCOPES)


@pytest.fixture
def run(db):
    return reviewed()


def reviewed():
    """Row 1 has a very likely student, row 2 none, row 3 is of somebody else than its ID."""
    run = factories.make_unmatched_run()
    review(
        run,
        line(2, "unknown", suggestion(repair="leading_zeros")),
        line(4, "blank"),
        line(
            5,
            "disagrees",
            suggestion(unique_id="9", first="Ana"),
            matched=shown_student(unique_id="10", first="Leo"),
        ),
    )
    return run


def read(client, run):
    answer = client.get(f"jobs/{run.job_id}/open-rows")
    assert answer.status_code == 200, answer.json()
    assert "no-store" in answer["Cache-Control"]
    return answer.json()


def decide(client, run, students, version=None, **headers):
    body = {
        "version": version or read(client, run)["version"],
        "decisions": [{"row": row, "studentUniqueId": s} for row, s in students.items()],
    }
    return client.post(f"jobs/{run.job_id}/decisions", body, **headers)


def test_open_rows_are_read_with_whom_they_may_be_about(client, run):
    found = read(client, run)
    assert (found["idName"], found["idType"]) == ("student_id", "State")
    first, second, third = found["rows"]
    assert (first["row"], first["id"], first["jobUid"]) == (1, "9001", None)
    assert first["reason"] == "unknown"
    assert first["person"]["lastSurname"] == "CASTRO"
    [suggested] = first["suggestions"]
    assert suggested["student"] == {
        "studentUniqueId": "604822",
        "ids": {"State": "0009067255"},
        "person": {
            "firstName": "Mia", "middleName": "", "lastSurname": "Castro",
            "birthDate": "2014-03-05",
        },
        "thisYear": True,
    }  # fmt: skip
    assert (suggested["likelihood"], suggested["sure"]) == ("very_likely", True)
    assert suggested["repair"] == "leading_zeros"
    assert suggested["agrees"]["birthDate"] == "different"
    assert (second["suggestions"], second["matched"]) == ([], None)
    assert third["matched"]["studentUniqueId"] == "10"
    entry = LogEntry.objects.get(additional_data__event="unmatched rows read")
    assert (entry.object_pk, entry.additional_data["client"]) == (str(run.job_id), "edu-loader")


def test_rows_without_identity_checks_are_listed_without_suggestions(client, db):
    run = factories.make_unmatched_run()
    rows = read(client, run)["rows"]
    assert rows[0]["id"] == "9001"
    assert {row["reason"] for row in rows} == {None}
    assert decide(client, run, {1: "604822"}).status_code == 400


def test_a_job_without_open_rows_has_none(client, db):
    run = factories.make_run(status="success")
    assert read(client, run)["rows"] == []
    assert decide(client, run, {1: "604822"}, version="x").status_code == 409


def test_open_rows_are_read_as_csv_with_their_place_and_reason(client, run):
    answer = client.get(f"jobs/{run.job_id}/open-rows.csv", headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (
        "text/csv; charset=utf-8", "private, no-store",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [(row["runway_row"], row["runway_reason"], row["name"]) for row in rows] == [
        ("2", "unknown", "Ana Díaz"),
        ("4", "blank", 'O"Brien, Pat'),
        ("5", "disagrees", "Kim"),
    ]
    assert "unmatched rows read" in str(LogEntry.objects.latest("pk").additional_data)


def test_the_csv_of_a_job_without_open_rows_is_empty_and_of_one_in_progress_refused(client, db):
    run = factories.make_run(status=Run.Status.SUCCESS)
    assert client.get(f"jobs/{run.job_id}/open-rows.csv").content == b""
    Run.objects.update(status=Run.Status.RUNNING)
    assert client.get(f"jobs/{run.job_id}/open-rows.csv").status_code == 409


def test_decided_rows_are_loaded_in_a_job_of_their_own_and_remembered(client, run):
    answer = decide(client, run, {1: "604822", 3: "10"})
    assert answer.status_code == 201, answer.json()
    child = Job.objects.get(parent=run.job)
    assert answer.json() == {"uid": str(child.pk), "status": "queued"}
    assert child.api_client == "edu-loader"
    assert rows_of(child)[1][0] == "9001"
    assert decisions(child) == [
        {"row": 1, "studentUniqueId": "604822"},
        {"row": 2, "studentUniqueId": "10"},
    ]
    assert {opened(row).student for row in ConfirmedStudent.objects.all()} == {"604822", "10"}
    assert {row.confirmed_by for row in ConfirmedStudent.objects.all()} == {"edu-loader"}
    rows = {row["row"]: row["jobUid"] for row in read(client, run)["rows"]}
    assert rows == {1: str(child.pk), 2: None, 3: str(child.pk)}
    told = " ".join(str(vars(entry)) for entry in LogEntry.objects.all())
    assert "604822" not in told
    again = decide(client, run, {1: "604822"})
    assert again.status_code == 409
    assert f"row 1 in job {child.pk}" in again.json()["detail"]


def test_a_request_that_is_sent_again_makes_no_second_job(client, run):
    version = read(client, run)["version"]
    answers = [decide(client, run, {1: "604822"}, version, Idempotency_Key="k1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["uid"] == answers[1].json()["uid"]
    assert Job.objects.filter(parent=run.job).count() == 1
    other = decide(client, run, {3: "9"}, version, Idempotency_Key="k1")
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("students", "words"),
    [
        ({1: "604999"}, "Row 1: this student is not one of those that were suggested."),
        ({7: "604822"}, "Row 7"),
        ({2: "604822"}, "Row 2"),
        ({0: "604822"}, "greater than or equal to 1"),
        ({}, "may not be empty"),
    ],
)
def test_only_students_that_a_row_lists_can_be_chosen(client, run, students, words):
    answer = decide(client, run, students)
    assert answer.status_code == 400
    assert words in json.dumps(answer.json())
    assert not Job.objects.filter(parent=run.job).exists()


@pytest.mark.parametrize(
    "body",
    [
        None,
        {"version": "x"},
        {"version": "x", "decisions": [{"row": 1}]},
        {"version": "x", "decisions": [{"row": 1, "studentUniqueId": 5}]},
        {"version": "x", "decisions": [{"row": 1, "studentUniqueId": "1"}] * 2},
    ],
)
def test_a_body_that_makes_no_sense_is_refused(client, run, body):
    assert client.post(f"jobs/{run.job_id}/decisions", body).status_code == 400


def test_a_job_that_was_run_again_meanwhile_is_left_alone(client, run):
    version = read(client, run)["version"]
    answer = decide(client, run, {1: "604822"}, "0" * 64)
    assert answer.status_code == 409
    assert "Read them again" in answer.json()["detail"]
    start_run(run.job)
    assert client.get(f"jobs/{run.job_id}/open-rows").status_code == 409
    assert decide(client, run, {1: "604822"}, version).status_code == 409
    Run.objects.filter(job=run.job).update(status="error")
    failed = client.get(f"jobs/{run.job_id}/open-rows")
    assert failed.status_code == 409
    assert "failed" in failed.json()["detail"]


def test_what_stops_the_job_is_said_by_field(client, run):
    version = read(client, run)["version"]
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    answer = decide(client, run, {1: "604822"}, version)
    assert answer.status_code == 400
    assert "ODS connection" in str(answer.json()["schoolYear"])


def test_a_storage_that_fails_is_a_503(client, run, monkeypatch):
    version = read(client, run)["version"]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DirectoryStore, "save", full)
    assert decide(client, run, {1: "604822"}, version).status_code == 503
    assert not ConfirmedStudent.objects.exists()


def test_jobs_of_another_partner_do_not_exist(client_with, run):
    stranger = client_with(scope=SCOPES, partners="tx")
    assert stranger.get(f"jobs/{run.job_id}/open-rows").status_code == 404
    assert stranger.post(f"jobs/{run.job_id}/decisions", {}).status_code == 404


def test_students_names_are_for_clients_that_the_audit_trail_can_name(client_with, run):
    nameless = client_with(scope=SCOPES, client_id=None, sub="x")
    assert nameless.get(f"jobs/{run.job_id}/open-rows").status_code == 401
    assert nameless.post(f"jobs/{run.job_id}/decisions", {}).status_code == 401


@pytest.mark.usefixtures("queue")
def test_of_clients_who_decide_one_row_at_once_exactly_one_loads_it(oidc, settings):
    settings.OAUTH2_ISSUER, settings.OAUTH2_AUDIENCE = oidc.url, AUDIENCE
    issuer_module._discover.cache_clear()
    run = reviewed()
    token = oidc.access_token(scope=f"{SCOPES} partner:ea", audience=AUDIENCE)
    version = read(ApiClient(token), run)["version"]
    ready, answers = threading.Barrier(5), []

    def work(student):
        try:
            ready.wait()
            answers.append(decide(ApiClient(token), run, {3: student}, version).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(each,)) for each in ("9", "10", "9", "10", "9")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409, 409, 409, 409]
    child = Job.objects.get(parent=run.job)
    [decided] = decisions(child)
    assert [opened(row).student for row in ConfirmedStudent.objects.all()] in (
        [decided["studentUniqueId"]],
        [],
    )
    issuer_module._discover.cache_clear()
