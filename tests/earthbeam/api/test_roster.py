import gzip
import json

import pytest
from django.db import OperationalError
from django.db import connections as databases

from earthbeam.api import roster
from earthbeam.executor.reporting.app_client import BUSY, NO_NAMES
from earthbeam.models import Job, Run
from earthbeam.runs import tokens
from edu import connections
from edu.connect import connect
from edu.credentials import lookup
from edu.pools import Pools
from edu.roster import ROSTER_SQL
from partners.models import Partner
from runway.sandbox.chunked_snowflake import ChunkedSnowflake, lines_table
from runway.sandbox.edu import encode_key, generate_key
from tests import factories
from tests.earthbeam.api.conftest import Executor

LINES = ['{"student":1}\n', '{"student":2}\n']


@pytest.fixture
def snowflake(settings, monkeypatch):
    """An EDU that the development variables point to, and that sends two lines."""
    with ChunkedSnowflake([lines_table(LINES)]) as server:
        settings.EDU_SNOWFLAKE = {
            "username": "u",
            "account": "a",
            "database": "d",
            "schema": "s",
            "private_key": encode_key(generate_key()),
            "host": "127.0.0.1",
            "port": str(server.port),
            "protocol": "http",
        }
        monkeypatch.setattr(connections, "_pools", None)
        yield server
        connections.shutdown()


@pytest.fixture
def executor(transactional_db) -> Executor:
    factories.make_partner(cross_year_match_enabled=True)
    run = factories.make_run(status=Run.Status.RUNNING)
    return Executor(run, tokens.access_token(run))


def refusal(response):
    """Status and code of a refusal, whose body must be clean JSON."""
    assert response["Content-Type"] == "application/json"
    body = json.loads(response.content)
    assert set(body) == {"code", "detail"}
    return response.status_code, body["code"]


def test_the_roster_is_streamed_as_lines(executor, snowflake):
    response = executor.get("roster")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/x-ndjson"
    assert response["Cache-Control"] == "no-store"
    assert b"".join(response.streaming_content) == "".join(LINES).encode()
    assert not response.has_header("Content-Length")


@pytest.mark.parametrize("to_ods", [True, False])
def test_that_a_job_for_an_ods_asks_for_the_roster_is_noted(executor, snowflake, to_ods):
    Job.objects.update(send_to_ods=to_ods)
    b"".join(executor.get("roster").streaming_content)
    executor.run.refresh_from_db()
    assert ("cross_year_at" in (executor.run.progress or {})) is to_ods


def test_names_are_given_only_to_a_partner_that_has_turned_identity_checks_on(executor, snowflake):
    off = executor.get("roster?with=names")
    assert refusal(off) == (409, "identity_checks_disabled")
    assert NO_NAMES.search(off.content.decode())
    assert snowflake.statements == []
    Partner.objects.update(identity_checks="report")
    b"".join(executor.get("roster?with=names").streaming_content)
    b"".join(executor.get("roster").streaming_content)
    with_names, without = snowflake.statements
    assert "stg_ef3__students" in with_names
    assert without.strip() == ROSTER_SQL.strip()


def test_an_edu_that_refuses_names_is_told_apart_from_one_that_fails(executor, snowflake):
    Partner.objects.update(identity_checks="hold")

    def refuse(request):
        request.refuse("002003", "SQL compilation error: the object does not exist.")
        return True

    snowflake.on_query = refuse
    answer = executor.get("roster?with=names")
    assert refusal(answer) == (409, "edu_names_unavailable")
    assert NO_NAMES.search(answer.content.decode())
    assert refusal(executor.get("roster")) == (500, "edu_query_failed")


def test_anything_else_that_is_asked_for_is_refused(executor, snowflake):
    assert refusal(executor.get("roster?with=grades")) == (400, "unknown_parameter")


def test_an_empty_roster_is_an_empty_body(executor, snowflake):
    snowflake.tables = []
    response = executor.get("roster")
    assert (response.status_code, b"".join(response.streaming_content)) == (200, b"")


PREFERS_GZIP = {"Accept-Encoding": "gzip, identity;q=0.5"}


def test_whoever_prefers_gzip_gets_it(executor, snowflake):
    response = executor.get("roster", **PREFERS_GZIP)
    assert (response.status_code, response["Content-Encoding"]) == (200, "gzip")
    assert (response["Content-Type"], response["Vary"]) == (
        "application/x-ndjson",
        "Accept-Encoding",
    )
    assert gzip.decompress(b"".join(response.streaming_content)) == "".join(LINES).encode()


def test_whoever_can_only_read_gzip_gets_plain_bytes(executor, snowflake):
    response = executor.get("roster", **{"Accept-Encoding": "gzip, deflate"})
    assert not response.has_header("Content-Encoding")
    assert b"".join(response.streaming_content) == "".join(LINES).encode()


def test_an_early_failure_is_clean_json_for_who_prefers_gzip_too(executor, snowflake, settings):
    settings.EDU_SNOWFLAKE = None
    assert refusal(executor.get("roster", **PREFERS_GZIP)) == (500, "edu_no_credentials")


@pytest.mark.parametrize("token", [None, "nonsense"])
def test_without_a_token_there_is_no_roster(executor, snowflake, token):
    assert Executor(executor.run, token).get("roster").status_code == 401


def test_an_init_token_opens_no_roster(executor, snowflake):
    token = tokens.init_token(executor.run)
    assert Executor(executor.run, token).get("roster").status_code == 401


def test_another_runs_token_opens_no_roster(executor, snowflake):
    other = factories.make_run(status=Run.Status.RUNNING)
    assert Executor(executor.run, tokens.access_token(other)).get("roster").status_code == 403


def test_a_run_that_is_gone_is_not_found(executor, snowflake):
    Run.objects.all().delete()
    assert executor.get("roster").status_code == 404


def test_a_run_that_has_ended_gets_no_roster(executor, snowflake):
    Run.objects.update(status=Run.Status.SUCCESS)
    assert refusal(executor.get("roster")) == (409, "run_ended")
    assert snowflake.logins == 0


def test_with_the_toggle_off_there_is_a_conflict(executor, snowflake):
    factories.make_partner(cross_year_match_enabled=False)
    assert refusal(executor.get("roster")) == (409, "cross_year_match_disabled")
    assert snowflake.logins == 0


def test_other_methods_are_not_allowed(executor, snowflake):
    assert executor.post("roster", {}).status_code == 405


def test_http_1_0_is_refused_as_it_could_not_show_a_cut(executor, snowflake, client):
    response = client.get(
        executor.url("roster"),
        headers={"Authorization": f"Bearer {executor.token}"},
        SERVER_PROTOCOL="HTTP/1.0",
    )
    assert refusal(response) == (505, "http_version")
    assert snowflake.logins == 0


def test_no_credentials_is_said(executor, snowflake, settings):
    settings.EDU_SNOWFLAKE = None
    assert refusal(executor.get("roster")) == (500, "edu_no_credentials")


def test_an_unreadable_key_is_said(executor, snowflake, settings):
    settings.EDU_SNOWFLAKE = settings.EDU_SNOWFLAKE | {"private_key": "aHVudGVyMg=="}
    response = executor.get("roster")
    assert refusal(response) == (500, "edu_key_unreadable")
    assert b"hunter2" not in response.content


def test_a_missing_envlabel_is_said(executor, snowflake, settings):
    settings.RUNWAY_ENV, settings.ENVLABEL = "production", None
    assert refusal(executor.get("roster")) == (500, "edu_not_configured")


def test_a_failed_lookup_is_said(executor, snowflake, settings, fresh_aws_clients, monkeypatch):
    settings.RUNWAY_ENV, settings.ENVLABEL = "production", "test"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert refusal(executor.get("roster")) == (503, "edu_credential_lookup_failed")


def test_a_refused_login_is_said(executor, snowflake):
    snowflake.on_login = lambda request: request.refuse("390144", "JWT token is invalid.") or True
    assert refusal(executor.get("roster")) == (500, "edu_login_rejected")


def test_an_unreachable_edu_is_said(executor, snowflake, monkeypatch):
    monkeypatch.setattr("edu.connect.LOGIN_TIMEOUT", 1)
    snowflake.on_login = lambda request: request.reset()
    response = executor.get("roster")
    assert refusal(response) == (503, "edu_connect_failed")
    assert int(response["Retry-After"]) > 0


def test_a_query_that_fails_is_said_without_its_text(executor, snowflake):
    refused = "SQL compilation error: Object 'SECRET_TABLE' does not exist"
    snowflake.on_query = lambda request: request.refuse("002003", refused) or True
    response = executor.get("roster")
    assert refusal(response) == (500, "edu_query_failed")
    assert b"SECRET_TABLE" not in response.content


def test_an_exhausted_pool_is_said(executor, snowflake, monkeypatch):
    full = Pools(lookup, connect, max_size=0, timeout=0)
    monkeypatch.setattr(connections, "_pools", full)
    response = executor.get("roster")
    assert refusal(response) == (503, "edu_pool_exhausted")
    assert int(response["Retry-After"]) > 0
    assert BUSY.search(response.content.decode()), "executors would take it for a broken stream"


def test_streams_above_the_cap_are_sent_away_and_every_end_frees_a_place(
    executor, snowflake, settings
):
    settings.ROSTER_STREAMS_MAX = 2
    first, second = executor.get("roster"), executor.get("roster")
    response = executor.get("roster")
    assert refusal(response) == (503, "roster_streams_exhausted")
    assert int(response["Retry-After"]) > 0
    assert BUSY.search(response.content.decode()), "executors would take it for a broken stream"

    assert b"".join(first.streaming_content)  # read to the end
    third = executor.get("roster", **PREFERS_GZIP)
    assert third.status_code == 200
    second.close()  # never begun
    third.close()
    assert connections.pools().shutdown(60)
    for _ in range(3):
        assert refusal(executor.get("roster")) == (503, "edu_shutting_down")
    assert roster._slots._taken == 0


def test_a_database_that_fails_takes_no_place_for_good(executor, snowflake, monkeypatch):
    def fail(run):
        raise OperationalError("the connection is lost")

    monkeypatch.setattr("earthbeam.runs.reports.record_cross_year", fail)
    with pytest.raises(OperationalError):
        executor.get("roster")
    assert roster._slots._taken == 0


def test_the_database_is_not_held_while_a_roster_is_opened_and_streamed(executor, snowflake):
    database = databases["default"]
    held = []

    def look(request):
        held.append(database.connection)
        return False

    snowflake.on_query = look
    response = executor.get("roster")
    assert held == [None]
    assert database.connection is None
    response.close()


def test_one_cold_request_logs_in_once(executor, snowflake):
    b"".join(executor.get("roster").streaming_content)
    b"".join(executor.get("roster").streaming_content)
    assert (snowflake.logins, snowflake.queries) == (1, 2)
