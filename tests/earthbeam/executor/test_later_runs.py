"""Previews, and runs of what an earlier run has stored: load it, send again, take it back."""

import json

import pytest

from runway.sandbox.ods import Faults
from runway.sandbox.population import CURRENT, EARLIER, in_group
from tests.earthbeam.executor.conftest import edu_roster
from tests.earthbeam.executor.test_identity_checks import BUNDLE, file_of, row
from tests.earthbeam.executor.test_runs import ids_sent, json_lines

pytestmark = pytest.mark.slow

HERE, GONE = in_group(CURRENT)[10:70], in_group(EARLIER)[:4]
RESULTS = "studentAssessments"
ROWS = [*map(row, HERE[:20]), row(HERE[20], StateStudentID="77"), *map(row, GONE)]


@pytest.fixture
def load(app, ods, workbench, write_file):
    """Run the file as the given kind, with cross-year matching."""

    def load(rows=ROWS, **changes):
        app.roster = edu_roster
        workbench.job(
            write_file("scores.csv", file_of(rows)), BUNDLE, ods, cross_year=True, **changes
        )
        ended = workbench.run()
        assert app.outcome() == "done success", ended.log
        return ended

    return load


@pytest.fixture
def later(app, workbench):
    """Run something on what the run before has stored, as the app would."""

    stored, reported = {}, {}

    def later(kind, *, sets=("ods", "non-ods"), **changes):
        for body in app.posted("output-files"):
            stored[body["path"].rpartition("/")[2]] = body["sha256"]
        if app.posted("output-files"):
            reported["matches"] = app.posted("matches")[-1]
            reported["unmatchedIds"] = (app.posted("unmatched-ids") or [None])[-1]
            reported["summary"] = app.posted("summary")[-1]
        app.payload.pop("kind", None)
        app.payload |= {
            "storedSets": {name: stored[name] for name in sets},
            "reported": reported,
            **({"kind": kind} if kind else {}),
            **changes,
        }
        app.reports.clear()
        app.init_status = 200
        return workbench.run()

    return later


def refused_lines(workbench):
    return json_lines(workbench.output()["refused_records.jsonl"])


def test_refused_records_lead_to_the_rows_of_their_students(app, ods, workbench, load):
    ods.faults = Faults(reject_every=7, reject_resource=RESULTS)
    load()
    refused = refused_lines(workbench)
    assert len(refused) == 2
    lines = workbench.output()[f"ods/{RESULTS}.jsonl"].splitlines()
    by_student = {student.unique_id: n for n, student in enumerate(HERE[:20], start=1)}
    for each in refused:
        record = json.loads(lines[each["line"] - 1])
        assert each["rows"] == [by_student[record["studentReference"]["studentUniqueId"]]]
        assert each["resource"] == RESULTS
        assert each["status"] == 400
        assert "told to refuse" in each["message"]
    [matches] = app.posted("matches")
    assert matches["refusedRows"] == len({row for each in refused for row in each["rows"]})


def test_a_refused_assessment_is_of_no_row_but_its_results_are(app, ods, workbench, load):
    ods.faults = Faults(reject_posts=True, reject_resource="assessments")
    load()
    refused = refused_lines(workbench)
    of_rows = {each["resource"]: each["rows"] for each in refused}
    assert of_rows["assessments"] == []
    assert app.posted("matches")[0]["refusedRows"] == 20


def test_a_resend_sends_the_refused_records_only(app, ods, workbench, load, later):
    ods.faults = Faults(reject_every=4, reject_resource=RESULTS)
    load()
    refused = refused_lines(workbench)
    loaded = workbench.output()
    summary = app.posted("summary")[0]
    ods.faults = Faults(reject_every=3, reject_resource=RESULTS)
    ended = later("resend", sets=["ods"])
    assert app.outcome() == "done success", ended.log
    assert "earthmover" not in " ".join(app.steps())
    still = refused_lines(workbench)
    assert len(refused) == 5 and len(still) == 1
    [line] = still
    assert line in refused
    assert app.posted("matches")[0]["refusedRows"] == 1
    assert app.posted("matches")[0]["inputRows"] == len(ROWS)
    assert app.posted("unmatched-ids")[0]["count"] == 1
    assert app.posted("summary")[0][RESULTS] == {**summary[RESULTS], "records_failed": 1}
    results = json.loads(workbench.output()["lb-send-results.json"])["resources"][RESULTS]
    assert results["records_failed"] == 1
    assert results["failures"][0]["line_numbers"] == [line["line"]]
    assert len(ods.received(RESULTS)) == 19

    ods.faults = Faults()
    later("resend", sets=["ods"])
    assert app.outcome() == "done success"
    assert workbench.output()["refused_records.jsonl"] == b""
    assert app.posted("summary")[0][RESULTS]["records_failed"] == 0
    assert ids_sent(ods.received(RESULTS)) == {s.unique_id for s in HERE[:20]}
    sets = {name: content for name, content in loaded.items() if "/" in name}
    assert sets.items() <= workbench.output().items()
    assert list(workbench.scratch.iterdir()) == []


def test_a_resend_while_the_ods_is_away_fails_and_can_be_repeated(app, ods, workbench, load, later):
    ods.faults = Faults(reject_every=4, reject_resource=RESULTS)
    load()
    before = workbench.output()
    ods.faults = Faults(refuse_credentials=True)
    later("resend", sets=["ods"])
    assert app.outcome() == "done failure"
    assert app.error()["code"] == "lightbeam_send"
    assert workbench.output() == before


def test_records_that_were_lost_on_the_way_are_named_and_sent_again(
    app, ods, workbench, load, later
):
    load()
    everyone = ods.received_counts()
    ods.faults = Faults(reject_every=2, reject_resource=RESULTS)
    load()
    # From the middle of the resend on, the ODS resets each connection.
    ods.faults = Faults(reset_after=4)
    later("resend", sets=["ods"])
    if app.outcome() == "done success":
        lines = [each["line"] for each in refused_lines(workbench)]
        assert None not in lines
        counts = app.posted("summary")[0][RESULTS]
        assert counts["records_failed"] == len(lines) == len(set(lines))
    ods.faults = Faults()
    later("resend", sets=["ods"])
    assert app.outcome() == "done success"
    assert app.posted("summary")[0][RESULTS]["records_failed"] == 0
    assert ods.received_counts() == everyone


def test_a_preview_sends_nothing_and_its_sets_are_loaded_as_they_are(
    app, ods, workbench, load, later
):
    load(kind="preview")
    assert ods.received_counts() == {}
    assert "lightbeam_send begin" not in app.steps()
    matches = app.posted("matches")[0]
    assert (matches["odsMatched"], matches["crossYearMatched"], matches["unmatched"]) == (20, 4, 1)
    assert matches["refusedRows"] is None
    assert app.posted("summary")[0][RESULTS]["records_processed"] == 24
    previewed = workbench.output()
    sets = app.posted("output-files")

    ods.faults = Faults(reject_every=10, reject_resource=RESULTS)
    ended = later(None)
    assert app.outcome() == "done success", ended.log
    assert not any(step.startswith("earthmover_run") for step in app.steps())
    assert app.posted("output-files") == sets
    assert len(ods.received(RESULTS)) == 18
    assert app.posted("summary")[0][RESULTS] == {
        "records_processed": 24, "records_skipped": 0, "records_failed": 2,
    }  # fmt: skip
    assert app.posted("matches")[0]["refusedRows"] == 2
    assert sorted(len(each["rows"]) for each in refused_lines(workbench)) == [1, 1]
    assert previewed.items() <= workbench.output().items()


def test_of_a_preview_that_goes_to_no_ods_none_was_refused_or_taken(app, workbench, load, later):
    load(kind="preview", sendToOds=False, assessmentDatastore=None)
    later(None, sets=["non-ods"])
    assert app.outcome() == "done success"
    assert app.posted("matches")[0]["refusedRows"] is None


def test_a_set_that_is_gone_or_was_replaced_is_not_sent(app, ods, workbench, load, later):
    load(kind="preview")
    key = f"output/ods/{RESULTS}.jsonl"
    changed = workbench.scratch / "changed"
    changed.write_bytes(workbench.files.open(key).read().replace(b"2025", b"2024"))
    workbench.files.upload(changed, key)
    changed.unlink()
    later(None)
    assert app.outcome() == "done failure"
    assert app.error()["code"] == "artifact_not_found"
    workbench.files.delete(key)
    app.reports[:] = []
    workbench.run()
    assert app.error()["code"] == "artifact_not_found"
    assert app.error()["payload"]["path"] == key
    assert ods.received_counts() == {}


def leave(workbench, *lines):
    path = workbench.root / "leave"
    path.write_text("".join(json.dumps({"resource": RESULTS, "line": n}) + "\n" for n in lines))
    workbench.files.upload(path, "input/__leave.jsonl")


def test_a_withdrawal_deletes_students_records_but_those_to_be_left(
    app, ods, workbench, load, later
):
    load()
    loaded = ods.received_counts()
    leave(workbench, 2, 5)
    ended = later("withdraw", leaveFile="__leave.jsonl")
    assert app.outcome() == "done success", ended.log
    lines = [json.loads(each) for each in workbench.output()[f"ods/{RESULTS}.jsonl"].splitlines()]
    left = {lines[n]["studentReference"]["studentUniqueId"] for n in (1, 4)}
    assert ids_sent(ods.received(RESULTS)) == left
    assert ods.received_counts() == {**loaded, RESULTS: 2}
    assert app.posted("summary") == [
        {RESULTS: {"records_processed": 18, "records_skipped": 0, "records_failed": 0}}
    ]


def test_an_ods_that_dies_in_the_middle_of_a_withdrawal_is_gone_on_with_later(
    app, ods, workbench, load, later
):
    load()
    ods.faults = Faults(reset_after=25)
    later("withdraw")
    assert app.outcome() == "done failure"
    error = app.error()
    assert error["code"] == "lightbeam_delete"
    left = len(ods.received(RESULTS))
    assert error["payload"]["records"] == left > 0
    counts = app.posted("summary")[0][RESULTS]
    assert counts["records_failed"] == left
    ods.faults = Faults()
    later("withdraw")
    assert app.outcome() == "done success"
    assert ods.received(RESULTS) == []
    assert app.posted("summary")[0][RESULTS] == {
        "records_processed": 20, "records_skipped": 20 - left, "records_failed": 0,
    }  # fmt: skip


def test_deletes_that_the_ods_refuses_for_a_while_are_tried_again(app, ods, workbench, load, later):
    load()
    ods.faults = Faults(refuse_delete_every=4)
    later("withdraw")
    assert app.outcome() == "done success"
    assert ods.received(RESULTS) == []
    assert app.posted("summary")[0][RESULTS] == {
        "records_processed": 20, "records_skipped": 0, "records_failed": 0,
    }  # fmt: skip
    told = [each for each in app.progress if each["action"] == "lightbeam_delete"]
    assert (told[-1]["total"], told[-1]["unit"]) == (20, "records")
    assert 15 <= told[-1]["done"] <= 20  # also told while it waited to try again
