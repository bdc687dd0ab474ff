"""Every registered bundle of a real bundle repository, on the sample files that it ships.

    BUNDLE_REPO=/path/to/a/clone make test ARGS='tests/earthbeam/executor/test_real_bundles.py -rA'

The students of each file are made up from its own ids: four fifths are in the ODS, all but the last
in EDU, so that a cross-year job has something for every outcome.
"""

import dataclasses
import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from earthbeam.executor import bundles, transform
from earthbeam.executor.delimited import BadFile
from earthbeam.executor.earthmover import Earthmover
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.input_files import local_path
from earthbeam.executor.job import parse
from earthbeam.executor.workspace import Workspace
from runway.sandbox.ods import SandboxOds
from runway.sandbox.population import Student, students
from tests.earthbeam.executor.conftest import Workbench, roster_line

REPOSITORY = os.environ.get("BUNDLE_REPO", "")
YEARS = ("2026", "2025", "2024", "2023", "2022")
NAMESPACES = ("uri://ed-fi.org", "uri://ed.sc.gov", "uri://tea.texas.gov", "uri://dpi.wi.gov")
_SAMPLES = (".csv", ".tsv", ".txt")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(REPOSITORY, "registry.json").exists(),
        reason="BUNDLE_REPO names no local clone of the public bundle repository",
    ),
]


def registry() -> list[dict[str, Any]]:
    file = Path(REPOSITORY, "registry.json")
    return json.loads(file.read_text())["assessments"] if REPOSITORY and file.exists() else []


def samples() -> list[Any]:
    return [
        pytest.param(entry, sample, id=f"{entry['path'].split('/')[-1]}-{sample.name}")
        for entry in registry()
        for sample in sorted(Path(REPOSITORY, entry["path"], "data").glob("*"))
        if sample.suffix in _SAMPLES
    ]


def choices(entry: dict[str, Any]) -> list[dict[str, str]]:
    """Every combination of params that the bundle allows, years last."""
    declared = {
        param["env_var"]: param.get("allowed_values") or ["1"]
        for param in entry.get("input_params") or []
        if param["env_var"] != "API_YEAR"
    }
    combinations = itertools.product(YEARS, *declared.values())
    return [dict(zip(("API_YEAR", *declared), values, strict=True)) for values in combinations]


def ids_of(workbench: Workbench, name: str) -> list[str]:
    """The ids of the rows that the bundle matches, from its first id column that has any."""
    job = parse(workbench.app.payload)
    with Workspace() as workspace, Earthmover(workspace) as earthmover:
        mirror = bundles.refresh_mirror(REPOSITORY, workspace)
        bundles.check_out(mirror, job.bundle_path, "main", workspace)
        bundle = transform.prepare_bundle(job, mirror, workspace, earthmover)
        input_file = local_path(workspace.input, "INPUT_FILE", f"INPUT_FILE__{name}")
        input_file.parent.mkdir(parents=True, exist_ok=True)
        workbench.files.download(f"input/INPUT_FILE__{name}", input_file)
        rows = transform.rows_to_match(job, bundle, input_file, workspace, earthmover).file
        columns = rows.columns()
        wanted = (bundle.parameter("POSSIBLE_STUDENT_ID_COLUMNS", job) or "").split(",")
        for column in [name.strip() for name in wanted if name.strip() in columns]:
            place = columns.index(column)
            ids = list(dict.fromkeys(row[place].removesuffix(".0") for row in rows.rows()))
            if ids := [value for value in ids if value.strip()]:
                return ids
    raise BadFile("no ids")


def known_by(ids: list[str]) -> list[Student]:
    some = students()[0]
    return [
        dataclasses.replace(some, unique_id=str(700_000 + n), state_id=value, local_id=f"L{n}")
        for n, value in enumerate(ids)
    ]


@pytest.mark.parametrize(("entry", "sample"), samples())
def test_a_real_bundle_runs_on_its_own_sample(entry, sample, app, tmp_path, record_property):
    workbench = Workbench(app, Path(REPOSITORY), tmp_path, f"file://{tmp_path}/files")
    tried = {}
    for params in choices(entry)[:24]:
        workbench.job(sample, entry["path"], None, inputParams=params, rosterFilePath="file:///x/y")
        try:
            ids = ids_of(workbench, sample.name)
        except (StepFailed, BadFile) as failed:
            tried[str(params)] = str(failed)
            continue
        cut = max(1, len(ids) * 4 // 5)
        app.roster = lambda ids=ids, cut=cut: [
            roster_line(student) for student in known_by(ids[: max(cut, len(ids) - 1)])
        ]
        app.reports.clear()
        with SandboxOds(known_by(ids[:cut]), descriptor_namespaces=NAMESPACES) as ods:
            workbench.job(sample, entry["path"], ods, cross_year=True, inputParams=params)
            ended = workbench.run()
            results = ods.received_counts().get("studentAssessments", 0)
        if app.outcome() == "done success" and results:
            (matches,) = app.posted("matches")
            record_property("outcome", f"{params} {matches} {results} results in the ODS")
            assert matches["odsMatched"] >= 1
            assert len(ended.log) > 0
            return
        error = app.posted("error")
        tried[str(params)] = str(error[0]["payload"])[-700:] if error else "no student results"
    raise AssertionError(f"no choice of params works: {json.dumps(tried, indent=1)}")


def test_the_repository_is_a_git_clone():
    done = subprocess.run(("git", "-C", REPOSITORY, "rev-parse", "HEAD"), capture_output=True)
    assert done.returncode == 0
