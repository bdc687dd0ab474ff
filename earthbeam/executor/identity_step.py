"""Identity checks of a run, after matching: guard its matches, and find students for the rest.

Contract section 11. Names and birth dates go into ``row_review.jsonl``, an artifact of the job, and
nowhere else.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson

from earthbeam import identity, matching
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.reporting.log import Redactor
from earthbeam.identity import OpenRow, Person, PersonColumns, RosterPerson, Suggester, Suggestion
from earthbeam.matching import Outcome, Plan, RosterStudent, RowMatch

logger = logging.getLogger(__name__)

HOLD = "hold"
_SAMPLE = 5000
"""Rows of which dates are counted, to see which are too common to be birth dates."""

_MOST_REPAIRED = 50_000

Rows = Callable[[], Iterator[list[str]]]
"""Reads the input's rows from the first one on."""


@dataclass(frozen=True)
class Rosters:
    """Where the students are, each read from its start at each call.

    ``names`` yields Ed-Fi's ``students`` records of the ODS. EDU's roster has names of its own.
    """

    primary: Callable[[], Iterator[RosterStudent]]
    second: Callable[[], Iterator[RosterStudent]] | None
    names: Callable[[], Iterator[Any]] | None
    primary_source: str = "ods"


@dataclass(frozen=True)
class Review:
    """The plan after the checks, with the counts for the ``/matches`` report.

    ``disagreeing`` is None if the rosters or the file have no names.
    """

    plan: Plan
    disagreeing: int | None
    repairable: int
    suggested: int
    columns: Mapping[str, str]
    """The file's columns with names and birth dates, by what they hold."""
    mode: str

    def counts(self) -> dict[str, Any]:
        """Return what the ``/matches`` report adds."""
        return {
            "identityChecks": self.mode,
            "identityColumns": dict(self.columns),
            "disagreeing": self.disagreeing,
            "repairable": self.repairable,
            "suggested": self.suggested,
        }


class _Students:
    """The rosters' students with their names."""

    def __init__(self, rosters: Rosters) -> None:
        self._rosters = rosters
        # A district's students, of some hundred bytes each. EDU's are streamed.
        self._names: dict[str, Person] = {}
        if rosters.names is not None:
            for record in rosters.names():
                if isinstance(record, dict) and isinstance(record.get("studentUniqueId"), str):
                    only = {part: record.get(part) for part in identity.PARTS}  # of much more
                    self._names[record["studentUniqueId"]] = identity.from_record(only)

    def primary(self) -> Iterator[RosterPerson]:
        for student in self._rosters.primary():
            person = self._names.get(student.unique_id) or identity.from_record(student.names)
            yield RosterPerson(student.unique_id, student.codes, person)

    def second(self) -> Iterator[RosterPerson]:
        for student in self._rosters.second() if self._rosters.second else ():
            person = identity.from_record(student.names)
            yield RosterPerson(student.unique_id, student.codes, person)

    def found(self, plan: Plan) -> dict[str, tuple[str, RosterPerson]]:
        """Return the students of the plan's rows, each with its roster."""
        wanted: dict[Outcome, set[str]] = {Outcome.PRIMARY: set(), Outcome.SECOND: set()}
        for row in plan.rows:
            if row.student is not None:
                wanted[row.outcome].add(row.student)
        sources = (
            (Outcome.PRIMARY, self._rosters.primary_source, self.primary),
            (Outcome.SECOND, "edu", self.second),
        )
        return {
            student.unique_id: (source, student)
            for outcome, source, students in sources
            if wanted[outcome]
            for student in students()
            if student.unique_id in wanted[outcome]
        }


def check(
    mode: str,
    plan: Plan,
    ids: Mapping[str, Sequence[str | None]],
    header: Sequence[str],
    rows: Rows,
    decided: Mapping[int, str],
    rosters: Rosters,
    target: Path,
    redactor: Redactor,
) -> Review:
    """Check who the rows are about, and write what was found about them to ``target``.

    ``mode`` is report or hold, ``ids`` the input's possible ID columns, by row. Rows that a person
    has ``decided`` are not doubted. Raises StepFailed(identity_mismatch) if so many rows would be
    held that the file is most likely not about these students.
    """
    students = _Students(rosters)
    found = students.found(plan)
    columns = _learn(plan, header, rows, found)
    for row in rows():
        redactor.add_names(row[place] for place in columns.places.values())
    for _, student in found.values():
        redactor.add_names(student.person.shown().values())
    doubted = _doubted(plan, columns, rows, found, decided)
    compared = bool(columns.places) and any(each.person.is_known for _, each in found.values())
    if mode == HOLD:
        if identity.too_many_disagree(len(doubted), len(plan.rows)):
            raise _mismatch(plan, len(doubted))
        plan = _without(plan, doubted)
    open_rows = {
        number: row for number, row in enumerate(plan.rows) if row.student is None
    } | doubted
    listed = _open_rows(plan, open_rows, doubted, columns, ids, rows)
    suggester = Suggester(list(listed.values()), plan.winner.id_type)
    if listed:
        suggester.read(rosters.primary_source, students.primary())
        suggester.read("edu", students.second())
    suggestions = {number: suggester.of_row(place) for place, number in enumerate(listed)}
    for each in suggestions.values():
        for suggestion in each:
            redactor.add_ids([suggestion.student.unique_id])
            redactor.add_names(suggestion.student.person.shown().values())
    _write(target, plan, listed, doubted, found, suggestions)
    is_open = [number for number in listed if plan.rows[number].student is None]
    repairable = sum(
        suggester.repair_of(place) is not None
        for place, number in enumerate(listed)
        if plan.rows[number].outcome in (Outcome.UNKNOWN, Outcome.BLANK)
    )
    review = Review(
        plan,
        len(doubted) if compared else None,
        repairable,
        sum(bool(suggestions[number]) for number in is_open),
        columns.named,
        mode,
    )
    _log(review)
    return review


def doubtful(
    confirmed: Mapping[int, str],
    plan: Plan,
    ids: Mapping[str, Sequence[str | None]],
    header: Sequence[str],
    rows: Rows,
    rosters: Rosters,
) -> set[int]:
    """Return the rows, counted from 0, for which a ``confirmed`` student does not hold.

    ``plan`` is what matching decides with all of them. One does not hold if no roster has the
    student, or if what can be compared of names and birth date all differs. Where nothing can be
    compared, it does not hold if a roster has one of the row's IDs: then the ID says more.
    """
    found = _Students(rosters).found(plan)
    columns = _learn(plan, header, rows, found)
    doubted: set[int] = set()
    silent: dict[int, set[str]] = {}
    for number, row in enumerate(rows()):
        if number not in confirmed:
            continue
        known = found.get(plan.rows[number].student or "")
        if known is None:
            doubted.add(number)
            continue
        confirms = identity.confirms(columns.person(row), columns.comparable(known[1].person))
        if confirms is None:
            silent[number] = {cell for _, cell in _cells(ids, list(ids), number)}
        elif not confirms:
            doubted.add(number)
    wanted = set().union(*silent.values())
    for students in (rosters.primary, rosters.second):
        if wanted and students is not None:
            held = matching.held_ids(students(), wanted)
            doubted |= {number for number, cells in silent.items() if cells & held}
    return doubted


def damage(
    ids: Mapping[str, Sequence[str | None]], header: Sequence[str], rows: Rows, rosters: Rosters
) -> list[dict[str, Any]]:
    """Return what was done to the IDs of a file of which too few rows match (``repairs``).

    Empty for files of more than ``_MOST_REPAIRED`` rows, since all of them are kept in memory.
    """
    if len(next(iter(ids.values()))) > _MOST_REPAIRED:
        return []
    found = identity.find_damage(*_of_file(ids, header, rows, rosters))
    return [each._asdict() for each in found]


def repaired(
    kinds: Sequence[str],
    ids: Mapping[str, Sequence[str | None]],
    header: Sequence[str],
    rows: Rows,
    rosters: Rosters,
) -> dict[str, list[str | None]]:
    """Return the file's IDs with the damage undone that a person wants undone."""
    return identity.repair(*_of_file(ids, header, rows, rosters), kinds)


def _of_file(
    ids: Mapping[str, Sequence[str | None]], header: Sequence[str], rows: Rows, rosters: Rosters
) -> tuple[dict[str, list[str | None]], list[Person], Iterator[RosterPerson]]:
    """Return a file's IDs, whom its rows are about by the header's names, and all students."""
    columns = identity.learn(header, [], list(islice(rows(), _SAMPLE)))
    students = _Students(rosters)
    return (
        {name: list(map(matching.normalize, cells)) for name, cells in ids.items()},
        [columns.person(row) for row in rows()],
        chain(students.primary(), students.second()),
    )


def _cells(
    ids: Mapping[str, Sequence[str | None]], order: Sequence[str], number: int
) -> tuple[tuple[str, str], ...]:
    """Return the IDs of a row, counted from 0, with their columns."""
    cells = ((name, matching.normalize(ids[name][number])) for name in order)
    return tuple((name, cell) for name, cell in cells if cell)


def _learn(
    plan: Plan,
    header: Sequence[str],
    rows: Rows,
    found: Mapping[str, tuple[str, RosterPerson]],
) -> PersonColumns:
    matched: list[tuple[list[str], Person]] = []
    sample: list[list[str]] = []
    for number, (row, result) in enumerate(zip(rows(), plan.rows, strict=True)):
        known = found.get(result.student) if result.student else None
        if known and known[1].person.is_known and len(matched) < identity.LOOKED_AT:
            matched.append((row, known[1].person))
        if number < _SAMPLE:
            sample.append(row)
        elif len(matched) >= identity.LOOKED_AT:
            break
    return identity.learn(header, matched, sample)


def _doubted(
    plan: Plan,
    columns: PersonColumns,
    rows: Rows,
    found: Mapping[str, tuple[str, RosterPerson]],
    decided: Mapping[int, str],
) -> dict[int, RowMatch]:
    """Return the rows, counted from 0, that are not about the student of their ID."""
    doubted = {}
    if columns.places:
        for number, (row, result) in enumerate(zip(rows(), plan.rows, strict=True)):
            known = found.get(result.student) if result.student else None
            if known is None or number in decided:
                continue
            if identity.disagrees(columns.person(row), columns.comparable(known[1].person)):
                doubted[number] = result
    return doubted


def _mismatch(plan: Plan, disagreeing: int) -> StepFailed:
    rate = disagreeing / len(plan.rows)
    return StepFailed(
        "identity_mismatch",
        f"{disagreeing} of {len(plan.rows)} rows lead to a student with another name and another"
        " birth date: check that the file is for this district and year, and that its IDs are of"
        " the kind that they were matched by. Nothing was sent.",
        rate=rate,
        column=plan.winner.column,
        id_type=plan.display_type,
    )


def _without(plan: Plan, doubted: Mapping[int, RowMatch]) -> Plan:
    held = RowMatch(Outcome.DISAGREES)
    return replace(
        plan,
        rows=[held if number in doubted else row for number, row in enumerate(plan.rows)],
    )


def _open_rows(
    plan: Plan,
    open_rows: Mapping[int, RowMatch],
    doubted: Mapping[int, RowMatch],
    columns: PersonColumns,
    ids: Mapping[str, Sequence[str | None]],
    rows: Rows,
) -> dict[int, OpenRow]:
    winner = plan.winner.column
    order = [winner, *(name for name in ids if name != winner)]
    listed = {}
    for number, row in enumerate(rows()):
        if number in open_rows:
            listed[number] = OpenRow(
                _cells(ids, order, number),
                columns.person(row),
                doubted[number].student if number in doubted else None,
            )
    return listed


def _write(
    target: Path,
    plan: Plan,
    listed: Mapping[int, OpenRow],
    doubted: Mapping[int, RowMatch],
    found: Mapping[str, tuple[str, RosterPerson]],
    suggestions: Mapping[int, Sequence[Suggestion]],
) -> None:
    with target.open("wb") as file:
        for number, row in listed.items():
            line: dict[str, Any] = {
                "row": number + 1,
                "open": plan.rows[number].student is None,
                "reason": "disagrees" if number in doubted else plan.rows[number].outcome.value,
                "person": row.person.shown(),
                "suggestions": [_suggestion(each) for each in suggestions[number]],
            }
            if number in doubted:
                source, student = found[doubted[number].student or ""]
                line["matched"] = _student(student) | {"source": source}
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _suggestion(suggestion: Suggestion) -> dict[str, Any]:
    return {
        **_student(suggestion.student),
        "source": suggestion.source,
        "score": round(suggestion.score, 4),
        "likelihood": suggestion.likelihood,
        "sure": suggestion.sure,
        "repair": suggestion.repair,
        "agrees": suggestion.comparison.agrees(),
    }


def _student(student: RosterPerson) -> dict[str, Any]:
    ids: dict[str, str] = {}
    for id_type, code in student.codes:
        ids.setdefault(id_type, code)
    return {
        "studentUniqueId": student.unique_id,
        "ids": ids,
        "student": student.person.shown(),
    }


def _log(review: Review) -> None:
    where = Counter(review.columns.values())
    logger.info(
        "Identity checks: names and birth dates are read from %s; %s rows disagree with their"
        " student; %d unmatched rows have suggestions, %d have an ID that can be repaired",
        ", ".join(where) or "no column",
        "no names to compare, so no" if review.disagreeing is None else review.disagreeing,
        review.suggested,
        review.repairable,
    )
