import json
import logging

import pytest
from django.contrib.auth import get_user_model

from earthbeam.notify import events
from earthbeam.runs import reports
from tests import factories

pytestmark = pytest.mark.django_db


def told_of(run, caplog):
    caplog.set_level(logging.INFO, "runway.events")
    events.log_run_complete(run)
    (record,) = [record for record in caplog.records if record.name == "runway.events"]
    assert "\n" not in record.message
    name, _, detail = record.message.partition(" ")
    assert name == "run_complete"
    return json.loads(detail), record.message


def test_a_complete_run_is_told_with_ids_counts_and_codes(caplog):
    user = get_user_model().objects.create(username="someone")
    run = factories.make_run(
        status="success",
        started_by=user,
        has_errors=True,
        edu_unavailable="edu_no_credentials",
    )
    reports.record_unmatched_ids(run, "student_id", "State", 17)
    reports.record_summary(
        run,
        {
            "studentAssessments": {
                "records_processed": 9,
                "records_skipped": 1,
                "records_failed": 3,
            },
            "assessments": {"records_processed": 1, "records_skipped": 0, "records_failed": 0},
        },
    )
    detail, _ = told_of(run, caplog)
    assert detail == {
        "summary": "Reading check for grand_bend, 2526: success",
        "completedWithErrors": True,
        "outcome": "complete_with_errors",
        "kind": "load",
        "eduUnavailable": "edu_no_credentials",
        "sendToOds": True,
        "odsUrl": "http://127.0.0.1:9/ods",
        "unmatchedStudentsCount": 17,
        "input": {"assessment": "Reading check", "params": {}},
        "result": {
            "assessments": {"recordsProcessed": 1, "recordsSkipped": 0, "recordsFailed": 0},
            "studentAssessments": {"recordsProcessed": 9, "recordsSkipped": 1, "recordsFailed": 3},
        },
        "metadata": {
            "tenantCode": "grand_bend",
            "partnerId": "ea",
            "userId": user.pk,
            "createdOn": run.created_at.isoformat(),
            "completedOn": run.ended_at and run.ended_at.isoformat(),
        },
        "runId": str(run.pk),
        "jobId": str(run.job_id),
        "partner": "ea",
        "tenant": "grand_bend",
        "schoolYear": "2526",
        "bundle": "assessments/Reading_Check",
        "sentToOds": True,
        "status": "success",
        "unmatched": 17,
        "rows": None,
        "resourceErrors": {"studentAssessments": 3},
        "errorCodes": [],
        "startedBy": {"userId": user.pk, "apiClient": None},
    }


def test_what_an_error_says_stays_with_the_run(caplog):
    run = factories.make_run(status="error", api_client="loader")
    reports.record_error(run, "earthmover_run", {"stacktrace": "student 604822 broke it"})
    detail, line = told_of(run, caplog)
    assert detail["errorCodes"] == ["earthmover_run"]
    assert detail["startedBy"] == {"userId": None, "apiClient": "loader"}
    assert "604822" not in line


def test_the_unmatched_count_comes_from_the_matches_if_the_ids_report_gives_none(caplog):
    run = factories.make_run(status="success")
    reports.record_unmatched_ids(run, "student_id", "State", None)
    reports.record_matches(
        run,
        {
            "input_rows": 10,
            "ods_matched": 7,
            "cross_year_matched": 1,
            "unmatched": 2,
            "blank_ids": 1,
            "ambiguous_ids": 0,
            "id_name": "student_id",
            "id_type": "State",
            "match_rate": 0.7,
        },
    )
    detail, _ = told_of(run, caplog)
    assert detail["unmatched"] == 2
    assert detail["rows"] == {
        "inputRows": 10,
        "odsMatched": 7,
        "refusedRows": None,
        "crossYearMatched": 1,
        "unmatched": 2,
        "blankIds": 1,
        "ambiguousIds": 0,
        "untransformable": None,
    }


@pytest.mark.parametrize(("kind", "sent"), [("load", True), ("resend", True), ("preview", False)])
def test_a_preview_is_not_told_as_something_that_was_sent(caplog, kind, sent):
    load = factories.make_run(status="success")
    run = factories.make_run(load.job, status="success", kind=kind, continues=load)
    detail, _ = told_of(run, caplog)
    assert (detail["kind"], detail["sentToOds"], detail["sendToOds"]) == (kind, sent, sent)


def test_a_run_that_did_not_say_has_no_unmatched_count(caplog):
    assert told_of(factories.make_run(status="error"), caplog)[0]["unmatched"] is None


def test_a_clients_run_names_the_client_and_no_column_of_its_file():
    job = factories.make_job()
    job.input_params["POSSIBLE_STUDENT_ID_COLUMNS"] = "Secret column"
    job.save()
    told = events.detail(factories.make_run(job, status="success", api_client="loader"))
    assert told["metadata"]["apiClientName"] == "loader"
    assert "userId" not in told["metadata"]
    assert "Secret column" not in json.dumps(told)


@pytest.mark.parametrize(("label", "source"), [("prod", "runway.prod"), (None, "runway")])
def test_rules_on_the_bus_filter_by_the_deployments_source(settings, label, source):
    settings.ENVLABEL = label
    assert events.source() == source
