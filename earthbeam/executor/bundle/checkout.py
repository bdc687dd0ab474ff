"""Bundle code: a local mirror of the bundle repository, and a working copy of one bundle.

The mirror is kept between runs and fetched for each; a lock serializes concurrent executors. It
fetches only the run's branch, and others that its bundles name, so that broken or huge content
elsewhere in the repository does no harm. Bundles name packages by the public repository's URL.
Environment variables make git read that URL from the mirror, so that `earthmover deps` needs no
network and bundles need no change.
"""

import fcntl
import hashlib
import logging
import os
import re
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from earthbeam.executor.environment import DEFAULT_BUNDLE_REPO
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.processes import running
from earthbeam.executor.workspace.folders import Workspace

logger = logging.getLogger(__name__)

FETCH_PAUSES = (2.0, 5.0)
_PROJECT = Path(__file__).resolve().parents[3]
REFUSED = "refused://"
"""What git gets instead of a URL that packages may not come from."""
REFUSED_HELPER = "remote-refused"
"""What git then reports as missing."""
_NO_BRANCH = "couldn't find remote ref"
"""What git reports for a missing branch."""
_JUST_NOW_MINUTES = 10.0
_TRANSPORTS = ("http", "https", "git", "ssh", "ftp", "ftps", "file")
STALE_SECONDS = 24 * 60 * 60.0
"""A branch fetched within this time is used if the repository cannot be reached."""
_BRANCH_NAMED = re.compile(r"^\s*branch:\s*['\"]?([\w./-]+)", re.MULTILINE)


@dataclass(frozen=True)
class Mirror:
    """A bare copy of the bundle repository on this machine."""

    path: Path
    repository: str

    def redirection(self, hosts: tuple[str, ...] = ("github.com",)) -> dict[str, str]:
        """Return variables that make git read the public repository's URL from this mirror.

        Git can then clone only from the servers ``hosts``, and only over https.
        """
        # Without user name and token: bundles' code sees this, and packages do not name them.
        repository = re.sub(r"://[^/@]*@", "://", self.repository)
        addresses = {repository, DEFAULT_BUNDLE_REPO, DEFAULT_BUNDLE_REPO.removesuffix(".git")}
        settings = [
            (f"url.{self.path}.insteadOf", address)
            for address in sorted(addresses, key=len, reverse=True)
        ]
        # Git uses the longest matching prefix: allowed hosts stay, everything else is refused.
        own = urlsplit(repository)
        allowed = {*hosts, own.netloc} if own.scheme == "https" else set(hosts)
        settings += [(f"url.https://{host}/.insteadOf", f"https://{host}/") for host in allowed]
        settings += [(f"url.{REFUSED}{kind}/.insteadOf", f"{kind}://") for kind in _TRANSPORTS]
        settings += [(f"url.{REFUSED}ssh/.insteadOf", "git@")]
        settings += [("safe.directory", "*"), ("advice.detachedHead", "false")]
        env = {"GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings):
            env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return env | _plain_git()


def refresh_mirror(
    repository: str,
    workspace: Workspace,
    branch: str = "main",
    *,
    commit: str | None = None,
    pauses: tuple[float, ...] | None = None,
) -> Mirror:
    """Update ``branch`` of the mirror of ``repository``, and return the mirror.

    Does nothing if the mirror already has ``commit``. If the repository cannot be fetched, uses the
    branch as of the last day, and logs that. Otherwise raises StepFailed(bundle_git_pull) after
    three tries, or one more than there are ``pauses``.
    """
    mirror = Mirror(mirror_path(repository), repository)
    with _locked(mirror.path.with_suffix(".lock")):
        if commit is not None and _has(mirror, commit, workspace):
            return mirror
        for pause in (*(FETCH_PAUSES if pauses is None else pauses), None):
            tail = _fetch(mirror, branch, commit, workspace)
            if tail is None:
                return mirror
            if _NO_BRANCH in tail:
                raise StepFailed("bundle_git_pull", _no_branch(branch), stacktrace=tail)
            if pause is not None:
                logger.warning("the bundle repository could not be fetched; again in %.0f s", pause)
                running.wait(pause)
        if commit is None and warn_if_stale(mirror, branch):
            return mirror
    raise StepFailed(
        "bundle_git_pull",
        "The bundle repository could not be fetched; see the log for git's reason.",
        stacktrace=tail,
    )


def warn_if_stale(mirror: Mirror, branch: str) -> bool:
    """Whether the branch was fetched within the last day. If it was not just now, logs when."""
    try:
        fetched = _fetched(mirror.path, branch).stat().st_mtime
    except OSError:
        return False
    minutes = (time.time() - fetched) / 60
    if minutes * 60 > STALE_SECONDS:
        return False
    if minutes > _JUST_NOW_MINUTES:
        logger.warning(
            "The bundle repository cannot be reached: the run goes on with branch %s as it was"
            " %.0f minutes ago",
            branch,
            minutes,
        )
    return True


def _fetched(mirror: Path, branch: str) -> Path:
    """Return a file whose time is that of the branch's last fetch."""
    return mirror / "fetched" / quote(branch, safe="")


def at_commit(mirror: Mirror, branch: str, commit: str, workspace: Workspace) -> Mirror:
    """Return a mirror for this run only, with only ``branch``, at ``commit``.

    Packages that bundles name by the repository's URL come from it too, so that only code of that
    commit runs. Raises StepFailed(bundle_git_pull) if the mirror does not have it.
    """
    pinned = Mirror(workspace.root / "bundles.git", mirror.repository)
    if not _has(mirror, commit, workspace):
        raise StepFailed(
            "bundle_git_pull",
            f"The bundle repository has no commit {commit[:12]} any more: sync the bundles, then"
            " run the job again.",
        )
    _git(("init", "--quiet", "--bare", str(pinned.path)), workspace, label=None)
    (pinned.path / "objects" / "info" / "alternates").write_text(f"{mirror.path / 'objects'}\n")
    if (shallow := mirror.path / "shallow").is_file():
        shutil.copyfile(shallow, pinned.path / "shallow")
    head = f"refs/heads/{branch}"
    for command in (("update-ref", head, commit), ("symbolic-ref", "HEAD", head)):
        _git(("-C", str(pinned.path), *command), workspace, label=None)
    return pinned


def _has(mirror: Mirror, commit: str, workspace: Workspace) -> bool:
    """Whether the mirror has the commit with all its files."""
    if not mirror.path.is_dir():
        return False
    found = _git(
        ("-C", str(mirror.path), "rev-parse", "--verify", "--quiet", f"{commit}^{{tree}}"),
        workspace,
        label=None,
    )
    return found.exit_code == 0


def mirror_path(repository: str) -> Path:
    """Return where the mirror of ``repository`` is kept on this machine."""
    return _mirrors_folder() / hashlib.sha256(repository.encode()).hexdigest()[:16]


def check_out(mirror: Mirror, bundle_path: str, branch: str, workspace: Workspace) -> None:
    """Copy one bundle at the head of ``branch`` to the workspace.

    Raises StepFailed(bundle_git_pull) if the branch or the bundle does not exist.
    """
    archive = workspace.root / "bundle.tar"
    head = _git(
        ("-C", str(mirror.path), "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"),
        workspace,
        label=None,
    )
    if head.exit_code != 0:
        raise StepFailed("bundle_git_pull", _no_branch(branch))
    commit = head.tail.strip()
    logger.info("bundle %s at %s, commit %s", bundle_path, branch, commit[:12])
    tree = f"{commit}:{bundle_path}"
    packed = _git(
        ("-C", str(mirror.path), "archive", "--format=tar", f"--output={archive}", tree), workspace
    )
    if packed.exit_code == 0:
        try:
            with tarfile.open(archive) as tar:
                _unpack(tar, workspace.bundle)
        except tarfile.TarError as error:  # most likely a link that leads out of the bundle
            raise StepFailed(
                "bundle_git_pull",
                f"The bundle {bundle_path!r} cannot be unpacked ({type(error).__name__}): it must"
                " hold files and folders of its own only.",
            ) from error
        archive.unlink()
    if not (workspace.bundle / "earthmover.yaml").is_file():
        raise StepFailed(
            "bundle_git_pull",
            f"The bundle repository has no bundle {bundle_path!r} at branch {branch!r}:"
            " check the bundle's path, or sync the bundles anew.",
            stacktrace=packed.tail,
        )


def _no_branch(branch: str) -> str:
    return f"The bundle repository has no branch {branch!r}."


def _unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """Unpack ``tar`` without letting anything lead out of ``folder``. Raises tarfile.TarError."""
    if hasattr(tarfile, "data_filter"):
        tar.extractall(folder, filter="data")
        return
    # Python 3.11.0 to 3.11.3, which Debian 12 has, lack filters.
    top = folder.resolve()
    for member in tar.getmembers():
        inside = (top / member.name).resolve().is_relative_to(top)
        if not (inside and (member.isfile() or member.isdir())):
            raise tarfile.ExtractError(f"{member.name} is no file or folder of the bundle's own")
    tar.extractall(folder)  # noqa: S202  looked through above


def _fetch(mirror: Mirror, branch: str, commit: str | None, workspace: Workspace) -> str | None:
    """Fetch the branch, and the commit if it differs. None if successful, else git's last output.

    Fetches are shallow, since only heads are used. A first fetch goes into a temporary folder and
    is moved into place when complete, so that a killed one leaves no partial mirror. The next one
    cleans up.
    """
    if mirror.path.is_dir():
        _remove_stale_locks(mirror.path)
        done = _fetch_branch(mirror.path, mirror.repository, branch, workspace)
    else:
        fresh = half_fetched(mirror)
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            done = _git(("init", "--quiet", "--bare", str(fresh)), workspace)
            if done.exit_code == 0:
                done = _fetch_branch(fresh, mirror.repository, branch, workspace)
            if done.exit_code == 0:
                fresh.rename(mirror.path)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    if done.exit_code == 0 and commit is not None and not _has(mirror, commit, workspace):
        done = _fetch_into(mirror.path, mirror.repository, workspace, commit)
    return None if done.exit_code == 0 else done.tail


def _fetch_branch(
    path: Path, repository: str, branch: str, workspace: Workspace
) -> running.Completed:
    """Fetch the branch and, if possible, the branches that its bundles name."""
    done = _fetch_into(path, repository, workspace, _refspec(branch))
    if done.exit_code != 0:
        return done
    marker = _fetched(path, branch)
    marker.parent.mkdir(exist_ok=True)
    marker.touch()
    where = ("-C", str(path), "grep", "-h", "-I", "-E", "^ *branch:", f"refs/heads/{branch}")
    named = _git((*where, "--", "*earthmover.y*ml"), workspace, label=None)
    for other in sorted(set(_BRANCH_NAMED.findall(named.tail)) - {branch}):
        if _fetch_into(path, repository, workspace, _refspec(other)).exit_code != 0:
            logger.warning("branch %s, which a bundle names, could not be fetched", other)
    return done


def _refspec(branch: str) -> str:
    return f"+refs/heads/{branch}:refs/heads/{branch}"


def _remove_stale_locks(mirror: Path) -> None:
    """Remove git's locks left by a killed fetch. Our own lock keeps others from fetching."""
    for lock in mirror.rglob("*.lock"):
        logger.warning("removed %s, which a fetch that was killed has left", lock.name)
        lock.unlink(missing_ok=True)


def half_fetched(mirror: Mirror) -> Path:
    """Return where a mirror is until its first fetch is complete."""
    return mirror.path.with_suffix(".fetching")


def _fetch_into(path: Path, repository: str, workspace: Workspace, what: str) -> running.Completed:
    # By default, git refuses to fetch from a local shallow clone.
    depth = "--update-shallow" if _is_local(repository) else "--depth=1"
    fetch = ("fetch", "--quiet", "--force", "--no-tags", depth, "--", repository, what)
    return _git(("-C", str(path), *fetch), workspace)


def _git(
    arguments: tuple[str, ...], workspace: Workspace, label: str | None = "git"
) -> running.Completed:
    return running.run(
        ("git", "-c", "safe.directory=*", "-c", f"core.hooksPath={os.devnull}", *arguments),
        label=label,
        env=workspace.child_environment() | _plain_git(),
        cwd=workspace.root,
    )


def _plain_git() -> dict[str, str]:
    """Return variables that make git ignore the machine's settings and never prompt."""
    return {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


def _is_local(repository: str) -> bool:
    return repository.startswith(("/", "file://")) or Path(repository).exists()


def _mirrors_folder() -> Path:
    """Return the mirrors' folder: beside the code, or in the temporary folder if read-only."""
    folder = _PROJECT / "var" / "bundle-mirrors"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        folder = Path(tempfile.gettempdir()) / "runway-bundle-mirrors"
        folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path``. The kernel frees it however this process ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
