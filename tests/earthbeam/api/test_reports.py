"""What runs report, is kept; what arrives twice or late, does no harm."""

import json
import uuid
from pathlib import Path

import pytest

from earthbeam.models import OutputSet, Run, RunUpdate
from earthbeam.runs import reports, states, tokens
from tests import factories
from tests.earthbeam.api.conftest import Executor
from tests.earthbeam.api.test_bodies import COUNTS, MATCHES

STEPS = [action.value for action in RunUpdate.Action if action != RunUpdate.Action.DONE]


def assert_created(response):
    assert (response.status_code, response.content) == (201, b"")


# --- status ---------------------------------------------------------------------------------


def test_a_runs_steps_are_kept_in_order(run, executor):
    expected = []
    for step in STEPS:
        for status in ("begin", "success"):
            assert_created(executor.post("status", {"action": step, "status": status}))
            expected.append((step, status))
    assert list(run.updates.values_list("action", "status")) == expected
    run.refresh_from_db()
    assert run.status == Run.Status.RUNNING


@pytest.mark.parametrize(
    ("reported", "status"), [("success", "success"), ("failure", "error"), ("begin", "error")]
)
def test_done_ends_the_run_and_records_its_output(run, executor, reported, status):
    factories.store_file(run.job, "output/student_id_match_rates.csv", b"x")
    factories.store_file(run.job, "output/ods/studentAssessments.jsonl", b"{}\n")
    assert_created(executor.post("status", {"action": "done", "status": reported}))
    run.refresh_from_db()
    assert run.status == status
    assert dict(run.output_files.values_list("path", "size")) == {
        "student_id_match_rates.csv": 1,
        "ods/studentAssessments.jsonl": 3,
    }


def test_a_repeated_status_is_one_update(run, executor):
    for _ in range(3):
        assert_created(executor.post("status", {"action": "earthmover_run", "status": "begin"}))
    assert run.updates.count() == 1


def test_done_again_changes_nothing(run, executor):
    assert_created(executor.post("status", {"action": "done", "status": "success"}))
    for status in ("success", "failure"):
        assert_created(executor.post("status", {"action": "done", "status": status}))
    run.refresh_from_db()
    assert run.status == Run.Status.SUCCESS


def test_late_reports_of_a_run_given_up_are_kept_but_it_stays_ended(run, executor):
    states.fail(run.pk, "executor_timeout", {"timeout_seconds": 60})
    assert_created(executor.post("status", {"action": "lightbeam_send", "status": "success"}))
    assert_created(executor.post("summary", {"studentAssessments": COUNTS}))
    assert_created(executor.post("status", {"action": "done", "status": "success"}))
    run.refresh_from_db()
    assert run.status == Run.Status.ERROR
    assert run.updates.count() == 2
    assert run.summary.count() == 1


# --- error ----------------------------------------------------------------------------------


def test_an_error_is_kept_as_given_and_once(run, executor):
    payload = {"stacktrace": "…", "match_rate": 0.1, "id_name": "student_id", "nested": {"a": [1]}}
    for _ in range(2):
        assert_created(executor.post("error", {"code": "insufficient_matches", "payload": payload}))
    assert list(run.errors.values_list("code", "payload")) == [("insufficient_matches", payload)]
    run.refresh_from_db()
    assert run.status == Run.Status.RUNNING


def test_different_errors_of_a_run_are_all_kept(run, executor):
    for resource in ("students", "schools"):
        body = {"code": "lightbeam_fetch", "payload": {"resource": resource}}
        assert_created(executor.post("error", body))
    assert run.errors.count() == 2


@pytest.mark.parametrize("letter", ["x", "é", "\n", "😀", "\x01"])
def test_of_a_long_stack_trace_the_end_is_kept(run, executor, letter):
    trace = letter * 50_000 + "ValueError: the cause"
    body = {"code": "unknown", "payload": {"stacktrace": trace, "path": "p" * 3000, "count": 5}}
    assert_created(executor.post("error", body))
    kept = run.errors.get().payload
    assert kept["stacktrace"].endswith("ValueError: the cause")
    assert len(kept["stacktrace"]) > 400
    assert kept["path"] == "p" * 500
    assert kept["count"] == 5
    assert len(json.dumps(kept)) <= 8 * 1024


def test_an_error_that_is_large_all_over_is_kept_as_far_as_it_fits(run, executor):
    payload = {f"field{number}": "x" * 400 for number in range(100)} | {"list": [1] * 9000}
    assert_created(executor.post("error", {"code": "unknown", "payload": payload}))
    kept = run.errors.get().payload
    assert "field0" in kept
    assert "list" not in kept
    assert len(json.dumps(kept)) <= 8 * 1024


# --- summary, unmatched ids, matches --------------------------------------------------------


def test_a_summary_is_kept_for_each_resource_and_a_repeat_replaces_it(run, executor):
    executor.post("summary", {"studentAssessments": COUNTS, "assessments": COUNTS})
    assert_created(executor.post("summary", {"studentAssessments": COUNTS | {"records_failed": 0}}))
    fields = ("resource", "records_processed", "records_skipped", "records_failed")
    assert list(run.summary.values_list(*fields)) == [
        ("assessments", 3, 2, 1),
        ("studentAssessments", 3, 2, 0),
    ]


def test_an_empty_summary_is_no_mistake(run, executor):
    assert_created(executor.post("summary", {}))
    assert run.summary.count() == 0


@pytest.mark.parametrize(
    ("extra", "count"),
    [({"count": 17}, 17), ({"count": 0}, 0), ({}, None), ({"count": None}, None)],
)
def test_unmatched_ids_are_kept_with_their_count_if_there_is_one(run, executor, extra, count):
    assert_created(executor.post("unmatched-ids", {"name": " Id ", "type": "State", **extra}))
    assert (run.unmatched_ids.name, run.unmatched_ids.type) == (" Id ", "State")
    assert run.unmatched_ids.count == count


def test_the_last_unmatched_ids_count(run, executor):
    executor.post("unmatched-ids", {"name": "a", "type": "State", "count": 1})
    assert_created(executor.post("unmatched-ids", {"name": "b", "type": "Local", "count": 2}))
    assert (run.unmatched_ids.name, run.unmatched_ids.count) == ("b", 2)


def test_matches_are_kept_and_a_repeat_replaces_them(run, executor):
    executor.post("matches", MATCHES | {"unmatched": 9})
    assert_created(executor.post("matches", MATCHES))
    found = run.matches
    assert (found.input_rows, found.ods_matched, found.cross_year_matched) == (10, 6, 2)
    assert (found.unmatched, found.blank_ids, found.ambiguous_ids) == (2, 1, 0)
    assert (found.id_name, found.id_type, found.match_rate) == ("student_id", "State", 0.6)


@pytest.mark.parametrize("rate", [0, 1, 0.0, 1.0, 0.12345])
def test_a_match_rate_may_be_a_whole_number(run, executor, rate):
    assert_created(executor.post("matches", MATCHES | {"matchRate": rate}))
    assert run.matches.match_rate == rate


# --- progress -------------------------------------------------------------------------------

PROGRESS = {"action": "lightbeam_send", "done": 5, "total": 9, "unit": "records"}


def test_the_last_word_on_a_step_counts_beside_that_the_roster_was_asked_for(run, executor):
    reports.record_cross_year(run)
    executor.post("progress", PROGRESS)
    assert_created(executor.post("progress", PROGRESS | {"done": 7}))
    run.refresh_from_db()
    assert run.progress.pop("cross_year_at")
    assert run.progress.pop("first_at")
    assert run.progress == PROGRESS | {"done": 7, "first_done": 5}


def test_the_first_report_is_kept_until_another_thing_is_counted(run, executor):
    executor.post("progress", PROGRESS)
    run.refresh_from_db()
    began = run.progress["first_at"]
    executor.post("progress", PROGRESS | {"done": 6})
    run.refresh_from_db()
    assert (run.progress["first_done"], run.progress["first_at"]) == (5, began)
    executor.post("progress", PROGRESS | {"done": 0, "unit": "rows transformed"})
    run.refresh_from_db()
    assert run.progress["first_done"] == 0
    assert run.progress["first_at"] > began


def test_a_total_may_be_unknown(run, executor):
    assert_created(executor.post("progress", PROGRESS | {"total": None}))
    run.refresh_from_db()
    assert run.progress["total"] is None


def test_a_word_that_comes_after_the_end_changes_nothing(run, executor):
    Run.objects.update(status="error")
    assert_created(executor.post("progress", PROGRESS))
    run.refresh_from_db()
    assert run.progress is None


# --- output sets ----------------------------------------------------------------------------


@pytest.fixture
def base(run):
    factories.store_file(run.job, "output/non-ods/studentAssessments.jsonl")
    factories.store_file(run.job, "output/non-ods/assessments.jsonl")
    return f"ea/grand_bend/2526/{run.job_id}"


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_an_output_set_is_kept_with_its_files(run, executor, base, slashes):
    path = f"{base}/output/non-ods"
    response = executor.post("output-files", {"path": path + slashes, "sentToOds": False})
    assert response.status_code == 201
    output_set = OutputSet.objects.get()
    assert response.json() == {"uid": str(output_set.uid)}
    assert output_set.run == run
    assert output_set.path == path
    assert output_set.sent_to_ods is False
    assert output_set.files == ["assessments.jsonl", "studentAssessments.jsonl"]


def test_a_set_is_reported_once_a_run(run, executor, base):
    path = f"{base}/output/non-ods"
    body = {"path": path, "sentToOds": False}
    assert executor.post("output-files", body).status_code == 201
    response = executor.post("output-files", body | {"path": f"{path}/"})
    assert response.status_code == 409
    assert response.json() == {"detail": "The run has reported this output set before."}
    assert OutputSet.objects.count() == 1


def test_the_next_runs_set_at_the_same_path_holds_only_what_that_run_stored(run, executor, base):
    body = {"path": f"{base}/output/non-ods", "sentToOds": False}
    executor.post("output-files", body)
    states.finish(run.pk, success=False)
    again = factories.make_run(run.job, status="running")
    factories.store_file(run.job, "output/non-ods/studentAssessments.jsonl")
    response = Executor(again, tokens.access_token(again)).post("output-files", body)
    assert response.status_code == 201
    assert OutputSet.objects.get(run=again).files == ["studentAssessments.jsonl"]


def test_sets_that_were_and_were_not_sent_stand_side_by_side(run, executor, base):
    factories.store_file(run.job, "output/ods/studentAssessments.jsonl")
    for folder, sent in (("ods", True), ("non-ods", False)):
        body = {"path": f"{base}/output/{folder}", "sentToOds": sent}
        assert executor.post("output-files", body).status_code == 201
    assert list(OutputSet.objects.values_list("sent_to_ods", flat=True)) == [True, False]


@pytest.mark.parametrize(
    "path",
    [
        "BASE",
        "BASE/",
        "BASE//",
        "BASE-copy/output/non-ods",
        "BASE/../OTHER/output/non-ods",
        "BASE/output/../../OTHER/output/non-ods",
        "BASE/output/..",
        "BASE/./output/non-ods",
        "BASE/output//non-ods",
        "BASE//output/non-ods",
        "/BASE/output/non-ods",
        "../BASE/output/non-ods",
        "OTHER/output/non-ods",
        "output/non-ods",
        "ea/grand_bend/2526",
        "FILES/BASE/output/non-ods",
        "/",
        "..",
        "BASE/output/nothing-here",
        "BASE/output/non",
        "BASE/output/non-ods/assessments.jsonl",
        "BASE/output%2Fnon-ods",
        "BASE/output\\non-ods",
    ],
)
def test_a_path_that_is_no_set_of_the_job_is_400(run, executor, base, path, settings):
    other = factories.make_job(id=uuid.uuid4())
    factories.store_file(other, "output/non-ods/a.jsonl")
    for name, value in {
        "BASE": base,
        "OTHER": f"ea/grand_bend/2526/{other.pk}",
        "FILES": settings.FILES_BASE,
    }.items():
        path = path.replace(name, value)
    response = executor.post("output-files", {"path": path, "sentToOds": False})
    assert response.status_code == 400
    assert list(response.json()) == ["path"]
    assert not OutputSet.objects.exists()


def test_a_sibling_that_shares_the_prefix_is_refused_even_if_it_holds_files(run, executor, base):
    folder = Path(run.job.files_base.removeprefix("file://")) / f"{base}-copy" / "output"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text("{}\n")
    body = {"path": f"{base}-copy/output", "sentToOds": False}
    assert executor.post("output-files", body).status_code == 400
