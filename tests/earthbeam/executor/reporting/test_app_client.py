import pytest

from earthbeam.executor.errors import AppUnreachable, StepFailed
from earthbeam.executor.processes import running
from earthbeam.executor.reporting.app_client import PAUSES, AppClient, BrokenRoster, Refused
from earthbeam.executor.rosters.fetching import stream_edu_roster
from tests.earthbeam.executor.conftest import edu_roster
from tests.earthbeam.executor.recording_app import RUN


@pytest.fixture
def pauses(monkeypatch):
    """The pauses that were made, none of them really."""
    made: list[float] = []
    monkeypatch.setattr(running, "wait", made.append)
    return made


@pytest.fixture
def client(app):
    client = AppClient()
    client.init(f"{app.url}/auth/{RUN}/init", "init-token-abc")
    return client


@pytest.mark.parametrize("statuses", [[503], [502, 504, 429, 500]])
def test_the_handshake_is_tried_again_while_the_app_fails(app, pauses, statuses):
    app.refuse["init"] = list(statuses)
    token, url = AppClient().init(f"{app.url}/auth/{RUN}/init", "init-token-abc")
    assert (token, url) == ("access-token-xyz", f"{app.url}/jobs/{RUN}")
    assert pauses == list(PAUSES[: len(statuses)])


def test_the_handshake_is_tried_again_while_nobody_listens(app, monkeypatch):
    url = f"{app.url}/auth/{RUN}/init"
    port = app.server.server_address[1]
    app.server.shutdown()
    app.server.server_close()
    held = app.hold(port)
    waits = []

    def come_back_after_two(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            app._serve(port)
            held.close()

    monkeypatch.setattr(running, "wait", come_back_after_two)
    assert AppClient().init(url, "init-token-abc")[0] == "access-token-xyz"
    assert app.init_requests == 1


def test_a_refused_handshake_is_not_tried_again(app, pauses):
    app.init_status = 401
    with pytest.raises(Refused, match="init handshake with status 401"):
        AppClient().init(f"{app.url}/auth/{RUN}/init", "init-token-abc")
    assert (app.init_requests, pauses) == (1, [])


def test_a_handshake_whose_answer_was_lost_is_never_taken_for_anothers(app, pauses):
    app.swallow_inits = 1
    with pytest.raises(Refused, match="an earlier try may have counted"):
        AppClient().init(f"{app.url}/auth/{RUN}/init", "init-token-abc")
    assert app.init_requests == 2


def test_an_app_that_stays_away_is_given_up_at_the_handshake_too(app, pauses):
    app.refuse["init"] = [500] * 20
    with pytest.raises(AppUnreachable):
        AppClient().init(f"{app.url}/auth/{RUN}/init", "init-token-abc")
    assert pauses == list(PAUSES)


def status_url(app):
    return app.app_urls(roster=False)["status"]


BODY = {"action": "earthmover_run", "status": "begin"}


def test_a_report_is_posted_again_until_the_app_takes_it(app, client, pauses):
    app.refuse["status"] = [503, 500]
    client.report(status_url(app), BODY)
    assert app.posted("status") == [BODY]
    assert pauses == [1.0, 2.0]


def test_a_report_that_the_app_will_never_take_is_not_repeated(app, client, pauses):
    app.refuse["status"] = [400]
    with pytest.raises(Refused):
        client.report(status_url(app), BODY)
    assert pauses == []


def test_an_app_that_stays_down_is_given_up_after_a_minute(app, client, pauses):
    app.refuse["status"] = [500] * 20
    with pytest.raises(AppUnreachable):
        client.report(status_url(app), BODY)
    assert pauses == list(PAUSES)
    assert sum(pauses) >= 60


def test_a_repeat_of_what_the_app_has_counts_as_taken(app, client, pauses):
    app.refuse["output-files"] = [409]
    client.report(app.app_urls(roster=False)["outputFiles"], {"path": "x"}, once=True)


def roster_url(app):
    return app.app_urls(roster=True)["roster"]


def test_a_whole_roster_is_kept(app, client, tmp_path):
    app.roster = edu_roster
    target = stream_edu_roster(client, roster_url(app), tmp_path / "roster.jsonl")
    assert target.read_bytes() == b"".join(edu_roster())


def test_a_roster_cut_at_a_line_end_never_looks_whole(app, client, tmp_path):
    app.roster, app.roster_cut = edu_roster, True
    with pytest.raises(BrokenRoster):
        client.download_roster(roster_url(app), tmp_path / "roster.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_roster_that_breaks_once_is_fetched_again(app, client, pauses, tmp_path):
    def heal_after_first():
        app.roster_cut = app.roster_requests == 1
        return edu_roster()

    app.roster = heal_after_first
    target = stream_edu_roster(client, roster_url(app), tmp_path / "roster.jsonl")
    assert target.read_bytes() == b"".join(edu_roster())
    assert app.roster_requests == 2


def test_a_roster_that_stays_broken_fails_after_three_more_tries(app, client, pauses, tmp_path):
    app.roster_status = 500
    with pytest.raises(StepFailed, match="no credentials") as failed:
        stream_edu_roster(client, roster_url(app), tmp_path / "roster.jsonl")
    assert failed.value.code == "cross_year_roster_fetch"
    assert app.roster_requests == 4


def test_an_app_whose_places_are_all_taken_is_waited_for_as_it_says(app, client, pauses, tmp_path):
    app.roster, app.roster_busy = edu_roster, 20
    target = stream_edu_roster(client, roster_url(app), tmp_path / "roster.jsonl")
    assert target.read_bytes() == b"".join(edu_roster())
    assert pauses == [15] * 20


def test_but_not_for_ever(app, client, pauses, tmp_path):
    app.roster_busy = 1_000_000
    with pytest.raises(StepFailed) as failed:
        stream_edu_roster(client, roster_url(app), tmp_path / "roster.jsonl")
    assert failed.value.code == "cross_year_roster_fetch"
    assert sum(pauses) < 1200


def test_a_roster_that_the_app_will_not_give_is_asked_for_once(app, client, pauses, tmp_path):
    app.roster_status = 409
    with pytest.raises(StepFailed, match="status 409") as failed:
        stream_edu_roster(client, roster_url(app), tmp_path / "roster.jsonl")
    assert failed.value.code == "cross_year_roster_fetch"
    assert (app.roster_requests, pauses) == (1, [])


def test_an_empty_roster_is_an_error(app, client, pauses, tmp_path):
    with pytest.raises(StepFailed, match="EDU knows no students") as failed:
        stream_edu_roster(client, roster_url(app), tmp_path / "roster.jsonl")
    assert failed.value.code == "cross_year_roster_fetch"
