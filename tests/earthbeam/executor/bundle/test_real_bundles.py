"""Every registered bundle of a real bundle repository, on the sample files that it ships.

    BUNDLE_REPO=/path/to/a/clone make test \
      ARGS='tests/earthbeam/executor/bundle/test_real_bundles.py -rA'

Samples on which stock earthmover fails as well are expected to fail. The students of each file are
made up from its own ids: four fifths are in the ODS, all but the last in EDU, so that a cross-year
job has something for every outcome.

A sample that works is tried again with its rows repeated, so that what is done for many rows is
done, and the executor of an earlier commit must make the same files of it. Then two of its rows get
a date that is none: where the bundle fails with these, they are held, and the results are those of
the file without them.
"""

import dataclasses
import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.large import checkout_before
from earthbeam.delimited import BadFile
from earthbeam.executor.bundle import checkout
from earthbeam.executor.earthmover import transform
from earthbeam.executor.earthmover.client import Earthmover
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import parse
from earthbeam.executor.workspace import input_files
from earthbeam.executor.workspace.folders import Workspace
from runway.sandbox.ods import SandboxOds
from runway.sandbox.population import Student, students
from tests.earthbeam.executor.conftest import PROJECT, Workbench, roster_line

REPOSITORY = os.environ.get("BUNDLE_REPO", "")
YEARS = ("2026", "2025", "2024", "2023", "2022")
NAMESPACES = ("uri://ed-fi.org", "uri://ed.sc.gov", "uri://tea.texas.gov", "uri://dpi.wi.gov")
_SAMPLES = (".csv", ".tsv", ".txt")
_DATE = re.compile(rb"\b(\d{1,2}/\d{1,2}/\d{2,4}|\d{4}-\d\d-\d\d)\b")
_MANY = 160
"""Rows of a file that is transformed as large ones are."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # some try every combination of their params
    pytest.mark.skipif(
        not Path(REPOSITORY, "registry.json").exists(),
        reason="BUNDLE_REPO names no local clone of the public bundle repository",
    ),
]


def registry() -> list[dict[str, Any]]:
    file = Path(REPOSITORY, "registry.json")
    return json.loads(file.read_text())["assessments"] if REPOSITORY and file.exists() else []


# Files that go with another one, which is the INPUT_FILE.
COMPANIONS = {
    "STAR": {
        "INPUT_FILE_DS": "SR_Dashboard_Standards_v2_sample_anonymized_file.csv",
        "INPUT_FILE_SA": "SR_SkillArea_v1_sample_anonymized_file.csv",
    },
    "FastBridge_CBMreading": {
        "INPUT_FILE_COMP_QUESTION": (
            "sample_anonymized_file_fastbridge_comprehension_question.csv"
        ),
        "INPUT_FILE_COMP_RECALL": "sample_anonymized_file_fastbridge_comprehension_recall.csv",
    },
}
# Values that the registry does not list, but a bundle's README does.
VALUES = {"FastBridge_CBMmath": {"TEST_TYPE": ["Auto", "Process", "CAP"]}}
# As tried at commit f8967a1 of the public repository: why, and what the run says of it.
STOCK_FAILS_TOO = {
    "FastBridgeCAT-fake_aMath.csv": (
        "an id is empty in every row, and earthmover joins no nulls",
        "expected str instance, NoneType found",
    ),
    "FastBridge_CBMreading-sample_anonymized_file_fastbridge_cbmreading.csv": (
        "composed with student_ids, the bundle reads the matched student from its other input"
        " files, too, which have none",
        "column edFi_studentUniqueID not present in the dataset",
    ),
    "KRA-KRA_sample_file_deidentified.csv": ("the bundle reads a newer layout", "no ids"),
    "SC_Alternate_Assessment-columns_by_year.csv": ("a list of columns, no results", "no ids"),
    "WI_Forward-sample_anonymized_file.csv": (
        "a template of the bundle is no valid Jinja",
        "syntax error in Jinja template",
    ),
}


# Files whose many rows are not compared with the executor before: why.
NOT_COMPARED = {
    "AP-SAMPLE_AP_2324.csv": "the bundle joins a student's rows with each other: 16 GB for 160",
    "EOCEP-sample_anonymized_file_EOCEP.csv": "its header has blanks behind a name, which were not"
    " removed before",
}


class NothingWorks(AssertionError):
    """No choice of params works."""


class StockFailsToo(Exception):
    """No choice of params works, for the reason that stock earthmover has."""


def samples() -> list[Any]:
    return [
        pytest.param(entry, sample, id=label, marks=_marks(label))
        for entry in registry()
        for sample in sorted(Path(REPOSITORY, entry["path"], "data").glob("*"))
        if sample.suffix in _SAMPLES
        and sample.name not in COMPANIONS.get(_name(entry), {}).values()
        for label in [_label(entry, sample)]
    ]


def _label(entry: dict[str, Any], sample: Path) -> str:
    return f"{_name(entry)}-{sample.name}"


def _name(entry: dict[str, Any]) -> str:
    return str(entry["path"]).rsplit("/", 1)[-1]


def _marks(label: str) -> list[Any]:
    if label not in STOCK_FAILS_TOO:
        return []
    reason, _ = STOCK_FAILS_TOO[label]
    text = f"stock earthmover fails too: {reason}"
    return [pytest.mark.xfail(reason=text, raises=StockFailsToo, strict=True)]


def choices(entry: dict[str, Any]) -> list[dict[str, str]]:
    """Every combination of params that the bundle allows, years last."""
    declared = {
        param["env_var"]: param.get("allowed_values")
        or VALUES.get(_name(entry), {}).get(param["env_var"])
        or ["1"]
        for param in entry.get("input_params") or []
        if param["env_var"] != "API_YEAR"
    }
    combinations = itertools.product(YEARS, *declared.values())
    return [dict(zip(("API_YEAR", *declared), values, strict=True)) for values in combinations]


def ids_of(workbench: Workbench) -> tuple[list[str], int]:
    """The ids of the rows that the bundle matches, from its id column that has most of them.

    And the number of lines up to the header's.
    """
    job = parse(workbench.app.payload)
    with Workspace() as workspace, Earthmover(workspace) as earthmover:
        mirror = checkout.refresh_mirror(REPOSITORY, workspace)
        checkout.check_out(mirror, job.bundle_path, "main", workspace)
        bundle = transform.prepare_bundle(job, mirror, workspace, earthmover)
        input_files.download(workbench.files, job.input_files, workspace.input)
        input_file = input_files.local_path(
            workspace.input, "INPUT_FILE", job.input_files["INPUT_FILE"]
        )
        rows = transform.rows_to_match(job, bundle, input_file, workspace, earthmover).file
        columns = rows.columns()
        wanted = (bundle.parameter("POSSIBLE_STUDENT_ID_COLUMNS", job) or "").split(",")
        found: list[list[str]] = [[]]
        for column in [name.strip() for name in wanted if name.strip() in columns]:
            place = columns.index(column)
            values = [row[place].removesuffix(".0") for row in rows.rows()]
            found.append([value for value in values if value.strip()])
    if not (ids := max(found, key=len)):
        raise BadFile("no ids")
    head_lines = rows.header_row if rows.path == input_file else 1
    return list(dict.fromkeys(ids)), head_lines


def known_by(ids: list[str]) -> list[Student]:
    some = students()[0]
    return [
        dataclasses.replace(some, unique_id=str(700_000 + n), state_id=value, local_id=f"L{n}")
        for n, value in enumerate(ids)
    ]


@pytest.fixture(scope="module")
def before() -> Iterator[Path | None]:
    """The checkout of the executor that transformed row by row; None without its history."""
    with checkout_before() as place:
        yield place


def with_rows_repeated(sample: Path, head_lines: int, folder: Path) -> Path:
    """The sample with at least ``_MANY`` rows, under its name."""
    lines = sample.read_bytes().splitlines(keepends=True)
    head, rows = lines[:head_lines], b"".join(lines[head_lines:]).rstrip(b"\r\n")
    end = b"\r\n" if head[-1].endswith(b"\r\n") else b"\n"
    times = -(-_MANY // max(1, len(lines) - head_lines))
    copy = folder / sample.name
    copy.write_bytes(b"".join(head) + (rows + end) * times)
    return copy


def made_of(workbench: Workbench, place: Path, checkout: Path) -> dict[str, bytes]:
    """The records that a checkout's executor makes of the workbench's job; {} if it fails."""
    own = dataclasses.replace(
        workbench, root=place, files_base=f"file://{place}", checkout=checkout
    )
    shutil.copytree(workbench.root / "files", place)
    own.app.payload["appDataBasePath"] = own.base
    own.app.reports.clear()
    own.run(seconds=1500)  # a trial for a held row takes some bundles half a minute
    if own.app.outcome() != "done success":
        return {}
    return {name: text for name, text in own.output().items() if "/" in name}


def held_rows(
    workbench: Workbench, bundle: str, sample: Path, head_lines: int, changes: dict[str, Any]
) -> int:
    """How many of two rows without a date are held; the results are those without them."""
    many = with_rows_repeated(sample, head_lines, workbench.root)
    lines = many.read_bytes().splitlines(keepends=True)
    places = [n for n in range(head_lines, len(lines)) if _DATE.search(lines[n])][3::50][:2]
    if len(places) < 2:
        return 0
    bad, good = (workbench.root / name / sample.name for name in ("bad", "good"))
    for path in (bad, good):
        path.parent.mkdir()
    bad.write_bytes(
        b"".join(
            _DATE.sub(b"unknown", line) if n in places else line for n, line in enumerate(lines)
        )
    )
    good.write_bytes(b"".join(line for n, line in enumerate(lines) if n not in places))
    made = []
    for path in (bad, good):
        workbench.job(path, bundle, None, cross_year=True, **changes)
        made.append(made_of(workbench, workbench.root / f"of-{path.parent.name}", PROJECT))
        if path is bad:
            told = workbench.app.posted("matches")
            if not told or not told[0]["untransformable"]:
                return 0  # it takes any text for a date, or a header was among the rows
            held = int(told[0]["untransformable"])
    assert made[0] == made[1]
    return held


@pytest.mark.parametrize(("entry", "sample"), samples())
def test_a_real_bundle_runs_on_its_own_sample(
    entry, sample, app, before, tmp_path, record_property
):
    workbench = Workbench(app, Path(REPOSITORY), tmp_path, f"file://{tmp_path}/files")
    files = {"INPUT_FILE": f"INPUT_FILE__{sample.name}"}
    for key, name in COMPANIONS.get(_name(entry), {}).items():
        files[key] = f"{key}__{name}"
        workbench.files.upload(sample.with_name(name), f"input/{files[key]}")
    tried = {}
    for params in choices(entry)[:24]:
        changes: dict[str, Any] = {"inputParams": params, "inputFiles": files}
        workbench.job(sample, entry["path"], None, **changes, rosterFilePath="file:///x/y")
        try:
            ids, head_lines = ids_of(workbench)
        except (StepFailed, BadFile) as failed:
            tried[str(params)] = str(failed)
            continue
        # A set of its own may have no results at all in it, which some bundles cannot take.
        for cut in sorted({max(1, len(ids) * 4 // 5), len(ids)}):
            app.roster = lambda ids=ids, cut=cut: [
                roster_line(student) for student in known_by(ids[: max(cut, len(ids) - 1)])
            ]
            app.reports.clear()
            with SandboxOds(known_by(ids[:cut]), descriptor_namespaces=NAMESPACES) as ods:
                workbench.job(sample, entry["path"], ods, cross_year=True, **changes)
                workbench.run()
                results = ods.received_counts().get("studentAssessments", 0)
            if app.outcome() == "done success" and results:
                (matches,) = app.posted("matches")
                record_property("outcome", f"{params} {matches} {results} results in the ODS")
                assert matches["odsMatched"] >= 1
                if before is not None and _label(entry, sample) not in NOT_COMPARED:
                    many = with_rows_repeated(sample, head_lines, tmp_path)
                    workbench.job(many, entry["path"], None, cross_year=True, **changes)
                    as_before = made_of(workbench, tmp_path / "before", before)
                    assert made_of(workbench, tmp_path / "now", PROJECT) == as_before
                    record_property("files of many rows", len(as_before))
                held = held_rows(workbench, entry["path"], sample, head_lines, changes)
                record_property("held rows", held)
                return
            error = app.posted("error")
            tried[f"{params} {cut} of {len(ids)} in the ODS"] = (
                str(error[0]["payload"])[-700:] if error else "no student results"
            )
    _, known = STOCK_FAILS_TOO.get(_label(entry, sample), ("", None))
    as_stock = known is not None and any(known in text for text in tried.values())
    raise (StockFailsToo if as_stock else NothingWorks)(json.dumps(tried, indent=1))


def test_the_repository_is_a_git_clone():
    done = subprocess.run(("git", "-C", REPOSITORY, "rev-parse", "HEAD"), capture_output=True)
    assert done.returncode == 0
