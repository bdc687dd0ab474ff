from datetime import UTC, datetime, timedelta

import pytest

from earthbeam.models import RunUpdate
from earthbeam.wording.phases import Update, current_step, phases

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
ORDER = [
    "refresh_bundle_code",
    "earthmover_deps",
    "get_student_roster",
    "get_input_files",
    "earthmover_run",
    "lightbeam_send",
    "upload_output",
]


def updates_until(action, *, without=()):
    """The steps up to ``action``, which has begun; empty: none has."""
    found = []
    for each in ORDER:
        if not action or each in without:
            continue
        found.append(Update(each, "begin", NOW))
        if each == action:
            break
        found.append(Update(each, "success", NOW))
    return found


def states(updates, progress=None, *, to_ods=True, cross_year=True, ended=False, succeeded=False):
    found = phases(
        updates, progress, to_ods=to_ods, cross_year=cross_year, ended=ended, succeeded=succeeded
    )
    return {phase.key: str(phase.state) for phase in found}


@pytest.mark.parametrize(
    ("action", "asked", "now"),
    [
        ("", False, "pre-processing"),
        ("get_student_roster", False, "pre-processing"),
        ("earthmover_run", False, "transforming"),
        ("earthmover_run", True, "cross-year"),
        ("lightbeam_send", True, "sending"),
        ("upload_output", True, "complete"),
    ],
)
def test_one_phase_is_now_those_before_are_done_and_those_after_to_do(action, asked, now):
    progress = {"cross_year_at": "2026-01-05T12:00:00Z"} if asked else None
    found = states(updates_until(action), progress)
    keys = ["pre-processing", "transforming", "cross-year", "sending", "complete"]
    assert list(found) == keys
    place = keys.index(now)
    assert list(found.values()) == ["done"] * place + ["now"] + ["todo"] * (4 - place)


def test_a_phase_that_was_not_needed_is_skipped():
    assert states(updates_until("lightbeam_send"))["cross-year"] == "skipped"
    nothing_to_send = updates_until("upload_output", without=["lightbeam_send"])
    assert states(nothing_to_send, {"cross_year_at": "x"})["sending"] == "skipped"


def test_a_job_for_no_ods_has_no_phase_of_one():
    found = states(updates_until("earthmover_run"), to_ods=False)
    assert list(found) == ["pre-processing", "transforming", "complete"]
    assert "cross-year" not in states(updates_until("earthmover_run"), cross_year=False)


def test_a_run_that_failed_failed_in_its_last_phase():
    updates = [*updates_until("lightbeam_send"), Update("lightbeam_send", "failure", NOW)]
    assert states(updates, ended=True)["sending"] == "failed"
    assert states([], ended=True)["pre-processing"] == "failed"


def test_a_run_whose_steps_were_kept_long_enough_has_sent_its_records():
    found = states([], ended=True, succeeded=True, cross_year=False)
    assert set(found.values()) == {"done"}


def test_of_a_run_that_succeeded_everything_is_done():
    updates = [*updates_until("upload_output"), Update("upload_output", "success", NOW)]
    found = states(updates, {"cross_year_at": "x"}, ended=True, succeeded=True)
    assert set(found.values()) == {"done"}


@pytest.mark.parametrize(
    ("progress", "amount"),
    [
        (None, ""),
        ({"action": "lightbeam_send", "done": 1200, "total": 3000, "unit": "records"},
         "1,200 of 3,000 records"),
        ({"action": "lightbeam_send", "done": 7, "total": None, "unit": "records"},
         "7 records so far"),
        ({"action": "earthmover_run", "done": 7, "total": 8, "unit": "rows matched"}, ""),
        ({"action": "lightbeam_send", "done": "7", "unit": None}, ""),
    ],
)  # fmt: skip
def test_where_the_step_stands_is_told_of_the_current_one_alone(progress, amount):
    step = current_step(updates_until("lightbeam_send"), progress)
    assert (step.action, step.amount, step.since) == ("lightbeam_send", amount, NOW)


@pytest.mark.parametrize(
    ("done", "seconds", "left"),
    [
        (0, 60, None),
        (99, 60, None),  # less than a tenth
        (100, 60, 540),
        (500, 100, 100),
        (1000, 100, 0),
        (1100, 100, 0),
    ],
)
def test_the_time_left_follows_from_what_is_done_since_the_first_report(done, seconds, left):
    progress = {
        "action": "lightbeam_send",
        **{"done": done, "total": 1000, "unit": "records"},
        **{"first_done": 0, "first_at": NOW.isoformat()},
    }
    step = current_step(updates_until("lightbeam_send"), progress)
    assert step.seconds_left(NOW + timedelta(seconds=seconds)) == left


@pytest.mark.parametrize("missing", ["total", "first_at", "done"])
def test_without_a_total_or_a_first_report_the_time_left_is_unknown(missing):
    progress = {
        "action": "lightbeam_send",
        **{"done": 500, "total": 1000, "unit": "records"},
        **{"first_done": 0, "first_at": NOW.isoformat()},
    }
    step = current_step(updates_until("lightbeam_send"), progress | {missing: None})
    assert step.seconds_left(NOW + timedelta(seconds=9)) is None


def test_every_step_there_is_has_a_phase_and_words():
    for action in RunUpdate.Action.values:
        updates = [Update(action, "begin", NOW)]
        assert current_step(updates, None).doing != action
        assert "now" in states(updates).values()
