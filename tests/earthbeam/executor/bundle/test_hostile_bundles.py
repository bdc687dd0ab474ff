"""Bundles are code from a repository: what one can do to its run, and what it cannot."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor import hostile
from tests.earthbeam.executor.processes.test_interruption import alive, gone
from tests.earthbeam.executor.test_failures import fails
from tests.earthbeam.executor.test_runs import INTERIM, ids_sent, interim

pytestmark = pytest.mark.slow

change_bundles = hostile.change_bundles
KNOWN = in_group(CURRENT)[10:14]


@pytest.fixture
def prepare(ods, workbench, write_file, change_bundles):
    """Makes a job whose bundle was changed so."""

    def prepare(changes):
        workbench.bundle_repo = change_bundles(changes)
        content = interim([(s.state_id, "", "A") for s in KNOWN])
        workbench.job(write_file("scores.csv", content.encode()), INTERIM, ods)

    return prepare


@pytest.fixture
def run_with(app, ods, workbench, prepare):
    """Runs the executor on such a job, and checks that it succeeded."""

    def run(changes):
        prepare(changes)
        ended = workbench.run()
        assert (ended.exit_status, app.outcome()) == (0, "done success"), ended.log
        assert ids_sent(ods.received("studentAssessments")) == {s.unique_id for s in KNOWN}
        assert list(workbench.scratch.iterdir()) == []
        return ended

    return run


def test_a_bundle_that_prints_half_a_gigabyte_fills_neither_log_nor_memory(prepare, app, workbench):
    prepare(
        hostile.running(
            "import os\nline = b'x' * 65535 + b'\\n'\nfor _ in range(2 ** 13): os.write(1, line)",
            when=hostile.IN_RUN,
        )
    )
    process = workbench.start()
    peak = []

    def watch():
        while process.poll() is None:
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    peak.append(int(line.split()[1]))
            time.sleep(0.2)

    threading.Thread(target=watch, daemon=True).start()
    log, _ = process.communicate(timeout=300)
    assert app.outcome() == "done success", log[-3000:]
    assert "left out" in log
    assert len(log) < 8 * 1024 * 1024
    assert max(peak) < 300 * 1024, "kB of the executor's memory"


def test_what_a_bundle_leaves_running_is_ended(run_with, tmp_path):
    pids = tmp_path / "pids"
    ended = run_with(
        hostile.running(
            f"""
import os, subprocess
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open({str(pids)!r}, "a") as file:
                file.write(f"{{os.getpid()}}\\n")
            os.execvp("sleep", ["sleep", "300"])
        os._exit(0)
"""
        )
    )
    left = {int(pid) for pid in pids.read_text().split()}
    assert len(left) >= 20, ended.log
    assert gone(left)


def test_a_bundle_cannot_send_the_ods_credentials_elsewhere(run_with, ods):
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}"
        run_with(
            {
                f"{INTERIM}/lightbeam.yaml": lambda text: text.replace(
                    "base_url: ${EDFI_API_BASE_URL}",
                    f"base_url: {url}\n  oauth_url: {url}/oauth\n  dependencies_url: {url}/d\n"
                    f"  open_api_metadata_url: {url}/m\n  resources_swagger_url: {url}/r\n"
                    f"  descriptors_swagger_url: {url}/s",
                )
            }
        )
        elsewhere.settimeout(0)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


LEAK = 'namespace_overrides: {leak: "${EDFI_API_CLIENT_SECRET}"}\n'


@pytest.mark.parametrize("how", ["in the repository", "by code of its own"])
def test_a_bundle_cannot_have_the_odss_secret_written_to_the_results(run_with, ods, workbench, how):
    """Users download lb-send-results.json, in which lightbeam notes parts of its configuration."""
    if how == "in the repository":
        run_with({f"{INTERIM}/lightbeam.yaml": lambda text: LEAK + text})
    else:
        code = f"""
text = open("lightbeam.yaml").read()
open("lightbeam.yaml", "w").write({LEAK!r} + text)
"""
        run_with(hostile.running(code, when=hostile.IN_DEPS))
    stored = workbench.output()
    assert "lb-send-results.json" in stored
    assert not [name for name, content in stored.items() if ods.client_secret.encode() in content]


def test_code_that_a_bundle_leaves_behind_never_runs_with_the_ods_credentials(run_with, tmp_path):
    stolen = tmp_path / "stolen"
    theft = f"import os\nopen({str(stolen)!r}, 'w').write(str(dict(os.environ)))"
    run_with(
        hostile.running(
            f"""
import os, pathlib
scratch = pathlib.Path(os.getcwd()).parent
for name in ("lightbeam", "bundle", "home", "tmp"):
    for module in ("lightbeam.py", "sitecustomize.py", "usercustomize.py", "yaml.py"):
        (scratch / name).mkdir(exist_ok=True)
        (scratch / name / module).write_text({theft!r})
"""
        )
    )
    assert not stolen.exists()


def test_links_and_pipes_among_the_results_are_left_out(run_with, app, ods, workbench):
    run_with(
        hostile.running(
            """
import os
output = os.environ["OUTPUT_DIR"]
if os.path.isdir(output):
    for name in ("students.jsonl", "schools.jsonl"):
        path = os.path.join(output, name)
        if not os.path.lexists(path):
            os.mkfifo(path) if name == "schools.jsonl" else os.symlink("/etc/passwd", path)
""",
            when=hostile.IN_RUN,
        )
    )
    assert not {"ods/students.jsonl", "ods/schools.jsonl"} & set(workbench.output())
    assert "ods/studentAssessments.jsonl" in workbench.output()
    (summary,) = app.posted("summary")
    assert "students" not in summary


def test_what_a_bundle_writes_outside_its_folder_is_no_result(run_with, workbench, tmp_path):
    run_with(
        hostile.running(
            f"""
import os
top = os.path.dirname(os.getcwd())
for folder in ("artifacts", "drafts", "input", "sets/non-ods/output", "tmp", "home"):
    os.makedirs(os.path.join(top, folder), exist_ok=True)
    with open(os.path.join(top, folder, "planted.jsonl"), "w") as file:
        file.write('{{"planted": 1}}')
with open({str(tmp_path / "elsewhere")!r}, "w") as file:
    file.write("planted")
""",
            when=hostile.IN_RUN,
        )
    )
    stored = workbench.output()
    assert not [name for name in stored if "planted" in name or name.startswith("non-ods")]
    assert not [name for name, content in stored.items() if b"planted" in content]


def test_folders_that_a_bundle_closes_are_removed_all_the_same(run_with):
    run_with(
        hostile.running(
            """
import os
for name in ("a", "a/b", "a/b/c"):
    os.makedirs(os.path.join(os.environ["OUTPUT_DIR"], name), exist_ok=True)
os.chmod(os.path.join(os.environ["OUTPUT_DIR"], "a/b"), 0)
""",
            when=hostile.IN_RUN,
        )
    )


SILENT_END = "import os\nos._exit(0)"


@pytest.mark.parametrize(
    ("code", "when", "error"),
    [
        (SILENT_END, hostile.IN_DEPS, "earthmover_deps"),
        (SILENT_END, hostile.IN_RUN, "artifact_not_found"),
        ("import os\nos.kill(os.getpid(), 11)", hostile.IN_DEPS, "earthmover_deps"),
        ("import os\nos.kill(os.getpid(), 11)", hostile.IN_RUN, "earthmover_run"),
        ("import os\nos.kill(os.getppid(), 9)", hostile.IN_RUN, "unknown"),
        ("import sys\nsys.stdout.write('\\n\\x1eanswer gibberish\\n')", hostile.IN_RUN, "unknown"),
        ("raise RecursionError", hostile.IN_RUN, "earthmover_run"),
    ],
)
def test_a_bundle_that_breaks_its_child_fails_that_step(
    prepare, app, ods, workbench, code, when, error
):
    prepare(hostile.running(code, when=when))
    fails(app, workbench, error)
    assert ods.received_counts() == {}


def test_what_a_bundle_starts_is_gone_before_anything_gets_the_ods_credentials(
    run_with, app, tmp_path
):
    spy = tmp_path / "spy.pids"
    alive_then = []

    def look(name, body):
        # The programs with credentials start after these reports.
        if body in (
            {"action": "get_student_roster", "status": "begin"},
            {"action": "lightbeam_send", "status": "begin"},
        ):
            alive_then.append(alive({int(pid) for pid in spy.read_text().split()}))

    app.on_report = look
    run_with(
        hostile.running(
            f"""
import os, subprocess
spy = subprocess.Popen(["sleep", "300"], start_new_session=True)
with open({str(spy)!r}, "a") as file:
    file.write(f"{{spy.pid}}\\n")
"""
        )
    )
    assert alive_then == [set(), set()]


def test_a_bundle_sees_no_token_and_no_credentials(prepare, app, ods, workbench, tmp_path):
    seen = tmp_path / "seen"
    prepare(
        hostile.running(
            f"import os\nopen({str(seen)!r}, 'a').write(str(sorted(os.environ.items())) + '\\n')"
        )
    )
    ended = workbench.run(AWS_SECRET_ACCESS_KEY="aws-secret", AWS_SESSION_TOKEN="aws-session")
    assert app.outcome() == "done success", ended.log
    told = seen.read_text()
    assert len(told.splitlines()) >= 3
    for secret in ("init-token", "access-token", "aws-se", ods.client_secret, ods.client_id):
        assert secret not in told
    assert os.environ.get("HOME", "/root") + "'" not in told


def test_a_bundle_that_ends_no_line_costs_a_run_nothing(prepare, app, workbench):
    prepare(hostile.running("sys.stdout.write('x' * 20_000)\nsys.stdout.flush()"))
    ended = workbench.run(TIMEOUT_SECONDS="100")
    assert app.outcome() == "done success", ended.log[-3000:]


def test_a_package_of_a_host_that_is_not_allowed_is_refused_by_its_name(prepare, app, workbench):
    package = "packages:\n  theirs:\n    git: https://elsewhere.example.org/theirs.git\n\nsources:"
    prepare(
        {f"{INTERIM}/earthmover.yaml": lambda text: text.replace("\nsources:", "\n" + package, 1)}
    )
    told = fails(app, workbench, "earthmover_deps")
    assert "a package at elsewhere.example.org" in told["message"]
