"""Bundles that misbehave: the sample bundles with code of the test's own run by earthmover."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from earthbeam.executor.bundle.checkout import mirror_path
from runway.sandbox.bundle_repository import create_bundle_repository

BUNDLE = "assessments/SAMPLE_INTERIM"

# Jinja in earthmover's YAML reaches all of Python, whatever the loader is called.
_RUN = (
    "# {% set g = cycler.__init__.__globals__ %}"
    "{% set code = g.__builtins__.open(g.os.getcwd() ~ '/hostile.py').read() %}"
    "{% set _ = g.__builtins__.exec(code, {}) %}"
    "\n"
)

# What a child is doing is told by its command line.
IN_DEPS = "prepare_bundle.py"
IN_RUN = "--skip-hashing"

ChangeBundles = Callable[[dict[str, Callable[[str], str] | str]], Path]


@pytest.fixture
def change_bundles(tmp_path: Path) -> Iterator[ChangeBundles]:
    """Makes a repository of the sample bundles with some files changed: by path, new text or a
    function of the old one."""
    made: list[Path] = []

    def change(files: dict[str, Callable[[str], str] | str]) -> Path:
        repository = create_bundle_repository(tmp_path / "changed-bundles")
        made.append(repository)
        _write(repository, files)
        return repository

    yield change
    for repository in made:
        shutil.rmtree(mirror_path(str(repository)), ignore_errors=True)
        mirror_path(str(repository)).with_suffix(".lock").unlink(missing_ok=True)


@contextmanager
def changed(repository: Path, files: dict[str, Callable[[str], str] | str]) -> Iterator[None]:
    """Some files of a repository changed for a time, as above; then they are as they were."""
    before = {name: (repository / name).read_text() for name in files if callable(files[name])}
    _write(repository, files)
    try:
        yield
    finally:
        for name in files:
            (repository / name).unlink()
        _write(repository, before)


def _write(repository: Path, files: Mapping[str, Callable[[str], str] | str]) -> None:
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(path.read_text()) if callable(text) else text)
    commit(repository)


def commit(repository: Path) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(repository)}
    for command in (
        ("add", "--all", "--force"),
        (*who, "commit", "--allow-empty", "--quiet", "-m", "changed"),
    ):
        subprocess.run(("git", *command), cwd=repository, env=env, check=True)


def running(
    code: str, *, when: str = "", bundle: str = BUNDLE
) -> dict[str, Callable[[str], str] | str]:
    """The changes that have earthmover run ``code`` as it reads the bundle; ``when`` a word occurs
    in its command line."""
    guard = f"import sys\nif {when!r} in ' '.join(sys.argv):\n"
    indented = "".join(f"    {line}\n" for line in code.strip().splitlines())
    return {
        f"{bundle}/earthmover.yaml": lambda text: text.replace(
            "\nsources:", f"\n{_RUN}sources:", 1
        ),
        f"{bundle}/hostile.py": guard + indented,
    }
