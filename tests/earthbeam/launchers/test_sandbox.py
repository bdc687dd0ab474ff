"""Local executors in their sandbox. What a bundle can do in it: tests/e2e/test_hostile_bundle.py"""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from django.conf import settings as tests_settings

from earthbeam.errors import LauncherMisconfigured
from earthbeam.launchers import sandbox
from earthbeam.launchers.local import EXECUTOR_CODE, LocalLauncher
from earthbeam.models import RunLog
from earthbeam.runs import states
from tests import bubblewrap, factories

PROGRAM = "tests/earthbeam/launchers/program.py"


def launch(act, run, should_stop=lambda: False):
    argv = (sys.executable, str(tests_settings.BASE_DIR / PROGRAM), act)
    LocalLauncher(argv, code=(PROGRAM,), stop_seconds=60).launch(run, should_stop)
    run.refresh_from_db()
    return RunLog.objects.get(run=run).text


@bubblewrap.needed
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_how_an_executor_ended_comes_through():
    run = factories.make_run()
    states.begin(run.pk)
    launch("exit_three", run)
    assert "exit status 3" in run.errors.get().payload["message"]


@bubblewrap.needed
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_ends_lets_its_executor_report():
    run = factories.make_run()
    states.begin(run.pk)
    stop = threading.Event()

    def should_stop():
        # Until the program has said that it listens.
        log = RunLog.objects.filter(run=run).first()
        if log is not None and "working" in log.text:
            stop.set()
        return stop.is_set()

    assert launch("graceful", run, should_stop) == "working\ntold to end\n"


@bubblewrap.needed
@pytest.mark.slow
def test_code_below_the_temporary_folder_cannot_be_added_to():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        code = Path(folder, "app", "program.py")
        code.parent.mkdir()
        code.write_text("open(__file__ + '.planted', 'w')")
        child = sandbox.start(
            (sys.executable, "-I", str(code)),
            {"PATH": os.environ["PATH"]},
            sandbox.View(read_only=(code,), hidden=(code.parent,)),
            cwd=Path("/"),
            stdout=subprocess.PIPE,
        )
        said, _ = child.communicate(timeout=60)
    assert b"Read-only file system" in said


def test_the_executor_sees_what_its_image_has():
    copied = set()
    for line in (tests_settings.BASE_DIR / "Dockerfile.executor").read_text().splitlines():
        if line.startswith("COPY "):
            copied |= {source.rstrip("/") for source in line.split()[1:-1]}
    assert copied - {"requirements-executor.txt"} == set(EXECUTOR_CODE)


@pytest.fixture
def no_bubblewrap(monkeypatch):
    def unusable():
        raise sandbox.Unusable("bwrap cannot be started (No such file or directory)")

    monkeypatch.setattr(sandbox, "probe", unusable)


@pytest.mark.parametrize("chosen", ["auto", "bubblewrap"])
def test_production_starts_no_executor_without_a_sandbox(settings, no_bubblewrap, chosen):
    settings.IN_DEVELOPMENT, settings.EXECUTOR_SANDBOX = False, chosen
    with pytest.raises(LauncherMisconfigured, match="Install bubblewrap"):
        sandbox.is_used()


def test_it_does_where_somebody_has_decided_so(settings, no_bubblewrap):
    settings.IN_DEVELOPMENT, settings.EXECUTOR_SANDBOX = False, "none"
    assert not sandbox.is_used()
    assert "without a sandbox (EXECUTOR_SANDBOX is none)" in sandbox.describe()


def test_development_goes_without_where_there_is_none(settings, no_bubblewrap):
    settings.IN_DEVELOPMENT, settings.EXECUTOR_SANDBOX = True, "auto"
    assert not sandbox.is_used()
    assert "No such file" in sandbox.describe()


def test_a_choice_that_is_none_is_named(settings):
    settings.EXECUTOR_SANDBOX = "jail"
    with pytest.raises(LauncherMisconfigured, match="auto, bubblewrap, none"):
        sandbox.is_used()


@bubblewrap.needed
def test_what_is_not_named_is_not_there(tmp_path):
    shown, hidden = tmp_path / "shown", tmp_path / "hidden"
    for folder in (shown, hidden):
        folder.mkdir()
        (folder / "file").write_text("x")
    code = (
        "import os, sys; "
        f"print(os.path.exists({str(shown / 'file')!r}), os.path.exists({str(hidden)!r}), "
        "os.getpid(), os.getuid())"
    )
    with (tmp_path / "out").open("wb") as out:
        child = sandbox.start(
            (sys.executable, "-I", "-c", code),
            {"PATH": "/usr/bin"},
            sandbox.View(read_only=(shown,), hidden=(tmp_path,)),
            cwd=Path("/"),
            stdout=out,
        )
        assert child.wait(60) == 0
    assert (tmp_path / "out").read_text() == "True False 1 10001\n"
