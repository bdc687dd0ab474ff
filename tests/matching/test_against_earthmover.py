"""Rates, ties and students as earthmover's own operations give them.

The student_ids package, which other executors match with, is an earthmover project of joins, counts
and a sort. Where ids are neither blank nor shared it is right, so there we must agree with what
these operations make of the same data: how ids compare as text, what a rate is, who wins a tie.
"""

import csv
import itertools
import json
import random
import subprocess
import sys

import pytest

from earthbeam.matching import UNIQUE_ID, match, read_roster

COLUMNS = ("StateID", "stateid")
OUTPUTS = {
    "matches": ("source_column", "id_type", "row", "student"),
    "rates": ("source_column", "id_type", "num_matches", "match_rate"),
}
TYPES = ("State", "Zone", UNIQUE_ID)


def sample_roster(rng):
    """Students whose Zone ids are their State ids, so that those two tie."""
    for number in range(40):
        state = f"{rng.randrange(10**9):010d}" + ("é" if number % 3 else "")
        yield {
            "studentReference": {"studentUniqueId": str(7000 + number)},
            "studentIdentificationCodes": [
                {
                    "studentIdentificationSystemDescriptor": f"uri://example.org/System#{id_type}",
                    "identificationCode": state,
                }
                for id_type in ("State", "Zone")
            ],
        }


def sample_rows(rng, roster):
    """Rows with two equal columns of ids, so that those tie too: mostly State ids, some others,
    some unknown, some as spreadsheets write them."""
    for number, student in enumerate(rng.choices(roster, k=60)):
        value = student["studentIdentificationCodes"][0]["identificationCode"]
        if number % 6 == 0:
            value = student["studentReference"]["studentUniqueId"]
        elif number % 7 == 0:
            value = f"unknown{number}"
        value += ".0" if number % 5 == 0 else ""
        yield {"row": str(number), "StateID": value, "stateid": value}


def earthmover_project():
    """Every pair's matching rows, and the best pair by rate, column and type, all descending."""
    joins = {
        f"{column}_is_{id_type}": {
            "source": "$sources.input",
            "operations": [
                {
                    "operation": "add_columns",
                    "columns": {
                        "id": "{{ (" + column + "|string).removesuffix('.0') }}",
                        "source_column": column,
                        "id_type": id_type,
                    },
                },
                {
                    "operation": "join",
                    "sources": [f"$transformations.{id_type}_ids"],
                    "join_type": "inner",
                    "left_key": "id",
                    "right_key": "edfi_id",
                },
                {
                    "operation": "keep_columns",
                    "columns": ["source_column", "id_type", "row", "student"],
                },
            ],
        }
        for column, id_type in itertools.product(COLUMNS, TYPES)
    }
    ids = {
        f"{id_type}_ids": {
            "source": "$sources.roster",
            "operations": [
                {
                    "operation": "add_columns",
                    "columns": {
                        "student": "{{ studentReference.studentUniqueId }}",
                        "edfi_id": "{{ studentReference.studentUniqueId }}"
                        if id_type == UNIQUE_ID
                        else "{% for c in studentIdentificationCodes %}"
                        "{% if c.studentIdentificationSystemDescriptor.endswith('#" + id_type + "')"
                        " %}{{ c.identificationCode }}{% endif %}{% endfor %}",
                    },
                },
                {"operation": "keep_columns", "columns": ["student", "edfi_id"]},
            ],
        }
        for id_type in TYPES
    }
    first, *others = joins
    matches = {
        "source": f"$transformations.{first}",
        "operations": [
            {"operation": "union", "sources": [f"$transformations.{name}" for name in others]}
        ],
    }
    rates = {
        "source": "$transformations.matches",
        "operations": [
            {
                "operation": "group_by",
                "group_by_columns": ["source_column", "id_type"],
                "create_columns": {"num_matches": "count()"},
            },
            {
                "operation": "add_columns",
                "columns": {"match_rate": "{{ num_matches|float / 60 }}"},
            },
            {
                "operation": "sort_rows",
                "columns": ["match_rate", "source_column", "id_type"],
                "descending": True,
            },
        ],
    }
    return {
        "version": 2,
        "config": {"output_dir": "./out", "tmp_dir": ".", "show_progress": False},
        "sources": {
            "input": {"file": "./input.csv", "header_rows": 1},
            "roster": {"file": "./roster.jsonl"},
        },
        "transformations": {**ids, **joins, "matches": matches, "rates": rates},
        "destinations": {
            name: {
                "source": f"$transformations.{name}",
                "template": f"./{name}.jsont",
                "extension": "jsonl",
                "linearize": True,
            }
            for name in OUTPUTS
        },
    }


@pytest.mark.slow
def test_rates_ties_and_students_are_those_of_earthmovers_operations(tmp_path):
    rng = random.Random(7)
    roster = list(sample_roster(rng))
    rows = list(sample_rows(rng, roster))
    lines = [json.dumps(student) for student in roster]
    (tmp_path / "roster.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (tmp_path / "input.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for name, columns in OUTPUTS.items():
        (tmp_path / f"{name}.jsont").write_text("{{ [" + ", ".join(columns) + "] | tojson }}")
    (tmp_path / "earthmover.yaml").write_text(
        "# {% raw %}\n" + json.dumps(earthmover_project()) + "\n# {% endraw %}\n"
    )
    argv = [sys.executable, "-m", "earthmover", "run", "-c", "earthmover.yaml"]
    result = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    matches, rates = (
        [json.loads(line) for line in (tmp_path / "out" / f"{name}.jsonl").read_text().splitlines()]
        for name in OUTPUTS
    )

    plan = match(
        {name: [row[name] for row in rows] for name in COLUMNS}, lambda: read_roster(lines)
    )

    assert [(*rate.pair, rate.matches, rate.rate) for rate in plan.primary_rates] == [
        (column, id_type, int(matched), float(rate)) for column, id_type, matched, rate in rates
    ]
    assert len(rates) == 6
    assert {(str(n), row.student) for n, row in enumerate(plan.rows) if row.student} == {
        (row, student) for *pair, row, student in matches if tuple(pair) == plan.winner
    }
