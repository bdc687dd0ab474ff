"""The records that the ODS refused, led back to the input's rows that they come from.

lightbeam's results name lines of the set's files. The records there name students, and these the
rows. An artifact keeps what was found (contract section 12): one line a record.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from earthbeam.executor.lightbeam import sending
from earthbeam.executor.workspace.folders import is_plain_file

REFUSED_NAME = "refused_records.jsonl"

RowsOf = Callable[[], Mapping[str, list[int]]]
"""Returns each student's rows of the input, counted from 1. Called only if records were refused."""

_REFERENCES = ("studentReference", "studentAssessmentReference")


@dataclass(frozen=True)
class Refused:
    """A record that the ODS refused. ``rows`` are empty if it is about no student.

    ``line`` counts from 1 in the file of the resource; None if lightbeam did not tell it, since the
    record was lost on its way.
    """

    resource: str
    line: int | None
    rows: tuple[int, ...]
    status: int | None
    message: str


def find(results: Mapping[str, Any], output: Path, rows_of: RowsOf) -> list[Refused]:
    """Return the records that did not arrive, by lightbeam's ``results`` of sending ``output``."""
    found: list[Refused] = []
    rows: Mapping[str, list[int]] | None = None
    for resource, counts in results["resources"].items():
        answers = _answers(counts)
        if answers and rows is None:
            rows = rows_of()
        students = _students(output / f"{resource}.jsonl", answers)
        for line, (status, messages) in sorted(answers.items()):
            of = (rows or {}).get(students.get(line, ""), ())
            found.append(Refused(resource, line, tuple(of), status, "; ".join(messages)))
        lost = sending.failed(counts) - len(answers)
        found += [Refused(resource, None, (), None, "The record was lost on its way.")] * lost
    return found


def rows_refused(refused: Iterable[Refused]) -> int:
    """Return how many rows of the input the records come from."""
    return len({row for record in refused for row in record.rows})


def write(refused: Iterable[Refused], path: Path, redact: Callable[[str], str]) -> None:
    """Write the artifact. ``redact`` removes secrets from messages."""
    with path.open("wb") as file:
        for each in refused:
            line = {
                "resource": each.resource,
                "line": each.line,
                "rows": each.rows,
                "status": each.status,
                "message": redact(each.message),
            }
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def read(path: Path) -> list[Refused]:
    """Read the artifact. Raises ValueError if it is not as the contract says."""
    try:
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        return [
            Refused(
                str(line["resource"]),
                None if line["line"] is None else int(line["line"]),
                tuple(int(row) for row in line["rows"]),
                None if line["status"] is None else int(line["status"]),
                str(line["message"]),
            )
            for line in lines
        ]
    except (KeyError, TypeError) as error:
        raise ValueError("not a list of refused records") from error


def _answers(counts: Mapping[str, Any]) -> dict[int, tuple[int, list[str]]]:
    """Return the ODS's status and messages for each line that it refused."""
    answers: dict[int, tuple[int, list[str]]] = {}
    for failure in counts.get("failures", ()):
        for line in failure["line_numbers"]:
            _, messages = answers.setdefault(line, (failure["status_code"], []))
            messages.append(failure["message"])
    return answers


def _students(path: Path, lines: Mapping[int, Any]) -> dict[int, str]:
    """Return the student whom each of the ``lines`` of a set's file is about."""
    if not lines or not is_plain_file(path):
        return {}
    return dict(_named_students(path, lines))


def _named_students(path: Path, lines: Mapping[int, Any]) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number in lines and (student := student_of(line)):
                yield number, student


def student_of(line: bytes) -> str | None:
    """Return the studentUniqueId that a record names, if it is about a student."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    for name in _REFERENCES:
        reference = record.get(name) if isinstance(record, dict) else None
        if isinstance(reference, dict) and reference.get("studentUniqueId"):
            return str(reference["studentUniqueId"])
    return None
