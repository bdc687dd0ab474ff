"""The records that the ODS refused, led back to the input's rows that they come from.

lightbeam's results name lines of the set's files. The records there name students, and these the
rows: all of a student's, unless the file has a record for each row, in the order of the rows. An
artifact keeps what was found (contract section 12): one line a record.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from earthbeam.executor.lightbeam import sending
from earthbeam.executor.workspace.folders import is_plain_file

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
        if answers:
            rows = rows_of() if rows is None else rows
            by_line = _rows_by_line(output / f"{resource}.jsonl", rows)
        for line, (status, messages) in sorted(answers.items()):
            of = tuple(by_line(line))
            found.append(Refused(resource, line, of, status, "; ".join(messages)))
        lost = sending.failed(counts) - len(answers)
        found += [Refused(resource, None, (), None, "The record was lost on its way.")] * lost
    return found


def _rows_by_line(path: Path, rows: Mapping[str, list[int]]) -> Callable[[int], Iterable[int]]:
    """Return a function from a line of a set's file to the rows that its record comes from."""
    students = _students(path)
    in_order = sorted((row, student) for student, of in rows.items() for row in of)
    if students == [student for _, student in in_order]:
        return lambda line: [in_order[line - 1][0]]
    return lambda line: rows.get((students[line - 1] if line <= len(students) else "") or "", ())


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


def _students(path: Path) -> list[str | None]:
    """Return the student whom each line of a set's file is about, if it is about one."""
    if not is_plain_file(path):
        return []
    with path.open("rb") as lines:
        return [_student_of(line) for line in lines]


def _student_of(line: bytes) -> str | None:
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
