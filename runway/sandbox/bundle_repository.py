"""The sample bundles as a git repository, for ``BUNDLE_REPO``."""

import os
import shutil
import subprocess
from pathlib import Path

BUNDLES = Path(__file__).with_name("bundles")

_DATE = "2026-01-01T00:00:00+00:00"


def create_bundle_repository(target: Path) -> Path:
    """Make ``target`` a git repository of the sample bundles, and return its absolute path.

    Branch ``main`` has their current state. Another call commits what has changed since, if
    anything. Needs git, but none of its user's settings.

    Raises subprocess.CalledProcessError (git's output in ``stderr``) if git fails.
    """
    target = target.resolve()
    target.mkdir(parents=True, exist_ok=True)
    if not (target / ".git").is_dir():
        _git(target, "init", "--quiet", "--initial-branch=main")
    for old in target.iterdir():
        if old.name != ".git":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(BUNDLES, target, dirs_exist_ok=True)
    _git(target, "add", "--all", "--force")
    if _git(target, "status", "--porcelain"):
        _git(target, "commit", "--quiet", "--message=sample bundles")
    return target


def _git(repository: Path, *arguments: str) -> str:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment = inherited | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_DATE": _DATE,
        "GIT_COMMITTER_DATE": _DATE,
    }
    git = shutil.which("git") or "git"
    command = (git, "-c", "user.name=sandbox", "-c", "user.email=sandbox@localhost", *arguments)
    result = subprocess.run(
        command,
        cwd=repository,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return result.stdout
