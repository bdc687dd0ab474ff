"""What only S3 brings: credentials, what they allow, and who gets to see them."""

import io
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from earthbeam.files import open_store
from runway.sandbox.input_files import write_interim_file
from tests.aws import iam_enforced, variables_of
from tests.earthbeam.executor.conftest import KEY_PREFIX, edu_roster
from tests.earthbeam.executor.test_failures import fails

pytestmark = pytest.mark.slow


@pytest.fixture
def storage():
    return "s3"


def allowing(bucket, *actions):
    resource = f"arn:aws:s3:::{bucket}/{KEY_PREFIX}/*"
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture
def job(app, ods, workbench, tmp_path):
    sample = write_interim_file(tmp_path)
    app.roster = edu_roster
    workbench.job(sample.path, sample.bundle, ods, cross_year=True)
    return sample


def test_reading_and_storing_below_the_jobs_base_path_is_all_a_run_needs(
    app, job, workbench, bucket
):
    credentials = variables_of(allowing(bucket, "s3:GetObject", "s3:PutObject"))
    with iam_enforced():
        ended = workbench.run(**credentials)
    assert (ended.exit_status, app.outcome()) == (0, "done success"), ended.log
    assert "ods/studentAssessments.jsonl" in workbench.output()


def test_credentials_that_cannot_read_are_told_as_such(app, job, workbench, bucket):
    credentials = variables_of(allowing(bucket, "s3:PutObject"))
    with iam_enforced():
        payload = fails(app, workbench, "input_s3_download", **credentials)
    assert "may not be read" in payload["message"]
    assert payload["path"] == f"input/INPUT_FILE__{job.path.name}"


def test_results_that_cannot_be_stored_fail_the_run(app, job, ods, workbench, bucket):
    credentials = variables_of(allowing(bucket, "s3:GetObject"))
    with iam_enforced():
        payload = fails(app, workbench, "artifact_s3_upload", **credentials)
    assert payload["name"] == "studentEducationOrganizationAssociations.jsonl"
    assert "PermissionError" in payload["message"]
    assert ods.received_counts() == {}


def test_s3_that_cannot_be_reached_is_told_as_such(app, workbench, job, ods):
    payload = fails(
        app,
        workbench,
        "artifact_s3_upload",
        AWS_ENDPOINT_URL_S3="http://127.0.0.1:9",
    )
    assert "StorageFault" in payload["message"]
    assert ods.received_counts() == {}


@pytest.mark.parametrize("found", ["nothing", "no right"])
def test_a_roster_file_that_is_missing_or_denied(app, job, workbench, bucket, found):
    location = f"s3://{bucket}/__rosters/ea/grand_bend/2026/roster.jsonl"
    if found == "no right":
        open_store(f"s3://{bucket}").save(
            io.BytesIO(b"{}\n"), "__rosters/ea/grand_bend/2026/roster.jsonl"
        )
    app.payload |= {
        "sendToOds": False,
        "crossYearMatchAvailable": False,
        "rosterFilePath": location,
    }
    credentials = variables_of(allowing(bucket, "s3:GetObject", "s3:PutObject"))
    with iam_enforced():
        payload = fails(app, workbench, "missing_ods_roster", **credentials)
    assert "or it may not be read" in payload["message"]


class Descendants:
    """Collects the environments of all that a process starts, until it has ended."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.seen: dict[str, set[str]] = {}
        self._process = process
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def join(self) -> dict[str, set[str]]:
        """Command lines and the variables' names and values, ``NAME=VALUE``."""
        self._thread.join()
        return self.seen

    def _watch(self) -> None:
        root = self._process.pid
        own = b""
        while b"executor" not in own and self._process.poll() is None:  # not yet itself
            own = Path(f"/proc/{root}/cmdline").read_bytes()
        family = {root}
        while self._process.poll() is None:
            for folder in Path("/proc").glob("[0-9]*"):
                pid = int(folder.name)
                try:
                    parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                    if parent not in family:
                        continue
                    family.add(pid)
                    # First the command: until it is the child's own, so is nothing else.
                    command = (folder / "cmdline").read_bytes()
                    environment = (folder / "environ").read_bytes()
                except (OSError, ValueError):
                    continue
                if command not in (b"", own):
                    values = set(environment.decode(errors="replace").split("\0"))
                    name = command.decode(errors="replace").replace("\0", " ")
                    self.seen.setdefault(name, set()).update(values)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_no_program_that_a_run_starts_sees_tokens_or_credentials(
    app, job, ods, workbench, bucket, tmp_path
):
    # A git that takes its time, or a busy machine might never see it.
    slow_git = tmp_path / "tools" / "git"
    slow_git.parent.mkdir()
    slow_git.write_text(f'#!/bin/sh\nsleep 1\nexec {shutil.which("git")} "$@"\n')
    slow_git.chmod(0o755)
    given = (
        {"PATH": f"{slow_git.parent}:{os.environ['PATH']}"}
        | workbench.variables
        | variables_of(allowing(bucket, "s3:GetObject", "s3:PutObject"))
    )
    process = workbench.start(**given)
    descendants = Descendants(process)
    log, _ = process.communicate(timeout=300)
    seen = descendants.join()
    assert app.outcome() == "done success", log

    for program in ("git ", "earthmover_server.py", "lightbeam"):
        assert any(program in command for command in seen), program
    secrets = {"init-token-abc", "access-token-xyz", *variables_of_secrets(given)}
    for command, environment in seen.items():
        names = {variable.partition("=")[0] for variable in environment}
        assert not {name for name in names if name.startswith(("AWS_", "INIT_"))}, command
        told = "\n".join(environment)
        assert not [secret for secret in secrets if secret in told], command
        if "lightbeam" not in command:
            assert ods.client_secret not in told, command


def variables_of_secrets(variables):
    return [value for name, value in variables.items() if "SECRET" in name or "TOKEN" in name]
