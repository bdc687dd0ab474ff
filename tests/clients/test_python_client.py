"""clients/python against the live API, and where the network fails."""

import json
import logging
import os
import time

import httpx
import pytest
from runway_client import (
    ClientCredentials,
    Damaged,
    JobFailed,
    NotInTime,
    Refused,
    Runway,
    Unreachable,
    cli,
    client,
)

from earthbeam.files import open_store
from earthbeam.models import Job, Run
from earthbeam.paths import app_data_base_path
from earthbeam.runs import states
from runway.sandbox.oidc import SandboxOidc
from runway.sandbox.oidc_issuer import Machine
from tests import factories
from tests.earthbeam.external.conftest import ALL_SCOPES, AUDIENCE
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queue")]


@pytest.fixture
def token(issuer):
    return issuer.access_token(scope=f"{ALL_SCOPES} partner:ea", audience=AUDIENCE)


@pytest.fixture
def runway(live_server, token):
    with Runway(live_server.url, token) as runway:
        yield runway


@pytest.fixture
def scores(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_bytes(b"ID,Score\n604822,200\n" * 50_000)
    return path


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def request(body, scores, **more):
    return {
        "partner": body["partner"],
        "tenant": body["tenant"],
        "bundle": body["bundle"],
        "school_year": 2026,
        "files": {"INPUT_FILE": scores},
        "params": body["params"],
        **more,
    }


def ended(success):
    run = Run.objects.get()
    states.begin(run.pk)
    if success:
        states.finish(run.pk, success=True)
    else:
        states.fail(run.pk, "lightbeam_send", {})


def test_a_file_is_submitted_as_it_is_and_its_job_started(runway, body, scores):
    job = runway.submit(**request(body, scores))
    assert job["status"] == "queued"
    stored = Job.objects.get(pk=job["uid"])
    with open_store(app_data_base_path(stored)).open("input/INPUT_FILE__scores.csv") as file:
        assert file.read() == scores.read_bytes()


def test_a_program_that_calls_again_with_its_key_means_the_same_job(runway, body, scores):
    first = runway.submit(**request(body, scores, key="scores-1"))
    assert runway.submit(**request(body, scores, key="scores-1"))["uid"] == first["uid"]
    assert Job.objects.count() == 1


def test_waiting_ends_with_the_run(runway, body, scores, pauses, monkeypatch):
    uid = runway.submit(**request(body, scores))["uid"]
    monkeypatch.setattr(time, "sleep", lambda _: ended(success=True))
    assert runway.wait(uid)["outcome"] == "complete"


def test_a_run_that_fails_says_by_which_code(runway, body, scores):
    uid = runway.submit(**request(body, scores))["uid"]
    ended(success=False)
    with pytest.raises(JobFailed, match="lightbeam_send"):
        runway.wait(uid)


def test_who_waits_for_so_long_only_is_told_that_it_goes_on(runway, body, scores):
    uid = runway.submit(**request(body, scores))["uid"]
    with pytest.raises(NotInTime, match="still queued"):
        runway.wait(uid, seconds=0)


def test_what_is_refused_is_named_by_field(runway, body, scores):
    with pytest.raises(Refused) as raised:
        runway.submit(**request(body, scores, tenant="elsewhere"))
    assert raised.value.status == 400
    assert "elsewhere" in str(raised.value.fields["tenant"])


def test_lists_are_read_to_their_last_page(runway, issuer):
    made = [
        str(factories.make_output_set(factories.make_run(status="success")).uid) for _ in "abcde"
    ]
    listed = [each["uid"] for each in runway.output_sets(partner="ea", limit="2")]
    assert sorted(listed) == sorted(made)


def test_a_set_is_downloaded_and_compared_with_its_hash(runway, issuer, tmp_path, monkeypatch):
    made = factories.make_output_set(factories.make_run(status="success"))
    (found,) = runway.output_sets(partner="ea")
    paths = runway.download(found, tmp_path / "set")
    assert [path.name for path in paths] == made.files
    damaged = {**found, "sha256": dict.fromkeys(made.files, "0" * 64)}
    with pytest.raises(Damaged):
        runway.download(damaged, tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


def test_open_rows_need_their_scope(live_server, issuer, body, scores, tmp_path):
    token = issuer.access_token(scope="read:jobs partner:ea", audience=AUDIENCE)
    job = factories.make_run(status="success").job
    with Runway(live_server.url, token) as runway, pytest.raises(Refused, match="403"):
        runway.open_rows(str(job.pk), tmp_path / "rows.csv")
    assert not (tmp_path / "rows.csv").exists()


def test_a_token_is_fetched_with_the_clients_secret_and_again_once_it_is_refused(
    live_server, body, settings
):
    scopes = ("read:jobs", "partner:ea")
    with SandboxOidc(machines={"loader": Machine("hush", scopes)}) as oidc:
        settings.OAUTH2_ISSUER, settings.OAUTH2_AUDIENCE = oidc.url, AUDIENCE
        auth = ClientCredentials(f"{oidc.url}/token", "loader", "hush", audience=AUDIENCE)
        with Runway(live_server.url, auth) as runway:
            assert list(runway.jobs(partner="ea")) == []
            auth._token = "out of use"
            assert list(runway.jobs(partner="ea")) == []
        assert "hush" not in repr(auth)
        wrong = ClientCredentials(f"{oidc.url}/token", "loader", "guess", audience=AUDIENCE)
        with Runway(live_server.url, wrong) as runway, pytest.raises(Refused, match="secret"):
            list(runway.jobs(partner="ea"))


def failing(*answers):
    """A network on which requests come to these ends, one after the other."""
    left, calls = list(answers), []

    def answer(request):
        calls.append(f"{request.method} {request.url.path}")
        end = left.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    return calls, Runway("https://runway.test", "token", transport=httpx.MockTransport(answer))


def test_a_busy_server_is_asked_again_when_it_says_so(pauses):
    busy = httpx.Response(503, headers={"Retry-After": "7"})
    calls, runway = failing(busy, httpx.ConnectError("refused"), httpx.Response(200, json=[]))
    assert list(runway.jobs(partner="ea")) == []
    assert (len(calls), pauses) == (3, [7.0, 2.0])


def test_a_server_that_stays_away_is_given_up(pauses):
    _, runway = failing(*[httpx.ConnectError("refused")] * 9)
    with pytest.raises(Unreachable):
        runway.job("x")
    assert len(pauses) == len(client.PAUSES)


@pytest.mark.parametrize("end", [httpx.ReadTimeout("lost"), httpx.Response(504)])
def test_a_start_whose_answer_was_lost_is_not_sent_again(end):
    calls, runway = failing(end)
    with pytest.raises(Unreachable, match="look whether it was done"):
        runway.start("x")
    assert calls == ["POST /api/v1/jobs/x/start"]


def test_the_storage_does_not_get_the_token_and_the_log_no_link(scores, caplog):
    caplog.set_level(logging.INFO, "httpx")
    seen = {}

    def storage(request):
        seen.update(request.headers)
        return httpx.Response(200)

    with Runway("https://runway.test", "token", transport=httpx.MockTransport(storage)) as runway:
        runway.upload("https://bucket.test/x?signature=1", scores)
    assert "bucket.test" in caplog.text and "signature" not in caplog.text
    assert "authorization" not in seen
    assert seen["content-length"] == str(scores.stat().st_size)


def test_the_command_line_submits_and_shows(live_server, token, body, scores, monkeypatch, capsys):
    monkeypatch.setattr(os, "environ", {"RUNWAY_URL": live_server.url, "RUNWAY_TOKEN": token})
    what = ("ea", "grand_bend", "assessments/Reading_Check", "2026", f"INPUT_FILE={scores}")
    assert cli.main(["submit", *what, "--param", "FORM=A"]) == 0
    uid = json.loads(capsys.readouterr().out)["uid"]
    ended(success=False)
    assert cli.main(["status", uid]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "error"
    assert cli.main(["submit", "ea", "elsewhere", *what[2:]]) == 1
    assert "tenant" in capsys.readouterr().err


def test_the_command_line_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(os, "environ", {"RUNWAY_URL": "https://runway.test"})
    assert cli.main(["status", "x"]) == 1
    assert "RUNWAY_CLIENT_SECRET, or RUNWAY_TOKEN" in capsys.readouterr().err
