import os
import subprocess
import sys

import pytest

from edu import connections
from edu.errors import NoCredentials
from edu.pools import Pools
from runway.sandbox.population import TENANT


@pytest.fixture(autouse=True)
def own_pools(monkeypatch):
    """Each test begins as a process does, and leaves nothing open."""
    monkeypatch.setattr(connections, "_pools", None)
    yield
    connections.shutdown()


@pytest.fixture
def edu_in_settings(settings, sandbox_edu, monkeypatch):
    settings.RUNWAY_ENV = "development"
    settings.ENVLABEL = None
    variables = sandbox_edu.environment()
    names = {name: name.removeprefix("EDU_SNOWFLAKE_").lower() for name in variables}
    settings.EDU_SNOWFLAKE = {names[name]: value for name, value in variables.items()}


def open_roster():
    return connections.open_roster(partner_id="ea", generation=0, tenant_code=TENANT, label="run")


def test_from_the_variables_to_the_roster(edu_in_settings):
    assert connections.available("ea", 0)
    assert connections.stats() == []
    assert b"".join(open_roster()).count(b"\n") > 900
    [stats] = connections.stats()
    assert (stats.name, stats.in_use, stats.idle) == ("ea", 0, 1)


def test_without_variables_edu_is_not_available(settings):
    settings.RUNWAY_ENV, settings.ENVLABEL, settings.EDU_SNOWFLAKE = "development", None, None
    assert not connections.available("ea", 0)
    with pytest.raises(NoCredentials):
        open_roster()


def test_a_forked_process_makes_pools_of_its_own():
    here = connections.pools()
    child = os.fork()
    if not child:
        fresh = connections._pools is None and connections.pools() is not here
        os._exit(0 if fresh else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert connections.pools() is here


def test_the_end_of_the_interpreter_closes_what_is_open():
    program = """
from edu import connections
from edu.pools import Pools

class Connection:
    def close(self):
        print("closed", flush=True)

connections._pools = Pools(lambda partner: object(), lambda credentials: Connection())
connections.pools().acquire("ea", 0).release()
"""
    environment = {"RUNWAY_ENV": "development", "DJANGO_SETTINGS_MODULE": "runway.settings"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "closed\n"
    assert done.stderr == ""


def test_pools_are_made_once_and_shared_by_all_threads():
    assert isinstance(connections.pools(), Pools)
    assert connections.pools() is connections.pools()
