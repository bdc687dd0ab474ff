"""The counts that the executor reports: helpful when it works, unnoticed when it does not."""

import threading

import pytest

from earthbeam.executor.lightbeam.sending import Answered
from earthbeam.executor.reporting import counts
from earthbeam.executor.reporting.counts import CountReporter
from runway.sandbox.input_files import write_interim_file
from tests.earthbeam.executor.conftest import edu_roster
from tests.earthbeam.executor.test_runs import INTERIM


def url(app):
    return f"{app.url}/jobs/x/progress"


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(counts, "PAUSE", 0.02)
    monkeypatch.setattr(counts, "_LONGEST_PAUSE", 0.02)


def until(condition):
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not happen")


def test_of_many_counts_the_last_arrives(app, soon):
    reporter = CountReporter(url(app), {})
    reporter.begin("lightbeam_send")
    for done in range(1000):
        reporter.report(done, 999, "records")
    until(lambda: app.progress and app.progress[-1]["done"] == 999)
    assert len(app.progress) < 100
    assert app.progress[-1] == {
        "action": "lightbeam_send",
        "done": 999,
        "total": 999,
        "unit": "records",
    }


def test_an_app_that_fails_is_left_alone_after_three_tries(app, soon):
    app.on_progress = lambda: 500
    reporter = CountReporter(url(app), {})
    reporter.begin("lightbeam_send")

    def tries():
        reporter.report(1, None, "records")
        return len(app.progress) == 3

    until(tries)
    until(lambda: reporter._url is None)
    reporter.report(2, None, "records")
    assert len(app.progress) == 3


def test_an_app_that_is_not_there_or_does_not_ask_delays_and_breaks_nothing(soon):
    for address in (None, "http://127.0.0.1:9/progress"):
        reporter = CountReporter(address, {})
        reporter.begin("lightbeam_send")
        for done in range(1000):
            reporter.report(done, None, "records")


def test_lightbeams_counts_are_added_up_over_resources():
    reported: list[int] = []
    heard = Answered(reported.append)
    for line in (
        "sending endpoint assessments ...",
        "  (... status counts: {200: 3, 400: 1}) ",
        "finished processing endpoint assessments!",
        "  (final status counts: {200: 3, 400: 1}) ",
        "  (... status counts: {201: 2000}) ",
        "  (... status counts: {201: 2500, 409: 10}) ",
    ):
        assert heard(line) is False
    assert reported == [4, 2004, 2514]


def never():
    threading.Event().wait(60)
    return 201


@pytest.mark.slow
@pytest.mark.parametrize("answer", [lambda: 500, never])
def test_a_run_tells_counts_alone_and_ends_well_whatever_the_app_says_to_them(
    app, ods, workbench, tmp_path, answer
):
    app.on_progress = answer
    app.roster = edu_roster
    path = write_interim_file(tmp_path).path
    workbench.job(path, INTERIM, ods, cross_year=True)
    ended = workbench.run()
    assert (ended.exit_status, app.outcome()) == (0, "done success"), ended.log
    assert app.progress
    for counts_of_step in app.progress:
        assert set(counts_of_step) == {"action", "done", "total", "unit"}
        assert counts_of_step["unit"] in ("students", "rows matched", "records")
