"""Bodies that are not what the contract says: always a 4xx that names the field, nothing kept."""

import json
from typing import Any

import pytest

from earthbeam.models import (
    OutputSet,
    ResourceSummary,
    Run,
    RunError,
    RunMatches,
    RunUpdate,
    UnmatchedIds,
)
from tests import factories

COUNTS = {"records_processed": 3, "records_skipped": 2, "records_failed": 1}
MATCHES: dict[str, Any] = {
    "inputRows": 10,
    "odsMatched": 6,
    "crossYearMatched": 2,
    "unmatched": 2,
    "blankIds": 1,
    "ambiguousIds": 0,
    "idName": "student_id",
    "idType": "State",
    "matchRate": 0.6,
}
GOOD: dict[str, dict[str, Any]] = {
    "status": {"action": "earthmover_run", "status": "begin"},
    "error": {"code": "earthmover_run", "payload": {"stacktrace": "…"}},
    "summary": {"studentAssessments": COUNTS},
    "unmatched-ids": {"name": "student_id", "type": "State", "count": 2},
    "output-files": {"path": "BASE/output/non-ods", "sentToOds": False},
    "matches": MATCHES,
    "progress": {"action": "lightbeam_send", "done": 5, "total": 9, "unit": "records"},
}
REQUIRED = [
    (call, field)
    for call, body in GOOD.items()
    for field in body
    if (call, field) not in (("unmatched-ids", "count"), ("progress", "total"))
    and call != "summary"
]
NOT_TEXT: list[Any] = [None, 1, True, [], {}, ""]
NOT_COUNTS: list[Any] = ["2", -1, 2.5, 2.0, True, [], 2**31]
WRONG: list[tuple[str, str, list[Any]]] = [
    ("status", "action", [*NOT_TEXT, "Done", "two words", "x" * 65]),
    ("status", "status", [*NOT_TEXT, "done"]),
    ("error", "code", [*NOT_TEXT, "a b", "x" * 51, "a\n"]),
    ("error", "payload", [None, 1, "text", [], True]),
    ("unmatched-ids", "name", [*NOT_TEXT, "x" * 201]),
    ("unmatched-ids", "type", [*NOT_TEXT, "x" * 201]),
    ("unmatched-ids", "count", NOT_COUNTS),
    ("output-files", "path", [*NOT_TEXT, "x" * 701]),
    ("output-files", "sentToOds", [None, "true", "false", 1, 0, "", []]),
    ("output-files", "records", [None, [], "x", {"a": -1}, {"a": "1"}, {"x" * 256: 1}]),
    ("output-files", "sha256", [None, [], {"a.jsonl": 5}, {"a.jsonl": "x" * 65}]),
    ("matches", "inputRows", [None, *NOT_COUNTS]),
    ("matches", "odsMatched", [None, *NOT_COUNTS]),
    ("matches", "crossYearMatched", [None, *NOT_COUNTS]),
    ("matches", "unmatched", [None, *NOT_COUNTS]),
    ("matches", "blankIds", [None, *NOT_COUNTS]),
    ("matches", "ambiguousIds", [None, *NOT_COUNTS]),
    ("matches", "idName", [*NOT_TEXT, "x" * 201]),
    ("matches", "idType", [*NOT_TEXT, "x" * 201]),
    ("progress", "action", [*NOT_TEXT, "lunch"]),
    ("progress", "done", [None, *NOT_COUNTS]),
    ("progress", "total", NOT_COUNTS),
    ("progress", "unit", [*NOT_TEXT, "x" * 41, "604822", "<b>", "Marisol"]),
    ("matches", "peakMemoryMb", NOT_COUNTS),
    ("matches", "identityChecks", ["off", 1, True, "", []]),
    ("matches", "identityColumns", ["x", 1, [], {"firstName": 1}, {"firstName": "x" * 201}]),
    ("matches", "disagreeing", NOT_COUNTS),
    ("matches", "repairable", NOT_COUNTS),
    ("matches", "suggested", NOT_COUNTS),
    ("matches", "matchRate", [None, "0.5", -0.1, 1.1, 1e300, True]),
]
every_report = pytest.mark.parametrize("call", GOOD)


def kept():
    tables = (OutputSet, ResourceSummary, RunError, RunMatches, RunUpdate, UnmatchedIds)
    told = Run.objects.filter(progress__isnull=False).count()
    return told + sum(table.objects.count() for table in tables)


@pytest.mark.parametrize(("call", "field"), REQUIRED)
def test_a_missing_field_is_named_and_nothing_kept(executor, call, field):
    body = {name: value for name, value in GOOD[call].items() if name != field}
    response = executor.post(call, body)
    assert response.status_code == 400
    assert response.json() == {field: ["This field is required."]}
    assert kept() == 0


@pytest.mark.parametrize(
    ("call", "field", "value"),
    [(call, field, value) for call, field, values in WRONG for value in values],
)
def test_a_wrong_value_is_named_and_nothing_kept(executor, call, field, value):
    response = executor.post(call, GOOD[call] | {field: value})
    assert response.status_code == 400
    assert list(response.json()) == [field]
    assert kept() == 0


@pytest.mark.parametrize("field", COUNTS)
@pytest.mark.parametrize("value", [None, "3", -1, 1.5, True, [], 2**31])
def test_a_wrong_count_in_the_summary_is_named_with_its_resource(executor, field, value):
    body = {"assessments": COUNTS, "studentAssessments": COUNTS | {field: value}}
    response = executor.post("summary", body)
    assert response.status_code == 400
    assert list(response.json()) == ["studentAssessments"]
    assert list(response.json()["studentAssessments"]) == [field]
    assert kept() == 0


@pytest.mark.parametrize("value", [None, 3, "3", [], [COUNTS], {}])
def test_a_resource_without_its_counts_is_named(executor, value):
    response = executor.post("summary", {"studentAssessments": value})
    assert response.status_code == 400
    assert list(response.json()) == ["studentAssessments"]
    assert kept() == 0


@pytest.mark.parametrize("name", ["", "x" * 201, "\0"])
def test_a_resource_needs_a_name_of_reasonable_length(executor, name):
    assert executor.post("summary", {name: COUNTS}).status_code == 400
    assert kept() == 0


@every_report
@pytest.mark.parametrize("body", [None, 1, "text", True, [], [{}]])
def test_a_body_that_is_no_object_is_400(executor, call, body):
    assert executor.post(call, json.dumps(body)).status_code == 400
    assert kept() == 0


@every_report
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"not json",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\xff"}',
        "{}".encode("utf-16"),
        b"[" * 100_000,
        b'{"a": ' + b"[" * 30 + b"]" * 30 + b"}",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_malformed_json_is_400_and_says_why(executor, call, body):
    response = executor.post(call, body)
    assert response.status_code == 400
    assert response.json()["detail"].startswith("The body is not acceptable JSON: ")
    assert kept() == 0


@every_report
def test_no_body_is_400(executor, call):
    response = executor.post(call, b"")
    assert response.status_code == (201 if call == "summary" else 400)
    assert kept() == 0


@every_report
def test_a_huge_body_is_413(executor, call):
    body = json.dumps({"action": "x" * 1024 * 1024})
    response = executor.post(call, body)
    assert response.status_code == 413
    assert response.json() == {"detail": "The body is larger than 1048576 bytes."}
    assert kept() == 0


@every_report
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_415(executor, client, call, content_type):
    response = client.post(
        executor.url(call),
        json.dumps(GOOD[call]),
        content_type=content_type,
        headers={"Authorization": f"Bearer {executor.token}"},
    )
    assert response.status_code == 415
    assert kept() == 0


def test_a_charset_beside_the_content_type_is_fine(executor, client):
    response = client.post(
        executor.url("status"),
        json.dumps(GOOD["status"]),
        content_type="application/json; charset=utf-8",
        headers={"Authorization": f"Bearer {executor.token}"},
    )
    assert response.status_code == 201


@every_report
def test_fields_that_we_do_not_know_are_ignored(run, executor, call):
    factories.store_file(run.job, "output/non-ods/a.jsonl")
    base = f"ea/grand_bend/2526/{run.job_id}"
    body = json.loads(json.dumps(GOOD[call]).replace("BASE", base))
    if call == "summary":
        body["studentAssessments"] |= {"failures": [{"status_code": 400}]}
    else:
        body["somethingNew"] = {"a": 1}
    assert executor.post(call, body).status_code == 201
    assert kept() == 1


@pytest.mark.parametrize("text", ["\0", "\ud800", "a\0b\udfffc"])
def test_text_that_the_database_cannot_hold_does_no_harm(executor, text):
    assert executor.post("status", {"action": text, "status": text}).status_code == 400
    body = {"code": "unknown", "payload": {text: [text, {text: text}], "stacktrace": text}}
    assert executor.post("error", body).status_code == 201
    body = {"name": f"id{text}", "type": f"State{text}"}
    assert executor.post("unmatched-ids", body).status_code == 201
    assert executor.post("summary", {f"students{text}": COUNTS}).status_code == 201
    assert executor.post("summary", {text: {text: text}}).status_code == 400
    assert executor.post("output-files", {"path": text, "sentToOds": True}).status_code == 400


def test_an_action_that_a_newer_executor_knows_is_kept_as_it_is(executor):
    assert executor.post("status", {"action": "x_1" * 21, "status": "begin"}).status_code == 201
    [update] = RunUpdate.objects.all()
    assert (update.action, update.get_action_display()) == ("x_1" * 21, "x_1" * 21)


def test_id_columns_that_the_file_lacks_are_kept_and_may_be_left_out(executor):
    assert executor.post("matches", MATCHES).status_code == 201
    assert RunMatches.objects.get().missing_id_columns == []
    told = MATCHES | {"missingIdColumns": ["StateID"]}
    assert executor.post("matches", told).status_code == 201
    assert RunMatches.objects.get().missing_id_columns == ["StateID"]
