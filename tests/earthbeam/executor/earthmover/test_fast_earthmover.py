"""The fast runner makes exactly what stock earthmover makes."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from earthbeam.executor.earthmover import client
from tests.earthbeam.executor.conftest import PROJECT

pytestmark = pytest.mark.slow

BUNDLES = PROJECT / "runway" / "sandbox" / "bundles"
SHARED = BUNDLES / "packages" / "sample_shared"


@pytest.fixture
def run(tmp_path):
    """Runs a bundle on a file; returns the lines of each output file, sorted."""

    def run(kind: str, bundle: Path, input_file: Path) -> dict[str, list[str]]:
        argv: tuple[str, ...] = (sys.executable, "-m", "earthmover", "run")
        if kind == "fast":
            results = str(tmp_path / "em-results.json")
            program = str(Path(client.__file__).with_name("fast_earthmover.py"))
            argv = (sys.executable, "-I", program, "run", results, "--")
        output = tmp_path / kind
        subprocess.run(
            (*argv, "-c", str(bundle / "earthmover.yaml"), "--skip-hashing"),
            env={
                "PATH": os.environ["PATH"],
                "INPUT_FILE": str(input_file),
                "OUTPUT_DIR": str(output),
                "API_YEAR": "2026",
                "STATE_FILE": str(tmp_path / "runs.csv"),
                "TEMPORARY_DIRECTORY": str(tmp_path),
            },
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        return {path.name: sorted(path.read_text().splitlines()) for path in output.iterdir()}

    return run


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("SAMPLE_INTERIM", "sample_anonymized_file.csv"),
        ("SAMPLE_SUMMATIVE", "sample_MA_anonymized_file.csv"),
    ],
)
def test_outputs_equal_stock_earthmovers(run, tmp_path, name, sample):
    bundle = tmp_path / "bundle"
    shutil.copytree(BUNDLES / "assessments" / name, bundle)
    if name == "SAMPLE_SUMMATIVE":  # names a package, which `earthmover deps` would install here
        shutil.copytree(SHARED, bundle / "packages" / "sample_shared")
    input_file = tmp_path / sample
    with (bundle / "data" / sample).open(newline="") as file:
        rows = list(csv.DictReader(file))
    with input_file.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "edFi_studentUniqueID"])
        writer.writeheader()
        writer.writerows(
            row | {"edFi_studentUniqueID": str(number)} for number, row in enumerate(rows, 604_000)
        )

    stock = run("stock", bundle, input_file)
    fast = run("fast", bundle, input_file)

    assert fast == stock
    assert stock["studentAssessments.jsonl"]
    counts = json.loads((tmp_path / "em-results.json").read_text())["row_counts"]
    for file, lines in stock.items():
        assert counts[f"$destinations.{Path(file).stem}"] == len([line for line in lines if line])


COLUMN_BUNDLE = """
version: 2
config: {output_dir: ${OUTPUT_DIR}, state_file: ${STATE_FILE}, log_level: INFO}
sources:
  input: {file: "${INPUT_FILE}", header_rows: 1}
transformations:
  read:
    source: $sources.input
    operations:
      - operation: rename_columns
        columns: {Id: id, First Day: first_day}
      - {operation: date_format, column: first_day, from_format: "%b %d %Y", to_format: "%Y-%m-%d"}
      - operation: date_format
        columns: ["seen_*", gone]
        from_format: "%m/%d/%Y"
        to_format: "%Y-%m-%d"
        ignore_errors: True
        exact_match: True
      - operation: date_format
        column: noted
        from_format: "%Y-%m-%d"
        to_format: "%d. %m. %y"
        exact_match: False
      - operation: add_columns
        columns: {both: "{%raw%}{{ first_day }}/{{ seen_1 }}{%endraw%}", fixed: "7"}
      - operation: modify_columns
        columns: {"seen_*": "{%raw%}<{{ value }}>{%endraw%}"}
      - operation: rename_columns
        columns: {seen_1: seen, gone: left}
  some:
    source: $transformations.read
    operations:
      - {operation: filter_rows, query: "id != '3'", behavior: include}
  none:
    source: $transformations.read
    operations:
      - {operation: filter_rows, query: "id == 'nobody'", behavior: include}
      - {operation: date_format, column: first_day, from_format: "%Y-%m-%d", to_format: "%Y"}
destinations:
  all: {source: $transformations.read, template: ./all.jsont, extension: jsonl, linearize: True}
  few: {source: $transformations.some, template: ./all.jsont, extension: jsonl, linearize: True}
  nobody: {source: $transformations.none, template: ./all.jsont, extension: jsonl, linearize: True}
"""
COLUMN_ROWS = """Id,First Day,seen_1,seen_2,gone,noted
1,Sep 01 2025,09/13/2025,soon,,on 2025-09-13 at noon
2,Jan 31 2026,,02/30/2026,,2026-01-31
3,Feb 28 2026,2/3/2026,12/31/2026,,x 2026-02-28
"""


def test_dates_and_names_of_columns_equal_stock_earthmovers(run, tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "earthmover.yaml").write_text(COLUMN_BUNDLE)
    columns = ("id", "first_day", "seen", "seen_2", "left", "noted", "both", "fixed")
    cells = ", ".join(f'"{name}": {{{{ {name} | string | tojson }}}}' for name in columns)
    (bundle / "all.jsont").write_text(f"{{{cells}}}\n")
    input_file = tmp_path / "input.csv"
    input_file.write_text(COLUMN_ROWS)

    stock = run("stock", bundle, input_file)
    fast = run("fast", bundle, input_file)

    assert fast == stock
    assert [len(stock[f"{name}.jsonl"]) for name in ("all", "few", "nobody")] == [3, 2, 0]
    first = json.loads(stock["all.jsonl"][0])
    assert (first["first_day"], first["noted"]) == ("2025-09-01", "13. 09. 25")
