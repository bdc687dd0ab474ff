"""A bundle that tries everything, run by the real local launcher under real web and worker
processes: it gets its own run, and nothing else of the machine."""

import json
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from earthbeam import paths
from earthbeam.executor.bundle.checkout import mirror_path
from earthbeam.files import directory_of
from earthbeam.jobs.lifecycle import start_run
from tests import bubblewrap
from tests.e2e.jobs import output, submit, wait_for_end
from tests.earthbeam.executor import hostile

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), bubblewrap.needed]

SECRET = "hunter2"

# Python, run by earthmover as it transforms. WANTED is what the test knows of its victims. Each
# attack that gets something says so; what is raised is what should be.
ATTACKS = r"""
import ctypes, glob, json, os, re, signal, socket, subprocess, time

loot = {}

def attack(function):
    try:
        found = function()
    except (OSError, subprocess.SubprocessError):
        found = None
    if found:
        loot[function.__name__] = found
    return function

def read(path):
    with open(path, "rb") as file:
        return file.read(1 << 20)

def readable(pattern):
    for path in glob.glob(pattern, recursive=True):
        try:
            yield path, read(path)
        except OSError:
            pass

def files_below(folder):
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]

def write(path):
    with open(path, "xb") as file:
        file.write(b"planted")
    os.unlink(path)
    return path

def write_to(path):
    os.close(os.open(path, os.O_WRONLY))
    return path

@attack
def environment_of_other_processes():
    own = {b"SECRET_KEY=", b"DATABASE_URL=", b"EXECUTOR_JWT_KEY=", b"INIT_TOKEN=", b"PGDATA="}
    return [
        path for path, content in readable("/proc/[0-9]*/environ") if any(n in content for n in own)
    ]

@attack
def other_processes():
    others = (b"gunicorn", b"manage.py\0worker", b"postgres", WANTED["decoy_name"].encode())
    return [
        content.decode()[:80] for path, content in readable("/proc/[0-9]*/cmdline")
        if any(name in content for name in others)
    ]

@attack
def the_executors_own_secrets():
    executor = 1 if WANTED["sandboxed"] else None
    found = []
    for pid in {executor or os.getppid(), os.getppid()}:
        for name, look in (("environ", read), ("maps", read), ("mem", write_to),
                           *((link, os.readlink) for link in ("fd/0", "root", "cwd", "exe"))):
            try:
                found.append(look(f"/proc/{pid}/{name}"))
            except OSError:
                pass
        if ctypes.CDLL(None).ptrace(16, pid, 0, 0) == 0:  # PTRACE_ATTACH
            os.waitpid(pid, 0x40000000)  # __WALL
            ctypes.CDLL(None).ptrace(17, pid, 0, 0)
            found.append("traced")
    return [repr(each)[:60] for each in found]

@attack
def the_checkout():
    own_scratch = re.match(r".*/runway-run-[^/]+", os.getcwd()).group()
    given = (WANTED["job"], WANTED["mirror"], own_scratch)
    seen = {os.path.relpath(path, WANTED["project"]).split("/")[0] for path in
            files_below(WANTED["project"]) if not path.startswith(given)}
    return sorted(seen - {"manage.py", "runway", "earthbeam", ".venv"})

@attack
def the_apps_code():
    return [path for path in files_below(WANTED["project"] + "/runway")
            if os.path.basename(path) not in ("__init__.py", "aws.py", "executor_settings.py")]

@attack
def files_of_other_jobs():
    return [path for path in files_below(WANTED["files"]) if not path.startswith(WANTED["job"])]

@attack
def scratch_of_other_runs():
    return [path for path in files_below(WANTED["scratch"]) if "other-run" in path]

@attack
def home_of_the_worker():
    return [path for path in files_below(WANTED["home"]) if ".pyenv" not in path]

@attack
def keys_of_the_machine():
    return [path for path in ("/etc/shadow", "/etc/ssl/private", "/run", "/var", "/srv")
            if os.path.exists(path)]

@attack
def postgresql():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(WANTED["postgres"])
    return "connected"

@attack
def change_the_mirror():
    return write(WANTED["mirror"] + "/hooks/post-checkout")

@attack
def change_an_object_of_the_mirror():
    path = files_below(WANTED["mirror"] + "/objects")[0]
    os.chmod(path, 0o600)
    return path

@attack
def change_the_code():
    return write(WANTED["project"] + "/earthbeam/planted.py")

@attack
def change_the_packages():
    return write(os.path.join(os.path.dirname(json.__file__), "planted.py"))

@attack
def change_the_submitted_file():
    path, = glob.glob(WANTED["job"] + "/input/*")
    os.chmod(path, 0o600)
    return path

@attack
def change_the_system():
    return write_to("/proc/sys/kernel/core_pattern")  # by which one is root of the machine

@attack
def end_another_process():
    if WANTED["decoy_name"].encode() in read(f"/proc/{WANTED['decoy']}/cmdline"):
        os.kill(WANTED["decoy"], signal.SIGKILL)
        return "killed"

@attack
def end_the_executor():
    if WANTED["sandboxed"]:  # where process 1 is not the machine's
        os.kill(1, signal.SIGKILL)
        os.kill(1, signal.SIGSTOP)

@attack
def gain_capabilities():
    command = ["unshare", "--user", "--map-root-user", "true"]
    subprocess.run(command, check=True, capture_output=True)
    return "done"

@attack
def capabilities():
    status = read("/proc/self/status").decode()
    return [line for line in status.splitlines() if line[:6] in ("CapPrm", "CapEff", "CapBnd")
            and int(line.split()[1], 16)]

report = socket.create_connection(("127.0.0.1", WANTED["port"]))
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 64):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        time.sleep(600)  # with the connection open: whether it outlives its run
    os._exit(0)
report.sendall(json.dumps(loot).encode() + b"\n")
"""


class Listener:
    """Takes what bundles report, and knows whose connections are still open."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.loot: list[dict[str, object]] = []
        self._readers: list[threading.Thread] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            reader = threading.Thread(target=self._read, args=(connection,), daemon=True)
            self._readers.append(reader)
            reader.start()

    def _read(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            self.loot += [json.loads(line) for line in lines]

    def all_gone(self) -> bool:
        """Wait until everybody has hung up."""
        for reader in self._readers:
            reader.join(60)
        return not any(reader.is_alive() for reader in self._readers)


@pytest.fixture
def decoy():
    """A process that is none of the bundle's business."""
    with subprocess.Popen(("sleep", "86399")) as process:
        yield process
        process.kill()


def test_a_hostile_bundle_gets_nothing_that_is_not_its_own_runs(stack, ods, interim, decoy):
    listener = Listener()
    job = submit(interim)
    base = directory_of(settings.FILES_BASE)
    for name in ("other/tenant/2526/id/input/scores.csv", "__rosters/other/tenant/2026/r.jsonl"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(SECRET)
    other_run = stack.scratch / "runway-run-other-run"
    other_run.mkdir()
    (other_run / "scores.csv").write_text(SECRET)
    database = settings.DATABASES["default"]["OPTIONS"]
    wanted = {
        "sandboxed": stack.is_sandboxed(),
        "decoy": decoy.pid,
        "decoy_name": "sleep\00086399",
        "project": str(settings.BASE_DIR),
        "files": str(base),
        "job": str(directory_of(paths.app_data_base_path(job))),
        "scratch": str(stack.scratch),
        "home": str(Path.home()),
        "postgres": f"{database['host']}/.s.PGSQL.{database['port']}",
        "mirror": str(mirror_path(str(stack.bundle_repository))),
        "port": listener.port,
    }
    changes = hostile.running(f"WANTED = {wanted!r}\n{ATTACKS}", when=hostile.IN_RUN)
    with hostile.changed(stack.bundle_repository, changes):
        call_command("sync_bundles")
        run = wait_for_end(start_run(job))

    assert run.status == "success", (listener.loot, run.log.text)
    assert listener.all_gone(), "what the bundle has left running lives on"
    assert listener.loot
    assert {name: what for each in listener.loot for name, what in each.items()} == {}
    assert decoy.poll() is None
    assert (output(run) / "ods" / "studentAssessments.jsonl").exists()
    (other_run / "scores.csv").unlink()
    other_run.rmdir()
    assert stack.left_behind() == []
