"""The fast runner makes exactly what stock earthmover makes."""

import csv
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from earthmover.earthmover import Earthmover

from earthbeam.executor.earthmover import fast_earthmover
from earthbeam.executor.earthmover.client import Earthmover as EarthmoverProcess
from earthbeam.executor.earthmover.client import Program
from earthbeam.executor.earthmover.row_by_row import Scope, scopes
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.workspace.folders import Workspace
from tests.earthbeam.executor.conftest import PROJECT

pytestmark = pytest.mark.slow

BUNDLES = PROJECT / "runway" / "sandbox" / "bundles"
SHARED = BUNDLES / "packages" / "sample_shared"


@pytest.fixture
def run(tmp_path):
    """Runs a bundle on a file; returns the lines of each output file, sorted."""

    def run(kind: str, bundle: Path, input_file: Path) -> dict[str, list[str]]:
        argv: tuple[str, ...] = (sys.executable, "-m", "earthmover", "run")
        if kind != "stock":
            results = str(tmp_path / "em-results.json")
            argv = (sys.executable, "-m", fast_earthmover.__name__, "run", results)
            size = str(input_file.stat().st_size // 7)
            argv += ("--part-bytes", size) if kind == "parts" else ()
            argv += ("--",)
        output = tmp_path / kind
        subprocess.run(
            (*argv, "-c", str(bundle / "earthmover.yaml"), "--skip-hashing"),
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(PROJECT),
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
            row | {"edFi_studentUniqueID": str(number)}
            for number, row in enumerate(rows * 30, 604_000)
        )

    stock = run("stock", bundle, input_file)
    assert run("fast", bundle, input_file) == stock
    assert run("parts", bundle, input_file) == stock
    assert stock["studentAssessments.jsonl"]
    counts = json.loads((tmp_path / "em-results.json").read_text())["row_counts"]
    for file, lines in stock.items():
        assert counts[f"$destinations.{Path(file).stem}"] == len([line for line in lines if line])


@pytest.mark.parametrize("module", ["fast_earthmover", "by_partition", "prepare_bundle"])
def test_dask_is_set_up_as_earthmover_wants_it_whatever_is_imported_first(module):
    code = (
        f"import earthbeam.executor.earthmover.{module}, dask.dataframe as frames;"
        "assert not frames._dask_expr_enabled()"
    )
    subprocess.run((sys.executable, "-W", "ignore", "-c", code), cwd=PROJECT, check=True)


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
    assert run("fast", bundle, input_file) == stock
    assert run("parts", bundle, input_file) == stock
    assert [len(stock[f"{name}.jsonl"]) for name in ("all", "few", "nobody")] == [3, 2, 0]
    first = json.loads(stock["all.jsonl"][0])
    assert (first["first_day"], first["noted"]) == ("2025-09-01", "13. 09. 25")


# Operations that look at one row, at other rows, at a seed, or at the input's whole file.
MIXED_BUNDLE = """
version: 2
config:
  output_dir: ${OUTPUT_DIR}
  state_file: ${STATE_FILE}
  log_level: INFO
  macros: >
    {% macro level(score) %}{% if score | int(0) > 50 %}high{% else %}low{% endif %}{% endmacro %}
sources:
  input: {file: "${INPUT_FILE}", header_rows: 1, expect: ["grade | int > 2"]}
  seed: {file: ./seed.csv, header_rows: 1}
transformations:
  levels:
    source: $sources.seed
    operations:
      - {operation: add_columns, columns: {points: "{%raw%}{{ from_points | int + 1 }}{%endraw%}"}}
  rows:
    source: $sources.input
    operations:
      - operation: join
        sources: [$transformations.levels]
        join_type: left
        left_key: level
        right_key: name
      - operation: add_columns
        columns: {level_of: "{%raw%}{{ level(score) }}{%endraw%}", year: 2026}
      - {operation: map_values, column: grade, mapping: {"3": Third, "4": Fourth}}
      - operation: filter_rows
        query: grade.str.contains('T|F|5') and score != ''
        behavior: include
      - {operation: combine_columns, columns: [id, level], new_column: both, separator: "-"}
      - {operation: snake_case_columns}
  grades:
    source: $transformations.rows
    operations:
      - {operation: keep_columns, columns: [grade]}
      - {operation: distinct_rows}
  stacked:
    source: $transformations.rows
    operations:
      - {operation: union, sources: [$transformations.rows]}
  counted:
    source: $transformations.rows
    operations:
      - operation: group_by
        group_by_columns: [grade]
        create_columns: {count: count()}
  sorted:
    source: $transformations.rows
    operations:
      - {operation: sort_rows, columns: [score, id]}
  best:
    source: $transformations.rows
    operations:
      - operation: filter_rows
        query: score == score.max()
        behavior: include
destinations:
  each: {source: $transformations.rows, extension: jsonl, linearize: True}
  seeds: {source: $transformations.levels, extension: jsonl, linearize: True}
  grades: {source: $transformations.grades, extension: jsonl, linearize: True}
  stacked: {source: $transformations.stacked, extension: jsonl, linearize: True}
  counted: {source: $transformations.counted, extension: jsonl, linearize: True}
  sorted: {source: $transformations.sorted, extension: jsonl, linearize: True}
  best: {source: $transformations.best, extension: jsonl, linearize: True}
  headed:
    source: $transformations.rows
    extension: jsonl
    linearize: True
    header: "{%raw%}first: {{ id }}\n{%endraw%}"
"""
SEED = "name,from_points\nA,10\nB,20\nB,21\n"


def mixed_bundle(folder):
    folder.mkdir()
    (folder / "earthmover.yaml").write_text(MIXED_BUNDLE)
    (folder / "seed.csv").write_text(SEED)
    return folder


def mixed_rows(count):
    lines = ["id,grade,score,level,note"]
    for number in range(count):
        # Parts in the middle have no row that the filter leaves.
        grade = "6" if 20 <= number < 40 else "3456"[number % 4]
        level = "AB C"[number % 4].strip()
        score = "" if number % 7 == 0 else str(number * 13 % 101)
        lines.append(f'{number},{grade},{score},{level},"line {number}\nand ""more"""')
    return "\n".join(lines) + "\n"


def test_parts_of_any_operations_give_the_lines_of_the_whole_file_in_order(run, tmp_path):
    bundle, input_file = mixed_bundle(tmp_path / "bundle"), tmp_path / "input.csv"
    input_file.write_text(mixed_rows(60))
    fast = run("fast", bundle, input_file)
    assert run("parts", bundle, input_file) == fast
    assert run("stock", bundle, input_file) == fast
    for kind in ("fast", "parts"):
        lines = (tmp_path / kind / "each.jsonl").read_text()
        assert lines == (tmp_path / "stock" / "each.jsonl").read_text()
    assert len(fast["each.jsonl"]) > 20
    assert len(fast["grades.jsonl"]) == 3


def test_an_expectation_that_fails_says_for_how_many_rows_as_stock_earthmover_does(tmp_path):
    bundle, input_file = mixed_bundle(tmp_path / "bundle"), tmp_path / "input.csv"
    config = bundle / "earthmover.yaml"
    config.write_text(config.read_text().replace("grade | int > 2", "grade | int > 3"))
    input_file.write_text(mixed_rows(400))
    said = []
    for start in (("earthmover", "run"), (fast_earthmover.__name__, "run", "results.json", "--")):
        done = subprocess.run(
            (sys.executable, "-m", *start, "-c", str(config), "--skip-hashing"),
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(PROJECT),
                "INPUT_FILE": str(input_file),
                "OUTPUT_DIR": str(tmp_path / "output"),
                "STATE_FILE": str(tmp_path / "runs.csv"),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode != 0
        said.append([line for line in done.stderr.splitlines() if "failed expectation" in line][-1])
    assert "(95 rows fail)" in said[1]
    assert said[1].partition("ERROR")[2] == said[0].partition("ERROR")[2]


def test_rows_are_counted_while_parts_are_made(tmp_path):
    bundle, input_file = mixed_bundle(tmp_path / "bundle"), tmp_path / "input.csv"
    input_file.write_text(mixed_rows(60))
    environment = {
        "PATH": os.environ["PATH"],
        "INPUT_FILE": str(input_file),
        "OUTPUT_DIR": str(tmp_path / "output"),
        "STATE_FILE": str(tmp_path / "runs.csv"),
    }
    arguments = (
        *("run", str(tmp_path / "results.json"), "--part-bytes", "300"),
        *("--", "-c", str(bundle / "earthmover.yaml"), "--skip-hashing"),
    )
    program = Program("ods", "fast_earthmover.py", arguments, environment)
    counted: list[int] = []
    with Workspace() as workspace, EarthmoverProcess(workspace) as earthmover:
        done = earthmover.run(program, cwd=bundle, on_rows=counted.append)
    assert done.exit_code == 0, done.tail
    assert counted[0] == 0
    assert len(counted) > 4
    assert sum(counted) == 60
    assert "\x1e" not in done.tail


KILLS_ITS_PROGRAM = (
    "{%raw%}{% if id == 'fatal' %}{% set os = cycler.__init__.__globals__.os %}"
    "{{ os.kill(os.getppid(), 9) }}{% endif %}{%endraw%}"
)


@pytest.mark.parametrize("fatal", ["ods", "non-ods"])
def test_a_program_that_is_killed_takes_no_cores_along_from_the_other(tmp_path, fatal):
    bundle = mixed_bundle(tmp_path / "bundle")
    config = bundle / "earthmover.yaml"
    config.write_text(config.read_text().replace("year: 2026", f'year: "{KILLS_ITS_PROGRAM}"'))
    programs = []
    for label in ("ods", "non-ods"):
        input_file = tmp_path / f"{label}.csv"
        rows = mixed_rows(4000)
        input_file.write_text(rows.replace("\n5,", "\nfatal,", 1) if label == fatal else rows)
        environment = {
            "PATH": os.environ["PATH"],
            "INPUT_FILE": str(input_file),
            "OUTPUT_DIR": str(tmp_path / label),
            "STATE_FILE": str(tmp_path / "runs.csv"),
        }
        arguments = (
            *("run", str(tmp_path / f"{label}.json"), "--part-bytes", "2000"),
            *("--", "-c", str(config), "--skip-hashing"),
        )
        programs.append(Program(label, "fast_earthmover.py", arguments, environment))
    with (
        Workspace() as workspace,
        EarthmoverProcess(workspace) as earthmover,
        pytest.raises(StepFailed, match="The system killed earthmover"),
    ):
        earthmover.run(*programs, cwd=bundle)


def test_what_treats_each_row_by_itself_is_known_from_what_looks_at_others(tmp_path, monkeypatch):
    bundle, input_file = mixed_bundle(tmp_path / "bundle"), tmp_path / "input.csv"
    input_file.write_text(mixed_rows(2))
    monkeypatch.chdir(bundle)
    params = {
        "INPUT_FILE": str(input_file),
        "OUTPUT_DIR": str(tmp_path / "output"),
        "STATE_FILE": str(tmp_path / "runs.csv"),
    }
    compiled = Earthmover(
        "earthmover.yaml", logging.getLogger(), params=json.dumps(params), skip_hashing=True
    )
    compiled.compile()
    found = scopes(compiled.graph, {"$sources.input"})
    destinations = {
        name.removeprefix("$destinations."): scope
        for name, scope in found.items()
        if name.startswith("$destinations.")
    }
    assert destinations == {
        "each": Scope.ROW,
        "seeds": Scope.CONSTANT,
        **dict.fromkeys(("grades", "stacked", "counted", "sorted", "best", "headed"), Scope.WHOLE),
    }
