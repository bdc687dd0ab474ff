"""bubblewrap around a local executor, so that a bundle has access to its own run only.

The sandbox has programs and libraries, the executor's own code, the files that ``View`` names, and
its own /proc, /dev, and /tmp. It has no other process, socket, or file of this machine. It shares
the machine's network, which it needs for the app, the ODS, and S3.

The executor is process 1 in the sandbox. Nothing inside can kill it, and nothing outlives it. It
does outlive a worker that was killed (orphans.py), so bubblewrap's option to end it with its parent
is not used.
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
# Not root: a program that root starts may be given capabilities.
_USER = "10001"
# Not all of /usr and /etc: those also hold applications, keys, and passwords.
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
    """bubblewrap is missing or does not work. The text has its output."""


@dataclass(frozen=True)
class View:
    """The files of this machine that a program sees besides programs, as absolute paths.

    Missing paths are left out of ``read_only``; those in ``read_write`` must exist.
    """

    read_only: tuple[Path, ...] = ()
    read_write: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    """Folders whose other content is never shown, even inside a shown folder.

    The same holds in the system's temporary folder; the program has its own instead.
    """


def is_used() -> bool:
    """Whether local executors are sandboxed here.

    Raises LauncherMisconfigured if the sandbox is required but does not work.
    """
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
    """Return what local executors run in, for a log. Raises LauncherMisconfigured."""
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


@cache  # caches success only, since exceptions are not cached
def probe() -> None:
    """Test whether bubblewrap works here by running Python in it. Raises Unusable."""
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
    """Run ``argv`` in a sandbox and a new session, with only ``environment``.

    The process is bubblewrap's. It exits as the program does: with 128 plus the signal's number if
    a signal ended it. SIGTERM to its group goes to the program, which must unblock it. Raises
    OSError.
    """
    if shutil.which(argv[0]) is None:  # bubblewrap would report this only by its exit status
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    fd = os.memfd_create("arguments")  # contains a token, which a command line would expose
    try:
        os.write(fd, b"".join(os.fsencode(each) + b"\0" for each in _arguments(environment, view)))
        os.lseek(fd, 0, os.SEEK_SET)
        # Otherwise SIGTERM would end bubblewrap before the program has reported. Each thread has
        # its own mask, and a child inherits that of the thread that starts it.
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
    # /proc too: access to files in /proc/sys depends on the worker's user, who may be root.
    for path in (Path("/proc"), *(path for path in view.hidden if path in mounts), Path("/")):
        yield from ("--remount-ro", str(path))
    for name, value in environment.items():
        yield from ("--setenv", name, value)


@cache
def _newer_options() -> tuple[str, ...]:
    """Return options that bubblewrap has since 0.8. They keep a bundle without capabilities."""
    usage = subprocess.run(("bwrap", "--help"), capture_output=True, check=False)  # noqa: S607
    return ("--disable-userns",) if b"--disable-userns" in usage.stdout + usage.stderr else ()


def _mounts(view: View) -> dict[Path, tuple[str, ...]]:
    """Return what bubblewrap mounts at each path."""
    shown = {Path(path) for path in _SYSTEM} | set(_python()) | set(view.read_only)
    mounts: dict[Path, tuple[str, ...]] = {}
    for path in shown:
        if path.is_symlink() and path.parent == Path("/"):  # /bin, if it is a link to /usr/bin
            mounts[path] = ("--symlink", str(path.readlink()))
        elif path.exists() and not _is_visible(path, shown, view.hidden):
            mounts[path] = ("--ro-bind", str(path))
    for path in view.hidden:
        if _is_visible(path, {*shown, _OWN_TMP}, ()):
            mounts[path] = ("--tmpfs",)
    mounts |= {path: ("--bind", str(path)) for path in view.read_write}
    return mounts


def _is_visible(path: Path, shown: Collection[Path], hidden: Collection[Path]) -> bool:
    """Whether the path is in a shown folder, and not in a hidden one within it."""
    nearest = next((each for each in path.parents if each in shown or each in hidden), None)
    return nearest is not None and nearest not in hidden


def _python() -> Iterator[Path]:
    """Yield the paths of this Python and its packages: of a virtual environment and its base."""
    for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
        for folder in {Path(prefix), Path(prefix).resolve()}:
            yield from (folder / name for name in _PYTHON)
    program = Path(sys.executable)
    while program.is_symlink():  # the links between the two, wherever they are
        yield program
        program = program.parent / program.readlink()
    yield program
