"""The fast runner makes exactly what stock earthmover makes."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from earthbeam.executor import fast_earthmover_path
from tests.earthbeam.executor.conftest import PROJECT

pytestmark = pytest.mark.slow

BUNDLES = PROJECT / "runway" / "sandbox" / "bundles"
SHARED = BUNDLES / "packages" / "sample_shared"


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("SAMPLE_INTERIM", "sample_anonymized_file.csv"),
        ("SAMPLE_SUMMATIVE", "sample_MA_anonymized_file.csv"),
    ],
)
def test_outputs_equal_stock_earthmovers(tmp_path, name, sample):
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

    def run(kind: str, *argv: str) -> dict[str, list[str]]:
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

    results = tmp_path / "em-results.json"
    stock = run("stock", sys.executable, "-m", "earthmover", "run")
    fast = run(
        *("fast", sys.executable, "-I", str(fast_earthmover_path)), *("run", str(results), "--")
    )

    assert fast == stock
    assert stock["studentAssessments.jsonl"]
    counts = json.loads(results.read_text())["row_counts"]
    for file, lines in stock.items():
        assert counts[f"$destinations.{Path(file).stem}"] == len([line for line in lines if line])
