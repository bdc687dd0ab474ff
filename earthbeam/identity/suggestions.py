"""Suggest students for rows that have none, from rosters of any length that are read once.

What is kept in memory are the open rows, their keys, and the best students for each: it grows with
the rows, not with the rosters.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from earthbeam.identity import score
from earthbeam.identity.blocking import Key, keys
from earthbeam.identity.people import Person
from earthbeam.identity.repairs import Kind, canonical, kind_of
from earthbeam.identity.score import Comparison, compare

MOST = 3
"""Suggestions for a row."""

_BY_ID = 9.0
"""What it weighs (see score.py) that the row's ID leads to the student, exactly or repaired."""
_KEPT, _TOO_MANY = 10, 40
"""Students that are kept for a row, and how many may gather before the others are dropped."""
_RIVAL = 0.05
"""A second student with this score keeps the first from being sure."""

Likelihood = Literal["very_likely", "likely", "possible"]


class RosterPerson(NamedTuple):
    """A student of a roster: studentUniqueId, (ID type, code) pairs, names and birth date."""

    unique_id: str
    codes: tuple[tuple[str, str], ...]
    person: Person


class OpenRow(NamedTuple):
    """A row without a student. ``ids`` are its (column, ID) pairs, the winning column's first.

    ``not_of`` is a student that it is not of, since its ID leads there and its name does not.
    """

    ids: tuple[tuple[str, str], ...]
    person: Person
    not_of: str | None = None


@dataclass(frozen=True)
class Suggestion:
    """A student whose row it may be."""

    student: RosterPerson
    source: str
    score: float
    """From 0 to 1: how likely it is this student, rather than one of the others or no one."""
    likelihood: Likelihood
    sure: bool
    """Whether it is very likely, and no other student is likely at all."""
    repair: Kind | None
    """What was done to the ID, if the intact one is the student's."""
    comparison: Comparison


@dataclass
class _Candidate:
    student: RosterPerson
    source: str
    comparison: Comparison
    weight: float
    repair: Kind | None


class Suggester:
    """Finds students for open rows. Call ``read`` for each roster, the most important one first.

    ``winner`` is the ID type that matches most rows.
    """

    def __init__(self, rows: Sequence[OpenRow], winner: str) -> None:
        self._rows = rows
        self._winner = winner
        self._candidates: list[dict[str, _Candidate]] = [{} for _ in rows]
        self._by_key: dict[Key, list[int]] = defaultdict(list)
        self._by_id: dict[str, list[int]] = defaultdict(list)
        for number, row in enumerate(rows):
            for key in set(keys(row.person, of_row=True)):
                self._by_key[key].append(number)
            for value in {canonical(cell) for _, cell in row.ids}:
                self._by_id[value].append(number)

    def read(self, source: str, students: Iterable[RosterPerson]) -> None:
        """Look at every student of a roster. Students of an earlier roster are skipped."""
        by_key, by_id = self._by_key, self._by_id
        for student in students:
            led_here: set[int] = set()
            if by_id:
                if rows := by_id.get(canonical(student.unique_id)):
                    led_here.update(rows)
                for _, code in student.codes:
                    if rows := by_id.get(canonical(code)):
                        led_here.update(rows)
            for number in led_here:
                self._add(number, source, student, *self._path(self._rows[number], student))
            found: set[int] = set()
            for key in keys(student.person):
                if rows := by_key.get(key):
                    found.update(rows)
            for number in found - led_here if led_here else found:
                self._add(number, source, student, False, None)

    def of_row(self, number: int) -> list[Suggestion]:
        """Return the suggestions for a row, counted from 0: at most three, the best one first."""
        candidates = sorted(self._candidates[number].values(), key=lambda each: -each.weight)
        total = 1 + sum(math.exp(each.weight) for each in candidates)
        scores = [math.exp(each.weight) / total for each in candidates]
        rivals = [sum(scores[:place]) + sum(scores[place + 1 :]) for place in range(len(scores))]
        return [
            Suggestion(
                each.student,
                each.source,
                of,
                likelihood := _likelihood(of, each),
                likelihood == "very_likely" and others < _RIVAL,
                each.repair,
                each.comparison,
            )
            for each, of, others in list(zip(candidates, scores, rivals, strict=True))[:MOST]
            if of >= score.LEAST
        ]

    def repair_of(self, number: int) -> Suggestion | None:
        """Return the one student to whom the row's ID leads if it is repaired, if there is one.

        If names are known on both sides, they must not speak against it.
        """
        repaired = [each for each in self.of_row(number) if each.repair is not None]
        return repaired[0] if len(repaired) == 1 and repaired[0].score >= score.LIKELY else None

    def _add(
        self, number: int, source: str, student: RosterPerson, by_id: bool, repair: Kind | None
    ) -> None:
        row, candidates = self._rows[number], self._candidates[number]
        if student.unique_id in candidates or student.unique_id == row.not_of:
            return
        comparison = compare(row.person, student.person)
        weight = comparison.weight + (_BY_ID if by_id else 0)
        if weight < score.LEAST_WEIGHT:
            return
        candidates[student.unique_id] = _Candidate(student, source, comparison, weight, repair)
        if len(candidates) > _TOO_MANY:
            best = sorted(candidates.items(), key=lambda each: -each[1].weight)[:_KEPT]
            self._candidates[number] = dict(best)

    def _path(self, row: OpenRow, student: RosterPerson) -> tuple[bool, Kind | None]:
        """Return whether one of the row's IDs leads to the student, and what was repaired."""
        codes = ((score.UNIQUE_ID, student.unique_id), *student.codes)
        for place, (_, cell) in enumerate(row.ids):
            form = canonical(cell)
            for id_type, code in codes:
                if form == canonical(code):
                    kind = kind_of(cell, code)
                    if kind is None and place > 0:
                        kind = "other_column"
                    elif kind is None and id_type != self._winner:
                        kind = "other_type"
                    return True, kind
        return False, None  # not reached, since the canonical forms led here


def _likelihood(of: float, candidate: _Candidate) -> Likelihood:
    # Twins and siblings have all but the first name in common. So it must agree.
    if of >= score.VERY_LIKELY and candidate.comparison.first in ("same", "close"):
        return "very_likely"
    return "likely" if of >= score.LIKELY else "possible"
