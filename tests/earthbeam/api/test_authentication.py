"""Who gets an answer, for each call: the token first, then whose run, then whether there is one."""

import time
import uuid

import jwt
import pytest
from django.conf import settings
from django.test import Client

from earthbeam.models import Run
from earthbeam.runs import tokens
from tests import factories
from tests.earthbeam.api.conftest import Executor

CALLS = {
    "init": "get",
    "": "get",
    "roster": "get",
    "status": "post",
    "error": "post",
    "summary": "post",
    "unmatched-ids": "post",
    "output-files": "post",
    "matches": "post",
    "progress": "post",
}
every_call = pytest.mark.parametrize("call", CALLS)


def issue(run, call, **changes):
    """A token as ``call`` needs it, but for ``changes``."""
    kind = "init" if call == "init" else "access"
    key = changes.pop("key", None)
    claims = {"runId": str(run.pk), "type": kind, "exp": int(time.time()) + 60} | changes
    return jwt.encode(claims, key or settings.EXECUTOR_JWT_KEY, algorithm="HS256")


def ask(run, call, token=None, **headers):
    executor = Executor(run, token)
    if CALLS[call] == "get":
        return executor.get(call, **headers)
    return executor.post(call, {}, **headers)


def assert_refused(response, detail):
    assert response.status_code == 401
    assert response.json() == {"detail": detail}
    assert response["WWW-Authenticate"] == 'Bearer realm="executor"'


@every_call
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Token abc", "abc"])
def test_no_token_is_401(run, call, header):
    headers = {} if header is None else {"Authorization": header}
    assert_refused(
        ask(run, call, **headers), "Send the run's token as Authorization: Bearer TOKEN."
    )


@every_call
def test_a_malformed_token_is_401(run, call):
    assert_refused(ask(run, call, "abc.def"), "The token is not valid.")


@every_call
def test_a_bad_signature_is_401(run, call):
    assert_refused(ask(run, call, issue(run, call, key="k" * 64)), "The token is not valid.")


@every_call
def test_an_expired_token_is_401(run, call):
    token = issue(run, call, exp=int(time.time()) - 1)
    assert_refused(ask(run, call, token), "The token has expired.")


@every_call
def test_a_token_of_the_wrong_type_is_401(run, call):
    wrong, right = ("access", "init") if call == "init" else ("init", "access")
    token = issue(run, call, type=wrong)
    assert_refused(ask(run, call, token), f"This call needs a token of type {right}.")


@every_call
def test_another_runs_token_is_403(run, call):
    other = factories.make_run(status="running")
    response = ask(run, call, issue(other, call))
    assert response.status_code == 403
    assert response.json() == {"detail": "This token is for another run."}


@every_call
def test_a_token_does_not_tell_whether_another_run_exists(run, call):
    token = issue(run, call)
    assert ask(Run(id=uuid.uuid4()), call, token).status_code == 403
    assert ask(Run(id="nonsense"), call, token).status_code == 403


@every_call
def test_a_run_that_does_not_exist_is_404(db, call):
    gone = Run(id=uuid.uuid4())
    response = ask(gone, call, issue(gone, call))
    assert response.status_code == 404
    assert response.json() == {"detail": "There is no such run."}


@every_call
def test_another_method_is_405(run, call):
    executor = Executor(run, issue(run, call))
    response = executor.post(call, {}) if CALLS[call] == "get" else executor.get(call)
    assert response.status_code == 405


def test_asking_for_the_head_of_the_handshake_does_not_use_it_up(db):
    run = factories.make_run()
    executor = Executor(run, tokens.init_token(run))
    headers = {"Authorization": f"Bearer {executor.token}"}
    assert Client().head(executor.url("init"), headers=headers).status_code == 405
    assert Client().options(executor.url("init"), headers=headers).status_code == 405
    assert executor.get("init").status_code == 200


def test_the_schemes_name_is_not_case_sensitive(run):
    token = issue(run, "")
    assert ask(run, "", Authorization=f"bearer {token}").status_code == 200
