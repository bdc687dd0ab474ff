"""bubblewrap around a local executor, so that a bundle reaches its own run and nothing else.

Inside there are: programs and libraries, the executor's own code, what ``View`` names, and a /proc,
/dev and /tmp of its own. No other process, no socket, no other file of this machine. The network is
the machine's, since the app, the ODS and S3 are reached by it.

The executor is process 1 in there. Nothing inside can kill it, and nothing outlives it. It does
outlive a worker that was killed (orphans.py), so bubblewrap is not asked to end it with its parent.
"""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from earthbeam.errors import LauncherMisconfigured
from earthbeam.launchers import children

AUTO, BUBBLEWRAP, NONE = CHOICES = ("auto", "bubblewrap", "none")
HINT = (
    "Install bubblewrap (Debian's package has that name) and allow user namespaces to the worker's "
    "user. EXECUTOR_SANDBOX=none goes without, for bundles that you trust with everything that "
    "Runway knows."
)

_PROBE_SECONDS = 30.0
# Anybody but root: a program that root starts may be given capabilities.
_USER = "10001"
# Not all of /usr and /etc: applications are put below the one, keys and passwords below the other.
_SYSTEM = (
    *(f"/usr/{name}" for name in ("bin", "sbin", "lib", "lib32", "lib64", "libexec", "share")),
    *(f"/usr/local/{name}" for name in ("bin", "sbin", "lib", "lib64", "share")),
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64"),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime"),
    *("/etc/gai.conf", "/etc/host.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"),
    *("/etc/protocols", "/etc/services"),
    *("/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/ca-certificates"),
    *("/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/pki/ca-trust"),
)
_OWN_TMP = Path("/tmp")  # noqa: S108  one of the sandbox's own, which the program may write to
_PYTHON = ("bin", "lib", "lib64", "pyvenv.cfg", "ssl")


class Unusable(Exception):
    """bubblewrap is not there or does not work; the text says what it said."""


@dataclass(frozen=True)
class View:
    """What a program sees of this machine beside programs, by absolute paths. What does not exist
    is left out of ``read_only``; what is in ``read_write`` must exist."""

    read_only: tuple[Path, ...] = ()
    read_write: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    """Folders whose other content is never shown, should they lie below one that is, or in the
    system's temporary folder, of which the program has one of its own to write to."""


def is_used() -> bool:
    """Whether local executors are sandboxed here. Raises LauncherMisconfigured where they must be
    and cannot."""
    chosen = settings.EXECUTOR_SANDBOX
    if chosen not in CHOICES:
        raise LauncherMisconfigured(
            f"EXECUTOR_SANDBOX is {chosen!r}. Set it to one of: {', '.join(CHOICES)}."
        )
    if chosen == NONE:
        return False
    try:
        probe()
    except Unusable as error:
        if chosen == AUTO and settings.IN_DEVELOPMENT:
            return False
        raise LauncherMisconfigured(
            f"Local executors need a sandbox, and there is none: {error}. {HINT}"
        ) from None
    return True


def describe() -> str:
    """What local executors run in, for a log. Raises LauncherMisconfigured."""
    if is_used():
        return "Executors run in a bubblewrap sandbox."
    reason = "EXECUTOR_SANDBOX is none"
    if settings.EXECUTOR_SANDBOX != NONE:
        try:
            probe()
        except Unusable as error:
            reason = str(error)
    return (
        f"Executors run without a sandbox ({reason}): a bundle can read and change all that this "
        "user can."
    )


@cache  # of a success alone: what is raised is not kept
def probe() -> None:
    """See whether bubblewrap works here, by running Python in it. Raises Unusable."""
    if sys.platform != "linux":
        raise Unusable("it is for Linux alone")
    code = "import shutil, sys; sys.exit(not shutil.which('git') and 'git is not to be found')"
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    try:
        child = start(
            (sys.executable, "-I", "-S", "-c", code),
            environment,
            View(),
            cwd=Path("/"),
            stdout=subprocess.PIPE,
        )
    except OSError as error:
        raise Unusable(f"bwrap cannot be started ({error.strerror})") from None
    try:
        said, _ = child.communicate(timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unusable("bwrap did not answer") from None
    finally:
        children.kill(child)
    if child.returncode:
        raise Unusable(said.decode(errors="replace").strip() or "bwrap does not work")


def start(
    argv: tuple[str, ...],
    environment: dict[str, str],
    view: View,
    *,
    cwd: Path,
    stdout: int | IO[Any],
) -> "subprocess.Popen[bytes]":
    """Run ``argv`` in a sandbox, with ``environment`` alone, in a session of its own.

    The process is bubblewrap's, and ends as the program does: 128 and the signal's number, if one
    ended it. SIGTERM to its group is the program's, which must unblock it. Raises OSError.
    """
    if shutil.which(argv[0]) is None:  # which bubblewrap would only tell by its exit status
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    fd = os.memfd_create("arguments")  # which hold a token, and everybody sees a command line
    try:
        os.write(fd, b"".join(os.fsencode(each) + b"\0" for each in _arguments(environment, view)))
        os.lseek(fd, 0, os.SEEK_SET)
        # Or bubblewrap would end by it, before the program has reported. Threads have masks of
        # their own, and a child begins with that of the thread that starts it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            return subprocess.Popen(
                ("bwrap", "--args", str(fd), "--", *argv),  # noqa: S607  wherever PATH has it
                env={"PATH": os.environ.get("PATH", os.defpath)},
                pass_fds=(fd,),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    finally:
        os.close(fd)


def _arguments(environment: dict[str, str], view: View) -> Iterator[str]:
    yield from ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts")
    yield from ("--unshare-cgroup-try", "--as-pid-1", "--cap-drop", "ALL")
    yield from ("--uid", _USER, "--gid", _USER)
    yield from _newer_options()
    mounts = _mounts(view)
    yield from ("--proc", "/proc", "--dev", "/dev", "--tmpfs", str(_OWN_TMP))
    for path in sorted(mounts, key=lambda path: len(path.parts)):  # folders before what is in them
        yield from (*mounts[path], str(path))
    # Also /proc: to files below /proc/sys the worker's user counts, who may be root.
    for path in (Path("/proc"), *(path for path in view.hidden if path in mounts), Path("/")):
        yield from ("--remount-ro", str(path))
    for name, value in environment.items():
        yield from ("--setenv", name, value)


@cache
def _newer_options() -> tuple[str, ...]:
    """What bubblewrap knows since 0.8: no namespaces in which a bundle would have capabilities."""
    told = subprocess.run(("bwrap", "--help"), capture_output=True, check=False)  # noqa: S607
    return ("--disable-userns",) if b"--disable-userns" in told.stdout + told.stderr else ()


def _mounts(view: View) -> dict[Path, tuple[str, ...]]:
    """What bubblewrap is to put at each path."""
    shown = {Path(path) for path in _SYSTEM} | set(_python()) | set(view.read_only)
    mounts: dict[Path, tuple[str, ...]] = {}
    for path in shown:
        if path.is_symlink() and path.parent == Path("/"):  # /bin, where it is /usr/bin
            mounts[path] = ("--symlink", str(path.readlink()))
        elif path.exists() and not _is_visible(path, shown, view.hidden):
            mounts[path] = ("--ro-bind", str(path))
    for path in view.hidden:
        if _is_visible(path, {*shown, _OWN_TMP}, ()):
            mounts[path] = ("--tmpfs",)
    mounts |= {path: ("--bind", str(path)) for path in view.read_write}
    return mounts


def _is_visible(path: Path, shown: Collection[Path], hidden: Collection[Path]) -> bool:
    """Whether the path is in a folder that is shown, and in none below that one that is hidden."""
    nearest = next((each for each in path.parents if each in shown or each in hidden), None)
    return nearest is not None and nearest not in hidden


def _python() -> Iterator[Path]:
    """This Python and its packages: of a virtual environment, and of what that was made from."""
    for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
        for folder in {Path(prefix), Path(prefix).resolve()}:
            yield from (folder / name for name in _PYTHON)
    program = Path(sys.executable)
    while program.is_symlink():  # the links between the two, wherever they lie
        yield program
        program = program.parent / program.readlink()
    yield program
