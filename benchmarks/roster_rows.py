"""The students of `make bench-roster`: as columns of JSON, as complete lines, as plain bytes."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow

from benchmarks.measure import RESULTS

FIRST_BATCH, BATCH = 500, 10_000
"""Rows per batch; 10,000 are 4.6 MB."""
DATA = RESULTS / "roster"
KEYS = ("educationOrganizationReference", "studentReference", "studentIdentificationCodes")


def prepare(rows: int, *, named: bool = False) -> Path:
    """Return the folder with that many students, as columns, as lines, and as plain bytes.

    ``named``: with names and birth dates, as identity checks have them.
    """
    folder = DATA / (f"{rows}-named" if named else str(rows))
    if (folder / "lines.jsonl").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    keys = (*KEYS, "student") if named else KEYS
    columns_schema = _text_schema(*keys)
    lines_schema = _text_schema("line")
    with (
        pyarrow.ipc.new_file(str(folder / "columns.arrow"), columns_schema) as columns,
        pyarrow.ipc.new_file(str(folder / "lines.arrow"), lines_schema) as lines,
        (folder / "lines.part").open("wb") as plain,
    ):
        # Snowflake's first batch comes with the response, and is small.
        starts = [0, *range(FIRST_BATCH, rows, BATCH), rows]
        for start, end in itertools.pairwise(starts):
            students = [_student(n)[: len(keys)] for n in range(start, end)]
            columns.write_batch(
                pyarrow.record_batch([*zip(*students, strict=True)], columns_schema)
            )
            text = [_line(keys, each) for each in students]
            lines.write_batch(pyarrow.record_batch([text], lines_schema))
            plain.write("".join(text).encode())
    return (folder / "lines.part").rename(folder / "lines.jsonl").parent


def _text_schema(*names: str) -> Any:
    kind = {"logicalType": "TEXT", "precision": "38", "scale": "0", "charLength": "16777216"}
    return pyarrow.schema([pyarrow.field(name, pyarrow.string(), metadata=kind) for name in names])


def _line(keys: Sequence[str], values: Sequence[str]) -> str:
    pairs = (f'"{key}":{value}' for key, value in zip(keys, values, strict=True))
    return f"{{{','.join(pairs)}}}\n"


def _student(number: int) -> tuple[str, ...]:
    """Return a student's columns as JSON, in the order of a line."""
    codes = [
        {"studentIdentificationSystemDescriptor": f"uri://ed-fi.org/{system}"} | code
        for system, code in (
            ("StudentIdentificationSystemDescriptor#State", _code(number * 7919)),
            ("StudentIdentificationSystemDescriptor#Local", _code(number * 104_729)),
        )
    ]
    compact = (",", ":")
    organization = {"educationOrganizationId": 255901, "link": {"rel": "LocalEducationAgency"}}
    return (
        json.dumps(organization, separators=compact),
        json.dumps({"studentUniqueId": str(10**6 + number)}, separators=compact),
        json.dumps(codes, separators=compact),
        json.dumps(_person(number), separators=compact),
    )


def _person(number: int) -> dict[str, str]:
    return {
        "firstName": f"First {number % 997}",
        "middleName": f"Middle {number % 89}",
        "lastSurname": f"Last {number % 7919}",
        "birthDate": f"{2008 + number % 12}-{1 + number % 11:02d}-{1 + number % 27:02d}",
    }


def _code(number: int) -> dict[str, str]:
    return {"identificationCode": f"{number * 2_654_435_761 % 10**10:010d}"}
