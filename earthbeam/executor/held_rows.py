"""Find the rows that the bundle cannot transform, so that the others can go on without them.

Nothing is assumed of the bundle: parts of a set's rows are transformed until those are found with
which it fails (contract section 12). Once a cell is known to be at fault, rows with a cell like it
are tried next, each by itself, which saves the search for them. A file of which most rows fail is
given up after a few, and a bundle that takes long for each trial when the time is over.
"""

import csv
import io
import math
import random
import re
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from earthbeam.delimited import DelimitedFile, writing_rows
from earthbeam.matching import Plan

Trial = Callable[[Path], str | None]
"""Transforms a file instead of a set's rows. Returns the last lines printed if that fails."""

SHARE, LEAST = 0.05, 20
"""How many rows may be held: that share of the input's, or that many, whichever is more."""
SHARE_OF_TIME = 1 / 3
"""How much of a run's time limit the search may take, since the file is yet to be sent."""
FAILURES_IN_A_ROW = 5
"""So many rows, taken at random, that all fail are no few rows of a file."""
_MOST_TRIALS = 2000
_MOST_EXPLAINED = 20
_MOST_IN_VAIN = 3
"""Rows that look like a failing one and do not fail, until no more of them are tried."""
_LONGEST_VALUE = 100
_DATES = re.compile(r"time data|strptime|strftime|to_datetime|datetime|DateParse|month must be")


@dataclass(frozen=True)
class HeldRow:
    """A row that cannot be transformed. ``column`` is None if no single cell is at fault.

    ``problem`` is "date" if the cell should be a date, else "value".
    """

    column: str | None = None
    value: str = ""
    problem: str = "value"


class TooMany(Exception):
    """More rows cannot be transformed than may be held, or can be found in time.

    ``rows`` are the first that were found.
    """

    def __init__(self, rows: Iterable[int]) -> None:
        self.rows = sorted(rows)
        super().__init__(f"{len(self.rows)} rows and more cannot be transformed")


class SetFile:
    """A set's input, as our own code has written it, whose rows are counted from 0."""

    def __init__(self, path: Path, delimiter: str, header_row: int) -> None:
        self.path = path
        self._file = DelimitedFile(path, "utf-8", delimiter, header_row)
        self._delimiter = delimiter
        self._head = self._file.head()
        self._offsets = _row_offsets(path)[len(self._head) :]
        self.columns = self._file.columns()

    def row(self, number: int) -> list[str]:
        with self.path.open("rb") as file:
            text = self._bytes(file, range(number, number + 1)).decode()
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter))

    def write(self, target: Path, wanted: Iterable[range]) -> None:
        """Write a file of only the ``wanted`` rows."""
        with self.path.open("rb") as file, target.open("wb") as copy:
            copy.write(file.read(self._offsets[0]))
            for rows in wanted:
                copy.write(self._bytes(file, rows))

    def write_row(self, target: Path, row: list[str]) -> None:
        """Write a file of one row, with other cells than it has."""
        with writing_rows(target, self._delimiter, self._head) as writer:
            writer.write(row)

    def like(self, place: int, value: str, unlike: str) -> list[int]:
        """Return the rows whose cell at ``place`` is ``value``, or looks like it.

        The looks do not count if ``unlike`` has them too.
        """
        shape = _shape(value) if _shape(value) != _shape(unlike) else None
        return [
            number
            for number, row in enumerate(self._file.rows())
            if row[place] == value or (shape is not None and _shape(row[place]) == shape)
        ]

    def _bytes(self, file: BinaryIO, rows: range) -> bytes:
        start, end = self._offsets[rows.start], self._offsets[rows.stop]
        file.seek(start)
        return file.read(end - start)


def _row_offsets(path: Path) -> "array[int]":
    """Return where each row of a file begins, and where the last one ends.

    A row goes on in the next line while a quoted cell is open.
    """
    offsets, at, quotes = array("Q", [0]), 0, 0
    with path.open("rb") as lines:
        for line in lines:
            at += len(line)
            quotes += line.count(b'"')
            if quotes % 2 == 0:
                offsets.append(at)
    return offsets


def _shape(value: str) -> str:
    """Return ``value`` with one sign for each run of digits, and one for each of letters."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", value))


def find(
    sets: Sequence[tuple[SetFile, Sequence[int]]],
    rows: int,
    folder: Path,
    trial: Trial,
    seconds: float,
) -> dict[int, HeldRow]:
    """Return which of the input's ``rows`` fail by themselves, by number from 0.

    Each of ``sets`` has the numbers of its rows. ``folder`` is for the files that are tried. Raises
    TooMany, also after ``seconds``. Returns {} if rows fail together only.
    """
    until = time.monotonic() + seconds
    sets = sorted(sets, key=lambda each: len(each[1]), reverse=True)
    failing = [each for each in sets if len(sets) == 1 or trial(each[0].path) is not None]
    good = next((each[0].row(0) for each in sets if each not in failing), None)
    held: dict[int, HeldRow] = {}
    for file, numbers in failing:
        search = Search(file, len(numbers), folder, trial, good, until)
        try:
            found = search.find(most_held(rows) - len(held))
        except TooMany as many:
            raise TooMany([*held, *(numbers[row] for row in many.rows)]) from None
        good = search.good
        held |= {numbers[row]: each for row, each in found.items()}
    return held


class Search:
    """The search in one set, of ``count`` rows. ``folder`` is for the files that are tried.

    ``good`` is a row of another set that can be transformed, if one is known. ``until`` is when the
    search gives up, by ``time.monotonic``.
    """

    def __init__(
        self,
        file: SetFile,
        count: int,
        folder: Path,
        trial: Trial,
        good: list[str] | None = None,
        until: float = math.inf,
    ) -> None:
        self._file, self._count, self._trial = file, count, trial
        self.good = good
        self._until = until
        self._target = folder / file.path.name
        self._trials = 0
        self._failed: dict[int, str] = {}
        """Rows that fail by themselves, with what was printed then."""
        self._explained: dict[int, HeldRow] = {}

    def find(self, most: int) -> dict[int, HeldRow]:
        """Return the rows that fail by themselves.

        Raises TooMany if they are more than ``most``, or all that were looked at. Returns {} if the
        rows fail together only.
        """
        self.good = self._good_row()
        for row in list(self._failed):
            self._follow(row, most)
        fails = not self._failed or self._fails(range(self._count), most)
        if fails and not self._halve(0, self._count, most):
            return {}
        return {row: self._explained.get(row, HeldRow()) for row in sorted(self._failed)}

    def _good_row(self) -> list[str]:
        """Return a row that can be transformed, of another set if this one is small and has none.

        Raises TooMany if there seem to be few of them.
        """
        rows = random.Random(0).sample(  # noqa: S311  any rows will do
            range(self._count), min(self._count, FAILURES_IN_A_ROW)
        )
        for row in rows:
            if not self._fails_alone(row):
                return self._file.row(row)
        if self.good is None or self._count > len(rows):
            raise TooMany(self._failed)
        return self.good

    def _halve(self, start: int, end: int, most: int) -> bool:
        """Find the failing rows among those of a part that fails. False if none fails alone."""
        if end - start == 1:
            if not self._fails_alone(start, most):
                return False
            self._follow(start, most)
            return True
        middle = (start + end) // 2
        if not self._fails(range(start, middle), most):
            return self._halve(middle, end, most)
        if not self._halve(start, middle, most):
            return False
        return not self._fails(range(middle, end), most) or self._halve(middle, end, most)

    def _follow(self, row: int, most: int) -> None:
        """Explain why a row fails, and try the rows that look as if they failed for the same."""
        assert self.good is not None
        if len(self._explained) >= _MOST_EXPLAINED:
            return
        held = self._explained[row] = self._explain(row, self.good)
        if held.column is None:
            return
        place = self._file.columns.index(held.column)
        value, passed = self._file.row(row)[place], 0
        for other in self._file.like(place, value, self.good[place]):
            if other in self._failed:
                continue
            if not self._fails_alone(other, most):
                passed += 1
                if passed == _MOST_IN_VAIN:
                    return
            elif len(self._explained) < _MOST_EXPLAINED:
                bad = self._file.row(other)
                if self._helps(bad, self.good, [place]):
                    self._explained[other] = replace(held, value=bad[place][:_LONGEST_VALUE])

    def _fails(self, rows: range, most: int) -> bool:
        """Whether the bundle fails with these rows, but for those that are known to fail."""
        known = sorted(row for row in self._failed if row in rows)
        bounds = [rows.start - 1, *known, rows.stop]
        parts = [range(a + 1, b) for a, b in pairwise(bounds) if b - a > 1]
        if not parts:
            return False
        self._file.write(self._target, parts)
        failed = self._try() is not None
        if self._trials > _MOST_TRIALS or len(self._failed) > most:
            raise TooMany(self._failed)
        return failed

    def _fails_alone(self, row: int, most: int | None = None) -> bool:
        self._file.write(self._target, [range(row, row + 1)])
        said = self._try()
        if said is not None:
            self._failed[row] = said
        if most is not None and (len(self._failed) > most or self._trials > _MOST_TRIALS):
            raise TooMany(self._failed)
        return said is not None

    def _try(self) -> str | None:
        if time.monotonic() > self._until:
            raise TooMany(self._failed)
        self._trials += 1
        return self._trial(self._target)

    def _explain(self, number: int, cells: list[str]) -> HeldRow:
        """Return which cell is at fault: the one whose replacement by a good row's helps."""
        bad = self._file.row(number)
        places: Sequence[int] = [place for place in range(len(bad)) if bad[place] != cells[place]]
        while len(places) > 1:
            half = places[: len(places) // 2]
            places = half if self._helps(bad, cells, half) else places[len(half) :]
        if not places or not self._helps(bad, cells, places):
            return HeldRow()
        (place,) = places
        problem = "date" if _DATES.search(self._failed[number]) else "value"
        return HeldRow(self._file.columns[place], bad[place][:_LONGEST_VALUE], problem)

    def _helps(self, bad: list[str], cells: list[str], places: Sequence[int]) -> bool:
        mixed = [cells[place] if place in places else cell for place, cell in enumerate(bad)]
        self._file.write_row(self._target, mixed)
        return self._try() is None


def most_held(rows: int) -> int:
    """Return how many of a file's rows may be held."""
    return max(LEAST, int(SHARE * rows))


def write_review(draft: Path, plan: Plan, held: Mapping[int, HeldRow]) -> None:
    """Add the ``held`` rows, counted from 0, to what identity checks have written to ``draft``.

    If there were none, the other open rows are listed as well, so that all open rows are there.
    """
    lines: dict[int, bytes] = {}
    if draft.exists():
        written = draft.read_bytes().splitlines(keepends=True)
        lines = {orjson.loads(line)["row"] - 1: line for line in written}
    else:
        for number, row in enumerate(plan.rows):
            if row.student is None:
                lines[number] = _line(number, row.outcome.value)
    for number, each in held.items():
        cell = {"column": each.column, "value": each.value, "problem": each.problem}
        lines[number] = _line(number, "untransformable", cell=cell if each.column else None)
    with draft.open("wb") as file:
        file.writelines(lines[number] for number in sorted(lines))


def _line(number: int, reason: str, **more: Any) -> bytes:
    line = {"row": number + 1, "open": True, "reason": reason, "person": {}, "suggestions": []}
    return orjson.dumps(line | more, option=orjson.OPT_APPEND_NEWLINE)
