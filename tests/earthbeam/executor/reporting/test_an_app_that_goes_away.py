"""Reports while the app is away: in order, none lost, none doubled."""

import itertools

import pytest

from earthbeam.executor.job import app_urls
from earthbeam.executor.processes import running
from earthbeam.executor.reporting.app_client import AppClient
from earthbeam.executor.reporting.progress import Progress
from runway.sandbox.input_files import write_interim_file
from tests.earthbeam.executor.conftest import edu_roster
from tests.earthbeam.executor.recording_app import RUN
from tests.earthbeam.executor.test_runs import STEPS

pytestmark = pytest.mark.slow


def report_a_whole_run(app):
    """What a run reports, in its order, by the executor's own client."""
    client = AppClient()
    _, job_url = client.init(f"{app.url}/auth/{RUN}/init", "init-token-abc")
    client.job(job_url)
    urls = app_urls({"appUrls": app.app_urls(roster=True)})
    progress = Progress(client, urls, lambda text: text)
    for step in STEPS[:-1]:
        progress.begin(step)
    client.report(urls.unmatched_ids, {"name": "StateID", "type": "State", "count": 1})
    progress.begin(STEPS[-1])
    client.report(urls.output_files, {"path": "ods", "sentToOds": True}, once=True)
    client.report(urls.output_files, {"path": "non-ods", "sentToOds": False}, once=True)
    assert urls.matches is not None
    client.report(urls.matches, {"inputRows": 2})
    client.report(urls.summary, {"studentAssessments": {}})
    progress.succeed()


@pytest.fixture
def reports(app):
    """What arrives when nothing goes wrong."""
    app.payload = {"any": "thing"}
    report_a_whole_run(app)
    expected, app.reports = app.reports, []
    return expected


REPORTS = 20


@pytest.mark.parametrize("number", range(REPORTS))
@pytest.mark.parametrize("kind", ["nobody listens", "500"])
def test_an_app_that_is_away_before_any_report_loses_and_doubles_none(
    app, reports, monkeypatch, number, kind
):
    assert len(reports) == REPORTS
    waits = []

    def goes_away(name, body):
        if len(app.reports) == number:
            if kind == "500":
                for path, _ in reports:
                    app.refuse[path] = [500, 503, 502]
            else:
                app.away = True

    def back_after_thirty_seconds(seconds):
        waits.append(seconds)
        if sum(waits) > 30:
            app.away = False
            app.refuse.clear()

    monkeypatch.setattr(running, "wait", back_after_thirty_seconds)
    app.on_report = goes_away
    goes_away("", {})
    report_a_whole_run(app)
    assert app.reports == reports


@pytest.mark.parametrize("number", range(REPORTS))
def test_a_report_whose_answer_is_lost_comes_again_and_out_of_turn_never(
    app, reports, monkeypatch, number
):
    monkeypatch.setattr(running, "wait", lambda seconds: None)
    app.swallow = {reports[number][0]: 1}
    report_a_whole_run(app)
    # The app takes a repeat for what it is.
    assert [report for report, _ in itertools.groupby(app.reports)] == reports
    assert len(app.reports) == REPORTS + 1


@pytest.mark.slow
def test_an_app_that_is_away_for_half_a_minute_costs_a_run_nothing(app, ods, workbench, tmp_path):
    sample = write_interim_file(tmp_path)
    app.roster = edu_roster
    workbench.job(sample.path, sample.bundle, ods, cross_year=True)

    def goes_away(name, body):
        if body == {"action": "earthmover_run", "status": "begin"}:
            app.go_away(30)

    app.on_report = goes_away
    ended = workbench.run()

    assert (ended.exit_status, app.outcome()) == (0, "done success"), ended.log
    assert "again in" in ended.log
    expected = [f"{step} {status}" for step in STEPS for status in ("begin", "success")]
    assert app.steps() == [*expected, "done success"]
    names = [name for name, _ in app.reports]
    assert [names.count(name) for name in ("output-files", "matches", "summary")] == [2, 1, 1]
