"""An ODS that fails for a while, for ever, or half-way."""

import json
import threading
import time

import pytest

from runway.sandbox.ods import Faults
from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor.test_failures import fails
from tests.earthbeam.executor.test_runs import INTERIM, ids_sent, interim

pytestmark = pytest.mark.slow

KNOWN = in_group(CURRENT)[10:40]


@pytest.fixture
def job(ods, workbench, write_file):
    content = interim([(s.state_id, "", "A") for s in KNOWN])
    workbench.job(write_file("scores.csv", content.encode()), INTERIM, ods)


def run_completes(app, ods, workbench):
    ended = workbench.run()
    assert app.outcome() == "done success", ended.log
    assert ids_sent(ods.received("studentAssessments")) == {s.unique_id for s in KNOWN}
    (summary,) = app.posted("summary")
    assert {counts["records_failed"] for counts in summary.values()} == {0}
    return ended


def test_a_roster_page_that_answers_500_for_ever_ends_the_run_early(app, job, ods, workbench):
    ods.faults = Faults(roster_page=2, roster_page_status=500)
    started = time.monotonic()
    payload = fails(app, workbench, "lightbeam_fetch")
    assert time.monotonic() - started < 120, "the time limit is an hour"
    assert payload["resource"] == "studentEducationOrganizationAssociations"
    assert "500" in payload["stacktrace"]
    assert app.steps()[-2] == "get_student_roster failure"
    assert "studentEducationOrganizationAssociations.jsonl" not in workbench.output()


def test_a_token_that_expires_half_way_through_the_roster_is_renewed(app, job, ods, workbench):
    ods.faults = Faults(token_requests=2)
    stop_expiring_when_sending(app, ods)
    run_completes(app, ods, workbench)


def test_roster_pages_that_are_put_off_come_later(app, job, ods, workbench):
    ods.faults = Faults(roster_page=2, roster_page_status=429, roster_page_times=3)
    run_completes(app, ods, workbench)


def test_records_that_are_put_off_are_sent_again(app, job, ods, workbench):
    # With the assessment that is put off go all results, which refer to it.
    when(app, "lightbeam_send", lambda: fail_for(2, ods, Faults(throttle_every=8)))
    run_completes(app, ods, workbench)
    results = json.loads(workbench.output()["lb-send-results.json"])
    assert results["total_records_failed"] == 0
    counts = results["resources"]["studentAssessments"]
    assert counts["records_processed"] == len(KNOWN)
    assert sum(success["count"] for success in counts["successes"]) == len(KNOWN)
    assert counts.get("failures", []) == []


def test_an_ods_that_takes_so_many_records_a_second_gets_them_at_its_pace(
    app, ods, workbench, write_file
):
    students = in_group(CURRENT)[10:170]
    content = interim([(s.state_id, "", "A") for s in students])
    workbench.job(write_file("scores.csv", content.encode()), INTERIM, ods)
    ods.faults = Faults(posts_per_second=20)
    ended = workbench.run()
    assert app.outcome() == "done success", ended.log
    (summary,) = app.posted("summary")
    assert {counts["records_failed"] for counts in summary.values()} == {0}
    assert summary["studentAssessments"]["records_processed"] == len(students)
    assert "The ODS asks to wait" in ended.log


def test_records_that_were_lost_on_the_way_are_sent_again(app, job, ods, workbench):
    when(app, "lightbeam_send", lambda: fail_for(2, ods, Faults(reset_after=20)))
    run_completes(app, ods, workbench)


def test_a_connection_that_is_reset_for_a_moment_costs_the_roster_nothing(app, job, ods, workbench):
    when(app, "get_student_roster", lambda: fail_for(1, ods, Faults(reset_after=1)))
    run_completes(app, ods, workbench)


def test_an_ods_that_vanishes_while_it_is_sent_to(app, job, ods, workbench):
    def vanish():
        set_faults(ods, Faults(delay_seconds=0.1))
        while len(ods.received("studentAssessments")) < 8:
            time.sleep(0.01)
        ods.close()

    when(app, "lightbeam_send", lambda: threading.Thread(target=vanish, daemon=True).start())
    ended = workbench.run()
    assert (ended.exit_status, app.outcome()) == (0, "done success"), ended.log
    (summary,) = app.posted("summary")
    received = len(ods.received("studentAssessments"))
    # What was on its way when it vanished may have arrived without an answer.
    failed = summary["studentAssessments"]["records_failed"]
    assert len(KNOWN) - received <= failed < len(KNOWN)


def when(app, step, do):
    def on_report(name, body):
        if name == "status" and body == {"action": step, "status": "begin"}:
            do()

    app.on_report = on_report


def set_faults(ods, faults):
    ods.faults = faults


def fail_for(seconds, ods, faults):
    set_faults(ods, faults)
    threading.Timer(seconds, lambda: set_faults(ods, Faults())).start()


def stop_expiring_when_sending(app, ods):
    # lightbeam gets itself a new token for each record then, and waits a second each time.
    when(app, "earthmover_run", lambda: set_faults(ods, Faults()))
