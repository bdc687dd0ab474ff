"""The matching step of a run: from the input file and rosters to one input file per set."""

import csv
import functools
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from earthbeam import matching
from earthbeam.delimited import (
    DELIMITERS,
    BadFile,
    DelimitedFile,
    find_columns,
    writing_rows,
)
from earthbeam.executor import identity_step
from earthbeam.executor.bundle.source import source_of
from earthbeam.executor.decisions import Decisions, confirmed_rows
from earthbeam.executor.earthmover.transform import (
    STUDENT_ID_COLUMN,
    BundleDescription,
    RowsToMatch,
)
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.identity_step import Review
from earthbeam.executor.job import Job, invalid
from earthbeam.executor.reporting.log import Redactor
from earthbeam.executor.rosters.fetching import CROSS_YEAR_ROSTER_NAME
from earthbeam.executor.workspace.folders import ODS_SET, OTHER_SET, Workspace
from earthbeam.invisible import without_invisible
from earthbeam.matching import Outcome, Plan, RowMatch
from earthbeam.stored_files import ROW_REVIEW, UNMATCHED_ROWS

logger = logging.getLogger(__name__)

RATES_NAME = "student_id_match_rates.csv"
# The error code of a roster that was fetched but cannot be read.
_ROSTER_FAULTS = {CROSS_YEAR_ROSTER_NAME: "cross_year_roster_fetch"}
_RATES_COLUMNS = ("source_column_name", "edfi_column_name", "num_matches", "num_rows", "match_rate")


IdColumns = Mapping[str, Sequence[str | None]]
"""The possible ID columns that the file has, by row."""


@dataclass(frozen=True)
class Matched:
    """The result of matching: the plan, and an input file for each set that has rows."""

    plan: Plan
    set_inputs: dict[str, Path]
    unmatched_rows: int
    missing_columns: tuple[str, ...]
    """Columns that may hold student IDs by the bundle, but are missing from the file."""
    review: Review | None
    """What identity checks found; None if there are none."""
    confirmed: int
    """How many rows went to a student whom a person confirmed for their ID earlier."""

    def counts(self) -> dict[str, Any]:
        """Return the body of the ``/matches`` report."""
        counts = self.plan.counts()
        return {
            "inputRows": len(self.plan.rows),
            "odsMatched": self.rows_of(ODS_SET),
            "crossYearMatched": self.rows_of(OTHER_SET),
            "unmatched": self.unmatched_rows,
            "untransformable": counts[Outcome.UNTRANSFORMABLE],
            "blankIds": counts[Outcome.BLANK],
            "ambiguousIds": counts[Outcome.AMBIGUOUS],
            "idName": self.plan.winner.column,
            "idType": self.plan.display_type,
            "matchRate": self.plan.match_rate,
            "missingIdColumns": list(self.missing_columns),
            **({**self.review.counts(), "confirmed": self.confirmed} if self.review else {}),
        }

    def rows_of(self, name: str) -> int:
        """Return how many rows went to a set."""
        return len(self.numbers_in(name))

    def numbers_in(self, name: str) -> list[int]:
        """Return the numbers of a set's rows in the input, counted from 0."""
        return [
            number
            for number, row in enumerate(self.plan.rows)
            if self._set_of.get(row.outcome) == name
        ]

    def rows_by_student(self, name: str) -> dict[str, list[int]]:
        """Return the numbers of each student's rows in a set, counted from 1."""
        rows: dict[str, list[int]] = {}
        for number in self.numbers_in(name):
            student = self.plan.rows[number].student
            if student is not None:
                rows.setdefault(student, []).append(number + 1)
        return rows

    def holding(self, held: Collection[int]) -> "Matched":
        """Return the result without the ``held`` rows in any set, and with all files anew."""
        hold = RowMatch(Outcome.UNTRANSFORMABLE)
        rows = [hold if number in held else row for number, row in enumerate(self.plan.rows)]
        plan = replace(self.plan, rows=rows)
        set_inputs, unmatched = self._split(plan)
        return replace(self, plan=plan, set_inputs=set_inputs, unmatched_rows=unmatched)

    delimiter: str
    header_row: int
    """Of the sets' files."""
    _set_of: dict[Outcome, str]
    _split: Callable[[Plan], tuple[dict[str, Path], int]]


def match_students(
    job: Job,
    bundle: BundleDescription,
    rows: RowsToMatch,
    roster: Path,
    fetch_second_roster: Callable[[], Path] | None,
    possible_columns: str | None,
    workspace: Workspace,
    redactor: Redactor,
    decisions: Decisions = Decisions(),  # noqa: B008  # it cannot be changed
    student_names: Path | None = None,
) -> Matched:
    """Decide each row's student, and write each set's rows, the unmatched rows, and the rates.

    ``fetch_second_roster`` is called at most once, if rows are left. Its exceptions pass through.
    ``decisions`` are people's. Those on IDs hold with identity checks only, for rows whose name and
    birth date do not contradict. ``student_names`` is the ODS's students, for identity checks.

    Raises StepFailed: insufficient_matches, identity_mismatch, or earthmover_run for a file that
    cannot be read.
    """
    rosters = _Rosters(roster, fetch_second_roster, student_names)
    decided = decisions.rows
    try:
        wanted = _wanted_columns(job, bundle, possible_columns)
        source = _located(rows.file, wanted)
        ids: IdColumns = _id_columns(source, wanted)
        missing = tuple(name for name in wanted if name not in ids)
        if missing:
            logger.info("The file has no column named: %s", ", ".join(missing))
        for values in ids.values():
            redactor.add_ids(filter(None, values))
        redactor.add_ids(decided.values())
        remembered = {}
        if job.identity_checks is not None:
            remembered = confirmed_rows(decisions.confirmed, ids)
            remembered = {row: each for row, each in remembered.items() if row not in decided}
            redactor.add_ids(remembered.values())
        if job.id_repairs:
            ids = identity_step.repaired(
                job.id_repairs, ids, source.columns(), source.rows, rosters.for_identity(job)
            )
            for values in ids.values():
                redactor.add_ids(filter(None, values))
        plan = _decide(job, source, ids, missing, rosters, {**remembered, **decided})
        if remembered and (doubtful := _doubtful(job, remembered, plan, ids, source, rosters)):
            remembered = {row: remembered[row] for row in remembered.keys() - doubtful}
            plan = _decide(job, source, ids, missing, rosters, {**remembered, **decided})
        redactor.add_ids({row.student for row in plan.rows if row.student})
        _write_rates(plan, workspace.draft(RATES_NAME))
        workspace.publish(RATES_NAME)
        review = None
        if job.identity_checks is not None:
            review = identity_step.check(
                job.identity_checks,
                plan,
                ids,
                source.columns(),
                source.rows,
                {**remembered, **decided},
                rosters.for_identity(job),
                workspace.draft(ROW_REVIEW),
                redactor,
            )
            plan = review.plan
        names = _names_for_bundle(source.columns(), wanted, workspace.bundle)
        sets = _sets(job)

        def split(plan: Plan) -> tuple[dict[str, Path], int]:
            return _split(source, rows.file, names, plan, sets, workspace)

        return Matched(
            plan,
            *split(plan),
            missing,
            review,
            len(remembered),
            rows.file.delimiter,
            rows.file.header_row,
            sets,
            split,
        )
    except (BadFile, matching.NoRows) as error:
        raise StepFailed("earthmover_run", str(error)) from None


def _wanted_columns(job: Job, bundle: BundleDescription, possible_columns: str | None) -> list[str]:
    if possible_columns is None and job.student_id_columns:
        return list(job.student_id_columns)
    wanted = possible_columns or bundle.parameter("POSSIBLE_STUDENT_ID_COLUMNS", job) or ""
    return [name.strip() for name in wanted.split(",") if name.strip()]


def _located(file: DelimitedFile, wanted: list[str]) -> DelimitedFile:
    """Return the file with its header located. Logs what is unusual about it."""
    found = file.located(wanted)
    if found.delimiter != file.delimiter:
        logger.warning("The file is delimited by %s, and read as such", DELIMITERS[found.delimiter])
    if found.header_row != file.header_row:
        logger.warning("The file's header is row %d; what is above is left out", found.header_row)
    return found


def _names_for_bundle(columns: list[str], wanted: list[str], bundle: Path) -> list[str]:
    """Return the columns' names as the bundle spells them.

    Removes invisible characters from names that are not ``wanted``, unless the bundle's own code
    has them too.
    """
    names = list(columns)
    odd = [place for place, name in enumerate(columns) if without_invisible(name) != name]
    code = source_of(bundle) if odd else ""
    for place in odd:
        quoted = (f'"{columns[place]}"', f"'{columns[place]}'")
        if not any(each in code for each in quoted):
            names[place] = without_invisible(columns[place])
    for name, place in find_columns(columns, wanted).items():
        names[place] = name
    return names


def _sets(job: Job) -> dict[Outcome, str]:
    """Return the set for each outcome of a matched row."""
    primary = ODS_SET if job.send_to_ods else OTHER_SET
    return {Outcome.PRIMARY: primary, Outcome.SECOND: OTHER_SET}


def _id_columns(source: DelimitedFile, possible: list[str]) -> dict[str, list[str]]:
    """Return the possible ID columns that the file has, by row."""
    places = find_columns(source.columns(), possible)
    if not places:
        raise BadFile(
            "The file has none of the columns that may hold student ids: "
            f"{', '.join(possible) or '(the bundle names none)'}."
            " Check that it is this assessment's export, with its header."
        )
    ids: dict[str, list[str]] = {name: [] for name in places}
    for row in source.rows():
        for name, place in places.items():
            ids[name].append(row[place])
    return ids


class _Rosters:
    """The run's rosters, each read from its start as often as it is needed."""

    def __init__(
        self,
        primary: Path,
        fetch_second: Callable[[], Path] | None,
        student_names: Path | None,
    ) -> None:
        self._primary = primary
        self._fetch_second = functools.cache(fetch_second) if fetch_second else None
        self._names = student_names

    def primary(self) -> Iterator[matching.RosterStudent]:
        return _read(self._primary)

    @property
    def second(self) -> Callable[[], Iterator[matching.RosterStudent]] | None:
        """Reads the second roster, and fetches it first if that was not done yet."""
        fetch = self._fetch_second
        return None if fetch is None else lambda: _read(fetch())

    def for_identity(self, job: Job) -> identity_step.Rosters:
        """Return the rosters for identity checks, which no failure to fetch one may fail."""

        def second() -> Iterator[matching.RosterStudent]:
            assert self._fetch_second is not None
            try:
                path = self._fetch_second()
            except StepFailed as error:
                logger.warning("Without EDU's roster, fewer students are suggested: %s", error)
                return iter(())
            return _read(path)

        return identity_step.Rosters(
            primary=self.primary,
            second=second if self._fetch_second else None,
            names=self._read_names if self._names else None,
            primary_source="ods" if job.send_to_ods or job.roster_file_path else "edu",
        )

    def _read_names(self) -> Iterator[Any]:
        assert self._names is not None
        with self._names.open("rb") as lines:
            for line in lines:
                try:
                    yield orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue


def _read(path: Path) -> Iterator[matching.RosterStudent]:
    with path.open("rb") as lines:
        try:
            yield from matching.read_roster(lines)
        except matching.BadRosterLine as error:
            code = _ROSTER_FAULTS.get(path.name, "missing_ods_roster")
            raise StepFailed(code, f"The roster cannot be read: {error}") from None


def _decide(
    job: Job,
    source: DelimitedFile,
    ids: IdColumns,
    missing: tuple[str, ...],
    rosters: _Rosters,
    decided: Mapping[int, str],
) -> Plan:
    rows = len(next(iter(ids.values())))
    if any(row >= rows for row in decided):
        raise invalid("decisionsFile has rows that the file does not have")
    try:
        return matching.match(ids, rosters.primary, rosters.second, decided=decided)
    except matching.InsufficientMatches as error:
        insufficient = error
    fields: dict[str, Any] = {
        "match_rate": insufficient.match_rate,
        "match_threshold": insufficient.match_threshold,
        "id_name": insufficient.id_name,
        "id_type": insufficient.id_type,
    }
    if missing:
        fields["missing_id_columns"] = list(missing)
    if job.identity_checks is not None:
        fields["input_rows"] = rows
        fields["repairs"] = identity_step.damage(
            ids, source.columns(), source.rows, rosters.for_identity(job)
        )
    raise StepFailed("insufficient_matches", str(insufficient), **fields)


def _doubtful(
    job: Job,
    remembered: Mapping[int, str],
    plan: Plan,
    ids: IdColumns,
    source: DelimitedFile,
    rosters: _Rosters,
) -> set[int]:
    """Return the rows that must not go to the student confirmed for their ID."""
    doubtful = identity_step.doubtful(
        remembered, plan, ids, source.columns(), source.rows, rosters.for_identity(job)
    )
    logger.info(
        "%d rows have an ID with a confirmed student, which does not hold for %d of them",
        len(remembered),
        len(doubtful),
    )
    return doubtful


def _split(
    source: DelimitedFile,
    expected: DelimitedFile,
    names: list[str],
    plan: Plan,
    sets: dict[Outcome, str],
    workspace: Workspace,
) -> tuple[dict[str, Path], int]:
    """Write the rows of each set, with their student added, and the unmatched ones as they were.

    Each set's file keeps the input's name, in its own folder; sets without rows get none. All files
    have the format that the bundle ``expected``: its delimiter, and as many rows up to the header.
    Returns the sets' files and the number of unmatched rows.
    """
    original_head = source.head()
    if source.header_row != expected.header_row:
        above = expected.header_row - 1
        original_head = [*[[""]] * above, *original_head][-1 - above :]
    head = [*original_head[:-1], names]
    place = head[-1].index(STUDENT_ID_COLUMN) if STUDENT_ID_COLUMN in head[-1] else None

    def with_student(row: list[str], student: str) -> list[str]:
        if place is None:
            return [*row, student]
        return [*row[:place], student, *row[place + 1 :]]

    def set_file(name: str) -> Path:
        return workspace.set_input(name) / source.path.name

    set_head = [*head[:-1], with_student(head[-1], STUDENT_ID_COLUMN)]
    # A draft until the run has succeeded: all rows of a failed run are still unmatched.
    unmatched_file = workspace.draft(UNMATCHED_ROWS)
    with (
        writing_rows(set_file(ODS_SET), expected.delimiter, set_head) as ods,
        writing_rows(set_file(OTHER_SET), expected.delimiter, set_head) as other,
        writing_rows(unmatched_file, expected.delimiter, original_head) as unmatched,
    ):
        writers = {ODS_SET: ods, OTHER_SET: other}
        head_rows = ods.rows
        same_format = source.delimiter == expected.delimiter
        for (row, line), found in zip(source.rows_and_lines(), plan.rows, strict=True):
            student = found.student
            kept = line if same_format else None
            if student is None and kept is not None:
                unmatched.write_line(kept)
            elif student is None:
                unmatched.write(row)
            elif kept is not None and place is None and student.isalnum():  # so needs no quotes
                writers[sets[found.outcome]].write_line(f"{kept}{source.delimiter}{student}")
            else:
                writers[sets[found.outcome]].write(with_student(row, student))
    written = {name: writer.rows - head_rows for name, writer in writers.items()}
    left = unmatched.rows - head_rows
    return {name: set_file(name) for name, rows in written.items() if rows}, left


def _write_rates(plan: Plan, path: Path) -> None:
    """Write the rates of every pair that matched any row, including those of a second pass."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_RATES_COLUMNS)
        for rate in (*plan.primary_rates, *plan.second_rates):
            writer.writerow([*rate.pair, rate.matches, rate.rows, rate.rate])
