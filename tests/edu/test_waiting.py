import threading
import time

import pytest

from edu.diagnosis import Step, check_login
from edu.waiting import in_time
from runway.sandbox.edu import encode_key
from tests.edu.conftest import use_edu
from tests.edu.test_pool import wait_until


def test_steps_that_come_in_time_are_told_as_they_are():
    steps = [Step("A", True, "a"), Step("B", False, "b")]
    assert list(in_time(iter(steps), 30)) == steps


def test_whoever_waits_is_told_after_their_patience_whom_for():
    never = threading.Event()

    def steps(number):
        for _ in range(number):
            yield Step("Credentials", True, "complete")
        never.wait(60)

    began = time.monotonic()
    [late] = in_time(steps(0), 0.1)
    assert (late.ok, late.may_pass_later) == (False, True)
    assert late.finding == "AWS did not answer within 0 seconds."
    first, late = in_time(steps(1), 4)
    assert (first.ok, late.finding) == (True, "EDU did not answer within 4 seconds.")
    assert "check_edu" in late.remedy
    assert time.monotonic() - began < 30
    never.set()


def test_a_bug_of_a_step_reaches_whoever_waits():
    def steps():
        yield Step("A", True, "a")
        raise KeyError

    told = in_time(steps(), 30)
    assert next(told).ok
    with pytest.raises(KeyError):
        next(told)


def test_a_login_that_comes_too_late_is_logged_out(settings, snowflake, key):
    values = {"username": "u", "account": "a", "database": "d", "schema": "s"}
    local = {"host": "127.0.0.1", "protocol": "http", "port": str(snowflake.port)}
    use_edu(settings, {}, **values, **local, private_key=encode_key(key))
    go_on = threading.Event()
    snowflake.on_login = lambda request: go_on.wait(60) and False
    *_, late = in_time(check_login("ea"), 0.5)
    assert late.title == "Waiting"
    go_on.set()
    wait_until(lambda: snowflake.logins and snowflake.queries)
    wait_until(lambda: not snowflake.sessions)
