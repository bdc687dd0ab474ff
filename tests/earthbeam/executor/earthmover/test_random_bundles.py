"""Small bundles made at random: whole and in parts, they make what stock earthmover makes."""

import csv
import json
import os
import sys
from pathlib import Path

import dask
import earthmover.__main__ as earthmover_main
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthbeam.executor.earthmover import by_partition, fast_earthmover
from earthbeam.executor.earthmover.parts import fork

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MACROS = (
    "{% macro level(score) %}{% if score | int(0) > 50 %}high{% else %}low{% endif %}{% endmacro %}"
)
COLUMNS = ("A", "B", "C")
TEMPLATES = (
    "{{ A }}",
    "{{ B }}/{{ C | upper }}",
    "{% if B %}{{ level(B) }}{% endif %}",
    "{% for part in C.split(' ') %}{{ loop.index }}={{ part | tojson }};{% endfor %}",
    "{% for key, value in __row_data__.items() %}{{ key }}:{{ value }},{% endfor %}",
    "{{ Missing }}{{ Missing is defined }}",
    "{{ none if A == '1' else A }}",
    "{{ B | int(7) + 1 }}",
)
# As in a bundle's file, which is a template itself.
texts = st.sampled_from(TEMPLATES).map(lambda text: f"{{%raw%}}{text}{{%endraw%}}")
columns = st.sampled_from(COLUMNS)
CELLS = ("", "1", "01", "1.0", "51", 'a "b"', "ñ, é", "None", "nan", "x  y", "'")


def operation(kind, **fields):
    return st.fixed_dictionaries({"operation": st.just(kind), **fields})


# Each keeps the columns that others name.
OPERATIONS = st.one_of(
    operation("add_columns", columns=st.dictionaries(st.sampled_from("DE"), texts, min_size=1)),
    operation("modify_columns", columns=st.dictionaries(columns, texts, min_size=1)),
    operation("duplicate_columns", columns=st.dictionaries(columns, st.just("F"), min_size=1)),
    operation("map_values", column=columns, mapping=st.just({"1": "one", "": "none", "51": "1"})),
    operation(
        "combine_columns",
        columns=st.permutations(COLUMNS).map(lambda names: names[:2]),
        new_column=st.just("G"),
        separator=st.sampled_from(["-", ""]),
    ),
    operation(
        "filter_rows",
        query=st.sampled_from(["A != '1'", "B == B.max()", "C.str.contains('x')"]),
        behavior=st.sampled_from(["include", "exclude"]),
    ),
    operation("sort_rows", columns=columns.map(lambda name: [name, *COLUMNS])),
    operation("distinct_rows", columns=st.just([])),
)
EXPECTATIONS = st.lists(
    st.sampled_from(["A != 'x'", "B | int(0) >= 0", "C is not none or A == ''", "A == '1'"]),
    max_size=2,
)
rows = st.lists(st.tuples(*[st.sampled_from(CELLS)] * 3), min_size=1, max_size=12)


def write_bundle(folder, operations, template, expected):
    (folder / "template.jsont").write_text(template + "\n")
    bundle = {
        "version": 2,
        "config": {
            "output_dir": str(folder / "unused"),
            "state_file": str(folder / "runs.csv"),
            "macros": MACROS,
        },
        "sources": {
            "input": {"file": str(folder / "input.csv"), "header_rows": 1, "expect": expected}
        },
        "transformations": {"rows": {"source": "$sources.input", "operations": operations}},
        "destinations": {
            "made": {
                "source": "$transformations.rows",
                "template": str(folder / "template.jsont"),
                "extension": "jsonl",
                "linearize": True,
            },
            "plain": {"source": "$transformations.rows", "extension": "jsonl", "linearize": True},
        },
    }
    (folder / "earthmover.yaml").write_text(json.dumps(bundle, ensure_ascii=False))


def make(folder, kind):
    """Run the bundle in a fork, and return the files' lines; None if it fails."""
    output = folder / kind
    arguments = ["-c", str(folder / "earthmover.yaml"), "--skip-hashing"]
    arguments += ["--set", "config.output_dir", str(output)]

    def run():
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.chdir(folder)
        if kind == "stock":
            dask.config.set(scheduler="synchronous")  # threads of the parent are not here
            sys.argv = ["earthmover", "run", *arguments]
            earthmover_main.main()
            return
        by_partition.FEW_ROWS = 0
        own = ["run", str(folder / f"{kind}.json")]
        own += ["--part-bytes", "40"] if kind == "parts" else []
        sys.argv = ["fast_earthmover", *own, "--", *arguments]
        fast_earthmover.main()

    if os.waitstatus_to_exitcode(os.waitpid(fork(run), 0)[1]):
        return None
    return {path.name: path.read_text().splitlines() for path in Path(output).glob("*")}


@settings(max_examples=8, deadline=None)
@given(rows, st.lists(OPERATIONS, max_size=4), st.sampled_from(TEMPLATES), EXPECTATIONS)
def test_a_random_bundle_makes_what_stock_earthmover_makes(
    tmp_path_factory, rows, operations, template, expected
):
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(folder, operations, template, expected)
    with (folder / "input.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    stock = make(folder, "stock")
    assert make(folder, "fast") == stock
    assert make(folder, "parts") == stock
