import subprocess
import sys
from pathlib import Path

import pytest

from earthbeam.executor.environment import BadEnvironment, Environment

PROJECT = Path(__file__).resolve().parents[3]

GOOD = {"INIT_TOKEN": "abc", "INIT_JOB_URL": "http://app/api/earthbeam/auth/1/init"}


def test_the_contracts_defaults_hold():
    environment = Environment.read(GOOD)
    assert environment.timeout_seconds == 3600
    assert environment.bundle_repo.endswith("earthmover_edfi_bundles.git")


def test_rosters_are_asked_for_in_gzip_only_where_that_is_set():
    assert not Environment.read(GOOD).roster_gzip
    assert not Environment.read(GOOD | {"ROSTER_GZIP": ""}).roster_gzip
    assert Environment.read(GOOD | {"ROSTER_GZIP": "1"}).roster_gzip


def test_the_number_of_records_sent_at_once_is_the_bundles_unless_it_is_set():
    assert Environment.read(GOOD).ods_requests_at_once is None
    assert Environment.read(GOOD | {"ODS_REQUESTS_AT_ONCE": ""}).ods_requests_at_once is None
    assert Environment.read(GOOD | {"ODS_REQUESTS_AT_ONCE": "32"}).ods_requests_at_once == 32


def test_the_token_does_not_show():
    assert "abc" not in repr(Environment.read(GOOD))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"INIT_TOKEN": ""}, "INIT_TOKEN"),
        ({"INIT_JOB_URL": ""}, "INIT_JOB_URL"),
        ({"INIT_JOB_URL": "file:///etc/passwd"}, "INIT_JOB_URL"),
        ({"TIMEOUT_SECONDS": "soon"}, "TIMEOUT_SECONDS"),
        ({"TIMEOUT_SECONDS": "0"}, "TIMEOUT_SECONDS"),
        ({"ROSTER_GZIP": "perhaps"}, "ROSTER_GZIP"),
        ({"ODS_REQUESTS_AT_ONCE": "many"}, "ODS_REQUESTS_AT_ONCE"),
        ({"ODS_REQUESTS_AT_ONCE": "65"}, "ODS_REQUESTS_AT_ONCE"),
    ],
)
def test_a_variable_that_is_missing_or_unusable_is_named(change, named):
    with pytest.raises(BadEnvironment, match=named):
        Environment.read(GOOD | change)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone shows processes below /proc")
@pytest.mark.parametrize("private", [False, True])
def test_a_child_cannot_read_what_its_parent_was_started_with(private):
    code = f"""
import ctypes, os, subprocess, sys
from earthbeam.privacy import keep_private
if os.getuid() == 0:  # root may read everything
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # what changing the user has switched off
if {private}:
    keep_private()
sys.exit(subprocess.run(["cat", f"/proc/{{os.getpid()}}/environ"], env={{}}).returncode)
"""
    done = subprocess.run(
        (sys.executable, "-c", code),
        env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin", "SECRET": "hunter2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("hunter2" in done.stdout) is not private, done.stderr
    assert ("denied" in done.stderr) is private
