"""Transfers begun before their step: they overlap, and fail in their own step, in its turn."""

import signal
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor import hostile
from tests.earthbeam.executor.conftest import edu_roster
from tests.earthbeam.executor.processes.test_interruption import descendants, gone
from tests.earthbeam.executor.test_failures import fails
from tests.earthbeam.executor.test_runs import INTERIM, STEPS, interim

pytestmark = pytest.mark.slow

change_bundles = hostile.change_bundles
KNOWN = in_group(CURRENT)[10:14]
LONG = 90.0
"""Seconds after which what does not come will not come; nothing waits so long if all works."""


@pytest.fixture
def job(app, workbench, write_file):
    """A job that goes to no ODS, matched against EDU's roster."""
    path = write_file("scores.csv", interim([(s.state_id, "", "A") for s in KNOWN]).encode())
    app.roster = edu_roster
    workbench.job(path, INTERIM, None, cross_year=True)


def during(app, step, do):
    def on_report(name, body):
        if name == "status" and body == {"action": step, "status": "begin"}:
            do()

    app.on_report = on_report


def comes(condition):
    deadline = time.monotonic() + LONG
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_input_and_roster_are_on_their_way_before_their_steps(app, job, workbench):
    seen = []

    def look():
        scratch = workbench.scratch
        seen.append(comes(lambda: list(scratch.glob("*/incoming/input_file/scores.csv"))))
        seen.append(comes(lambda: app.roster_requests == 1))
        # Where bundles look for it, there is nothing yet.
        seen.append(not list(scratch.glob("*/input/*")))

    during(app, "earthmover_deps", look)
    ended = workbench.run()
    assert app.outcome() == "done success", ended.log
    assert all(seen)
    assert app.roster_requests == 1


def steps_until(failed, *, but=()):
    steps = [step for step in STEPS[: STEPS.index(failed)] if step not in but]
    before = [f"{step} {status}" for step in steps for status in ("begin", "success")]
    return [*before, f"{failed} begin", f"{failed} failure", "done failure"]


def test_of_several_that_fail_the_first_in_turn_is_told_and_only_that(app, job, workbench):
    app.roster_status = 409
    files = app.payload["inputFiles"]
    app.payload["inputFiles"] = {"INPUT_FILE": "INPUT_FILE__gone.csv"}
    app.payload["bundle"]["branch"] = "gone"
    fails(app, workbench, "bundle_git_pull")
    assert app.steps() == steps_until("refresh_bundle_code")

    app.reports.clear()
    app.payload["bundle"]["branch"] = "main"
    fails(app, workbench, "cross_year_roster_fetch")
    assert app.steps() == steps_until("get_student_roster")

    app.reports.clear()
    app.roster_status = 200
    payload = fails(app, workbench, "input_s3_download")
    assert app.steps() == steps_until("get_input_files")
    assert payload["path"] == "input/INPUT_FILE__gone.csv"

    app.reports.clear()
    app.payload["inputFiles"] = files
    workbench.run()
    assert app.outcome() == "done success"


@contextmanager
def s3_that_gives_nothing():
    """An S3 that takes every file, and lets whoever wants one wait."""
    closed = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_PUT(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self):
            closed.wait(LONG * 2)

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    closed.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("storage", ["s3"])
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGALRM, "executor_timeout"), (signal.SIGTERM, "unknown")],
    ids=["time limit", "SIGTERM"],
)
def test_a_transfer_that_hangs_is_ended_with_the_run(app, job, workbench, number, code):
    with s3_that_gives_nothing() as url:
        process = workbench.start(AWS_ENDPOINT_URL_S3=url)
        assert comes(lambda: "get_input_files begin" in app.steps())
        children = descendants(process.pid)
        process.send_signal(number)
        log, _ = process.communicate(timeout=LONG)
    assert (process.returncode, app.outcome()) == (0, "done failure"), log
    assert app.error()["code"] == code
    assert app.steps()[-2] == "get_input_files failure"
    assert gone(children)
    assert list(workbench.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGALRM, "executor_timeout"), (signal.SIGTERM, "unknown")],
    ids=["time limit", "SIGTERM"],
)
def test_a_roster_stream_that_hangs_is_ended_with_the_run(app, job, workbench, number, code):
    released = threading.Event()

    def hangs():
        yield next(iter(edu_roster()))
        released.wait(LONG * 2)

    app.roster = hangs
    process = workbench.start()
    assert comes(lambda: "get_student_roster begin" in app.steps())
    process.send_signal(number)
    log, _ = process.communicate(timeout=LONG)
    released.set()
    assert (process.returncode, app.outcome()) == (0, "done failure"), log
    assert app.steps()[-2] == "get_student_roster failure"
    assert app.error()["code"] == code
    assert list(workbench.scratch.iterdir()) == []


CHANGES = {
    "a link": "os.remove(path); os.symlink('/proc/self/status', path)",
    "nothing": "os.remove(path)",
    "a folder's link": "os.rename(folder, top + '/aside'); os.symlink(top + '/aside', folder)",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_a_bundle_has_put_elsewhere_is_refused(
    app, job, workbench, change_bundles, change
):
    workbench.bundle_repo = change_bundles(
        hostile.running(
            f"""
import os, time
top = os.path.dirname(os.getcwd())
folder = top + "/incoming/input_file"
path = folder + "/scores.csv"
if not os.path.exists(top + "/changed"):
    while not os.path.exists(path):
        time.sleep(0.01)
    time.sleep(0.2)
    {change}
    open(top + "/changed", "w").close()
""",
            when=hostile.IN_DEPS,
        )
    )
    payload = fails(app, workbench, "input_s3_download")
    assert "replaced or removed" in payload["message"]
    assert app.steps() == steps_until("get_input_files")


def test_a_roster_that_a_bundle_has_put_elsewhere_is_refused(app, job, workbench, change_bundles):
    workbench.bundle_repo = change_bundles(
        hostile.running(
            """
import os, time
path = os.path.dirname(os.getcwd()) + "/drafts/studentEducationOrganizationAssociations.jsonl"
while not os.path.exists(path):
    time.sleep(0.01)
os.symlink("/etc/passwd", path + ".new")
os.replace(path + ".new", path)
""",
            when=hostile.IN_DEPS,
        )
    )
    fails(app, workbench, "artifact_not_found")
    assert app.steps() == steps_until("get_student_roster")
    assert workbench.output() == {}
