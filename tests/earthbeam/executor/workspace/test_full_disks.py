"""No room for what a run writes: it says so, and leaves nothing half-written."""

import json
import resource
import shutil
import subprocess
import threading
from contextlib import contextmanager

import pytest

from earthbeam.executor.errors import NO_SPACE
from runway.sandbox.input_files import write_interim_file
from tests.earthbeam.executor.conftest import edu_roster
from tests.earthbeam.executor.test_failures import fails
from tests.earthbeam.executor.test_runs import csv_rows

pytestmark = pytest.mark.slow

KB = 1024


@contextmanager
def small_disk(folder, size):
    """A file system of its own at ``folder``, where this machine lets us mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a small file system")
    try:
        yield
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


@pytest.fixture
def job(app, ods, workbench, tmp_path):
    sample = write_interim_file(tmp_path)
    app.roster = edu_roster
    workbench.job(sample.path, sample.bundle, ods, cross_year=True)


def everything_is_whole(output):
    for name, content in output.items():
        if name.endswith(".jsonl"):
            assert content.endswith(b"\n"), name
            for line in content.splitlines():
                json.loads(line)
        elif name.endswith(".csv"):
            assert all(None not in row.values() for row in csv_rows(content)), name
        else:
            json.loads(content)


@pytest.mark.parametrize(
    ("size", "step", "stored"),
    [
        (60 * KB, "refresh_bundle_code", set()),
        (600 * KB, "get_student_roster", set()),
        (1000 * KB, "get_student_roster", set()),
        (1250 * KB, None, {"studentEducationOrganizationAssociations.jsonl"}),
    ],
)
def test_a_full_scratch_disk_is_said_to_be_full(app, job, ods, workbench, size, step, stored):
    with small_disk(workbench.scratch, size):
        ended = workbench.run()
        assert list(workbench.scratch.iterdir()) == []
    assert (ended.exit_status, app.outcome()) == (0, "done failure"), ended.log
    assert app.error()["payload"]["message"] == NO_SPACE
    assert step is None or app.steps()[-2] == f"{step} failure"
    output = workbench.output()
    assert set(output) >= stored
    assert "input_no_student_id_match.csv" not in output
    everything_is_whole(output)
    assert app.posted("output-files") == []


def test_a_full_file_storage_is_said_to_be_full(app, job, ods, workbench):
    files = workbench.root / "files"
    shutil.move(files, workbench.root / "kept")
    with small_disk(files, 100 * KB):
        shutil.copytree(workbench.root / "kept", files, dirs_exist_ok=True)
        payload = fails(app, workbench, "artifact_s3_upload")
        everything_is_whole(workbench.output())
        assert not [path for path in files.rglob("*") if path.name.startswith(".partial")]
    assert payload["message"] == NO_SPACE
    assert payload["name"] == "studentEducationOrganizationAssociations.jsonl"
    assert ods.received_counts() == {}


def test_a_limit_on_files_is_as_good_as_a_full_disk(app, job, ods, workbench):
    limited = threading.Event()
    app.on_report = lambda name, body: limited.wait(30)
    process = workbench.start()
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (120 * KB, 120 * KB))
    limited.set()
    log, _ = process.communicate(timeout=300)
    assert (process.returncode, app.outcome()) == (0, "done failure"), log
    assert app.error()["code"] == "lightbeam_fetch"
    assert app.error()["payload"]["message"] == NO_SPACE
    assert workbench.output() == {}
