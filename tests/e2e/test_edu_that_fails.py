"""EDU that cannot be had, or not to its end."""

import socket

import pytest

from earthbeam.jobs.lifecycle import start_run
from tests.e2e import impatient
from tests.e2e.jobs import (
    csv_rows,
    nothing_was_sent,
    only_error,
    output,
    steps,
    submit,
    wait_for_end,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def fails_for_want_of_the_roster(run, ods, stack):
    code, payload = only_error(run)
    assert code == "cross_year_roster_fetch", payload
    assert steps(run)[-2:] == ["earthmover_run failure", "done failure"]
    assert nothing_was_sent(ods)
    assert not run.output_sets.exists()
    assert not (output(run) / "cross_year_roster.jsonl").exists()
    assert stack.left_behind() == []
    return payload["message"]


def test_without_edus_credentials_rows_stay_unmatched_or_too_few_match(
    stack, ods, interim, summative
):
    stack.start_web(edu={})
    most_known, few_known = (start_run(submit(sample)) for sample in (interim, summative))

    run = wait_for_end(most_known)
    assert run.status == "success", run.log.text
    expected = interim.expected
    assert (run.matches.ods_matched, run.matches.cross_year_matched) == (expected.ods, 0)
    assert run.matches.unmatched == expected.rows - expected.ods
    assert [each.sent_to_ods for each in run.output_sets.all()] == [True]
    unmatched = csv_rows(output(run) / "input_no_student_id_match.csv")
    assert len(unmatched) == expected.rows - expected.ods

    code, payload = only_error(wait_for_end(few_known))
    assert code == "insufficient_matches"
    expected = summative.expected
    assert payload["match_rate"] == pytest.approx(expected.ods / expected.rows)
    assert (payload["id_name"], payload["id_type"]) == (expected.id_name, "State")
    assert len(ods.received("studentAssessments")) == interim.expected.ods
    assert stack.left_behind() == []


def test_an_edu_that_is_away_when_its_roster_is_asked_for(impatient_stack, ods, interim):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        elsewhere = impatient_stack.edu_at(nobody.getsockname()[1])
        impatient_stack.start_web(impatient.WEB, edu=elsewhere)
        run = wait_for_end(start_run(submit(interim)))
    assert "EDU could not be reached" in fails_for_want_of_the_roster(run, ods, impatient_stack)


def test_an_edu_that_is_lost_in_the_middle_of_its_roster(
    impatient_stack, halting_edu, ods, interim
):
    halting_edu.on_chunk = lambda request, number: request.reset()
    impatient_stack.start_web(impatient.WEB, edu=impatient_stack.edu_at(halting_edu.port))
    run = wait_for_end(start_run(submit(interim)))
    assert "broke off" in fails_for_want_of_the_roster(run, ods, impatient_stack)
    assert halting_edu.queries == 4
