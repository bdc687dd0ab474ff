import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.processes import interruption, running

pytestmark = pytest.mark.slow


def python(code, tmp_path, **options):
    return running.run(
        (sys.executable, "-c", code),
        label="child",
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
        cwd=tmp_path,
        **options,
    )


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False


def test_a_child_that_the_system_kills_is_reported_as_out_of_memory(tmp_path):
    code = "import os; print('last', flush=True); os.kill(os.getpid(), 9)"
    with pytest.raises(StepFailed, match="memory ran out") as caught:
        python(code, tmp_path)
    assert caught.value.fields == {"out_of_memory": True, "stacktrace": "last"}


def test_exit_code_and_output_are_returned(tmp_path):
    done = python("print('one'); print('two'); raise SystemExit(3)", tmp_path)
    assert (done.exit_code, done.tail) == (3, "one\ntwo")


def test_output_is_logged_line_by_line_while_the_child_runs(tmp_path, caplog):
    caplog.set_level("INFO", logger="earthbeam.executor")
    python("print('halfway')", tmp_path)
    assert "child | halfway" in caplog.text


def test_the_child_sees_only_the_environment_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("INIT_TOKEN", "secret")
    done = python("import os; print(sorted(os.environ))", tmp_path)
    assert "INIT_TOKEN" not in done.tail


def test_a_child_that_prints_without_end_fills_neither_log_nor_memory(tmp_path, caplog):
    caplog.set_level("INFO", logger="earthbeam.executor")
    done = python("for i in range(400_000): print('x' * 50)", tmp_path)
    assert done.exit_code == 0
    assert len(done.tail) < 20_000
    assert "left out" in caplog.text
    assert len(caplog.text) < 12_000_000


def test_a_watcher_can_end_a_child_early(tmp_path):
    with pytest.raises(running.StoppedEarly) as stopped:
        python(
            "import time\nprint('hopeless', flush=True)\ntime.sleep(60)",
            tmp_path,
            stop_when=lambda line: "hopeless" in line,
        )
    assert stopped.value.tail == "hopeless"


def test_a_signal_handlers_exception_ends_a_child_that_ignores_sigterm(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "TERMINATE_SECONDS", 0.3)
    pid_file = tmp_path / "pid"

    class Enough(BaseException):
        pass

    raised = threading.Event()

    def enough(*_):
        if not interruption._state.held and not raised.is_set():
            raised.set()
            raise Enough

    def interrupt_when_the_child_is_up():
        while not pid_file.exists():
            time.sleep(0.02)
        while not raised.wait(0.1):
            os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, enough)
    helper = threading.Thread(target=interrupt_when_the_child_is_up, daemon=True)
    helper.start()
    try:
        with pytest.raises(Enough):
            python(
                "import signal, os, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                "open('pid.new', 'w').write(str(os.getpid())); os.rename('pid.new', 'pid')\n"
                "time.sleep(60)",
                tmp_path,
            )
    finally:
        helper.join(30)
        signal.signal(signal.SIGUSR1, before)
    assert not is_alive(int(pid_file.read_text()))


def test_what_a_child_leaves_running_in_its_group_is_killed(tmp_path):
    done = python(
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)",
        tmp_path,
    )
    pid = int(done.tail)
    deadline = time.monotonic() + 30
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_child_does_not_outlive_an_executor_that_is_killed(tmp_path):
    child = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    executor = (
        "import sys, logging; from pathlib import Path\n"
        "from earthbeam.executor.processes import running\n"
        "logging.basicConfig(level='INFO', stream=sys.stdout, format='%(message)s')\n"
        f"running.run((sys.executable, '-c', {child!r}), label='child', env={{}},"
        f" cwd=Path({str(tmp_path)!r}))"
    )
    with subprocess.Popen((sys.executable, "-c", executor), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().split()[-1])
        process.kill()
    deadline = time.monotonic() + 30
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


def test_a_daemon_that_keeps_the_output_open_does_not_hold_the_run(tmp_path):
    started = time.monotonic()
    done = python(
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(120)'],"
        " start_new_session=True)\nprint(p.pid)",
        tmp_path,
    )
    os.kill(int(done.tail), signal.SIGKILL)
    assert done.exit_code == 0
    assert time.monotonic() - started < 60
