"""The executor runs with exactly what its image has: the packages that requirements-executor.in
lists, with what they need, and the files that Dockerfile.executor copies."""

import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from runway.sandbox.input_files import write_interim_file
from tests.earthbeam.executor import conftest
from tests.earthbeam.executor.conftest import PROJECT, edu_roster, on_file_and_s3

pytestmark = pytest.mark.slow


def listed() -> list[str]:
    lines = (PROJECT / "requirements-executor.in").read_text().splitlines()
    return [line for line in (line.split("#")[0].strip() for line in lines) if line]


def needed(requirements: list[str]) -> dict[str, Distribution]:
    """The distributions that these requirements bring, by their installed metadata."""
    found: dict[str, Distribution] = {}
    todo = [Requirement(text) for text in requirements]
    while todo:
        requirement = todo.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        extras = {"", *requirement.extras}
        if name in found and not requirement.extras:
            continue
        found[name] = distribution(name)
        for text in found[name].requires or []:
            child = Requirement(text)
            if child.marker is None or any(child.marker.evaluate({"extra": e}) for e in extras):
                todo.append(child)
    return found


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory) -> Path:
    """A Python whose packages are those alone: links to what is installed here."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    for package in needed(listed()).values():
        for file in package.files or []:
            top = file.parts[0]
            source = Path(str(package.locate_file(top)))
            if top not in ("..", "__pycache__") and not (packages / top).exists():
                (packages / top).symlink_to(source)
    return folder / "bin" / "python"


@pytest.fixture
def image(tmp_path) -> Path:
    """A folder with what the executor's image copies, and nothing else."""
    for line in (PROJECT / "Dockerfile.executor").read_text().splitlines():
        if line.startswith("COPY "):
            *sources, target = line.split()[1:]
            for source in sources:
                path, goal = PROJECT / source, tmp_path / "image" / target
                if path.is_dir():
                    shutil.copytree(path, goal)
                else:
                    goal.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, goal)
    return tmp_path / "image"


@on_file_and_s3
def test_a_whole_run_needs_nothing_else(
    bare_python, image, app, ods, workbench, tmp_path, monkeypatch
):
    sample = write_interim_file(tmp_path)
    app.roster = edu_roster
    workbench.job(sample.path, sample.bundle, ods, cross_year=True)
    monkeypatch.setattr(sys, "executable", str(bare_python))
    monkeypatch.setattr(conftest, "PROJECT", image)

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log


@pytest.mark.parametrize("module", ["psycopg", "snowflake.connector", "rest_framework", "pytest"])
def test_what_the_executor_must_not_need_is_really_not_there(bare_python, module):
    done = subprocess.run((str(bare_python), "-c", f"import {module}"), capture_output=True)
    assert done.returncode != 0


def test_the_image_is_started_from_any_directory():
    lines = (PROJECT / "Dockerfile.executor").read_text().splitlines()
    [folder] = [line.split()[1] for line in lines if line.startswith("WORKDIR ")]
    [command] = [line for line in lines if line.startswith("CMD ")]
    assert command == f'CMD ["python", "{folder}/manage.py", "executor"]'
