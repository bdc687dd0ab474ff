"""An ODS that dies or refuses in the middle of a run."""

import pytest

from earthbeam.jobs.lifecycle import start_run
from partners.models import OdsConnection
from runway.sandbox.ods import Faults
from tests.e2e.holds import without_the_end_of
from tests.e2e.jobs import (
    nothing_was_sent,
    only_error,
    steps,
    submit,
    wait_for_end,
    wait_for_step,
    wait_until,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_an_ods_that_dies_while_its_roster_is_fetched(stack, ods, interim):
    ods.faults = Faults(delay_seconds=20)
    run = start_run(submit(interim))
    wait_for_step(run, "get_student_roster")
    ods.close()
    wait_for_end(run)

    code, payload = only_error(run)
    assert code == "lightbeam_fetch"
    assert "check its URL and credentials" in payload["message"]
    assert steps(run)[-2:] == ["get_student_roster failure", "done failure"]
    assert not run.output_sets.exists()
    assert stack.left_behind() == []


def test_an_ods_that_dies_before_anything_is_sent(stack, ods, interim):
    with without_the_end_of("earthmover_run"):
        run = start_run(submit(interim))
        wait_for_step(run, "earthmover_run")
        ods.close()
    wait_for_end(run)

    code, payload = only_error(run)
    assert code == "lightbeam_send"
    assert "could not be reached" in payload["message"]
    assert steps(run)[-2:] == ["lightbeam_send failure", "done failure"]
    assert not run.output_sets.exists()
    assert nothing_was_sent(ods)
    assert stack.left_behind() == []


def test_what_an_ods_that_dies_while_it_is_sent_to_did_not_take_counts_as_failed(
    stack, ods, interim
):
    ods.faults = Faults(post_delay_seconds=0.5)
    run = start_run(submit(interim))
    wait_until("records arrive", lambda: len(ods.received("studentAssessments")) > 20)
    ods.close()
    wait_for_end(run)

    assert run.status == "success", run.log.text
    expected, received = interim.expected, len(ods.received("studentAssessments"))
    records = run.summary.get(resource="studentAssessments")
    assert records.records_processed == expected.ods + expected.cross_year
    # More than are missing there, as the answers to some were lost.
    assert expected.ods - received <= records.records_failed < expected.ods
    assert received < expected.ods
    assert run.output_sets.count() == 2
    assert stack.left_behind() == []


def test_an_ods_that_does_not_know_the_districts_client(stack, ods, interim):
    job = submit(interim)
    OdsConnection.objects.update(client_id="retired-client")
    run = wait_for_end(start_run(job))

    code, payload = only_error(run)
    assert code == "lightbeam_fetch"
    assert "credentials" in payload["message"]
    assert nothing_was_sent(ods)
    assert stack.left_behind() == []
