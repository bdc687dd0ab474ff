"""A tenant's students of all years, streamed from EDU as the bytes that the executor reads.

SQL creates the complete JSON line, the connector returns Arrow batches, and the line column's
memory is the response body, without a Python object per student. See ``docs/edu.md``.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edu import metrics
from edu.errors import (
    ConnectionLost,
    EduError,
    NamesUnavailable,
    QueryFailed,
    RosterIncomplete,
    StreamCut,
)
from edu.lines import line_buffers, slices
from edu.pool import Lease
from edu.pools import Pools

logger = logging.getLogger(__name__)

Failure = Callable[[Exception], EduError]
"""Classifies an error of the connector."""
Answers = Callable[[Any], bool]
"""Returns within seconds whether EDU still responds on a connection."""

_COMPLETE, _ABANDONED = "complete", "abandoned"

_SQL = """
with newest as (
    select k_student, student_unique_id, ed_org_id
    from stg_ef3__student_education_organization_associations
    where tenant_code = ?
    qualify max(api_year) over (partition by k_student_xyear) = api_year
),
students as (
    select distinct k_student, student_unique_id, ed_org_id
    from newest
),
codes as (
    select distinct k_student, id_system, id_code::varchar as id_code
    from stg_ef3__stu_ed_org__identification_codes
    where id_code is not null and k_student in (select k_student from newest)
),
with_codes as (
    select
        students.k_student, students.student_unique_id, students.ed_org_id,
        array_agg(case when codes.id_code is not null then object_construct_keep_null(
            'studentIdentificationSystemDescriptor', codes.id_system,
            'identificationCode', codes.id_code
        ) end) as id_codes
    from students
    left join codes on codes.k_student = students.k_student
    group by students.k_student, students.student_unique_id, students.ed_org_id
){names}
select to_json(object_construct_keep_null(
    'educationOrganizationReference', object_construct_keep_null(
        'educationOrganizationId', ed_org_id,
        'link', object_construct_keep_null('rel', 'LocalEducationAgency')
    ),
    'studentReference', object_construct_keep_null('studentUniqueId', student_unique_id::varchar),
    'studentIdentificationCodes', coalesce(id_codes, array_construct()){student}
)) || chr(10) as line
from with_codes{joined}
"""
ROSTER_SQL = _SQL.format(names="", student="", joined="")
"""One complete line per student and education organization. The parameter is the tenant's code.

- Only each k_student_xyear's newest api_year, which is how EDU knows the student now.
- Students and codes are made distinct and grouped as scalars, since objects whose keys come in
  another order would count as different.
- ARRAY_AGG omits the NULL of a student without codes, and COALESCE ensures a list: executors fail
  on an object of nulls.
- KEEP_NULL, since otherwise a key whose value is NULL would vanish and change the format.
- The tables have no database or schema, so that the connection's own apply.
"""

ROSTER_WITH_NAMES_SQL = _SQL.format(
    names=""",
names as (
    select k_student, first_name, middle_name, last_name, birth_date::varchar as birth_date
    from stg_ef3__students
    where tenant_code = ? and k_student in (select k_student from newest)
    qualify row_number() over (partition by k_student order by api_year desc) = 1
)""",
    student=""",
    'student', object_construct_keep_null(
        'firstName', first_name, 'middleName', middle_name, 'lastSurname', last_name,
        'birthDate', birth_date
    )""",
    joined="""
left join names on names.k_student = with_codes.k_student""",
)
"""The same lines with names and birth dates, those of the same year. The tenant's code is given
twice. A student without names in EDU has nulls, and is neither lost nor doubled."""


@dataclass
class _Result:
    """A query's result whose first batch has arrived."""

    cursor: Any
    batches: Iterator[Any]
    expected: int
    """How many rows EDU has announced."""
    rows: int
    """How many rows have arrived."""
    slices: Iterator[bytes]
    """Bytes of the arrived rows that are not sent yet."""

    def next_slice(self) -> bytes | None:
        """Return the next bytes, or None after the last.

        Raises RosterIncomplete if there are more or fewer rows than announced. The connector does
        not compare the counts, so a lost chunk would go unnoticed.
        """
        while True:
            piece = next(self.slices, None)
            if piece is not None:
                return piece
            table = next(self.batches, None)
            if table is None:
                if self.rows != self.expected:
                    raise RosterIncomplete
                return None
            self.rows += table.num_rows
            if self.rows > self.expected:
                raise RosterIncomplete
            self.slices = slices(line_buffers(table))


class RosterStream:
    """An iterator of bytes that owns the connection they come from.

    Ends in one of three ways, each of which releases the connection exactly once: all rows are
    delivered (the connection returns to its pool), a failure (it is closed, and the caller gets
    StreamCut), or ``close()`` before the end, as when the client has disconnected (it is closed,
    since its result is unfinished). ``close()`` may be called at any time, repeatedly, from any
    thread, and before the first ``next()``. A generator would not allow that: one that was never
    started runs no ``finally``.
    """

    def __init__(
        self,
        lease: Lease,
        result: _Result,
        *,
        partner_id: str,
        label: str,
        failure: Failure,
        on_end: Callable[[], None] | None,
        started: float,
    ) -> None:
        self._lease = lease
        self._result = result
        self._partner_id = partner_id
        self._label = label
        self._failure = failure
        self._on_end = on_end
        self._started = started
        self._bytes = 0
        self._lock = threading.Lock()
        self._outcome: str | None = None

    def __iter__(self) -> "RosterStream":
        return self

    def __next__(self) -> bytes:
        if self._outcome == _COMPLETE:
            raise StopIteration
        if self._outcome is not None:
            raise StreamCut
        try:
            piece = self._result.next_slice()
        except Exception as error:  # noqa: BLE001  (whatever it is, the client must see a cut)
            known = error if isinstance(error, EduError) else self._failure(error)
            self._end(known.code)
        else:
            if piece is not None:
                self._bytes += len(piece)
                return piece
            if self._end(_COMPLETE):
                raise StopIteration
        # Outside the handler, since the server would log the library's error, which quotes
        # requests.
        raise StreamCut

    def close(self) -> None:
        """Release everything if the stream has not ended yet. Never blocks on the network."""
        self._end(_ABANDONED)

    def __del__(self) -> None:
        # For a stream that no response has taken over, as when a middleware fails.
        self.close()

    def _end(self, outcome: str) -> bool:
        """End the stream unless it has ended already. True if this call ended it."""
        with self._lock:
            if self._outcome is not None:
                return False
            self._outcome = outcome
        if outcome == _COMPLETE:
            self._result.cursor.close()
            self._lease.release()
        else:
            _give_up(self._lease, self._result.batches, self._result.cursor)
        _log_end(
            outcome,
            self._partner_id,
            self._label,
            rows=self._result.rows,
            size=self._bytes,
            started=self._started,
        )
        if self._on_end is not None:
            self._on_end()
        return True


def open_roster_stream(
    pools: Pools,
    *,
    partner_id: str,
    generation: int,
    tenant_code: str,
    label: str,
    with_names: bool = False,
    answers: Answers,
    failure: Failure,
    on_end: Callable[[], None] | None = None,
) -> RosterStream:
    """Run the query and fetch its first batch. The stream then owns the connection.

    If EDU no longer responds on a pooled connection, or its session has ended, reconnects once.
    Raises any EduError, and then leaves nothing open.
    """
    started = time.monotonic()
    query: tuple[str, tuple[str, ...]] = (ROSTER_SQL, (tenant_code,))
    if with_names:
        query = (ROSTER_WITH_NAMES_SQL, (tenant_code, tenant_code))
        failure = _of_names(failure)
    try:
        lease = pools.acquire(partner_id, generation)
        try:
            result = _execute(lease, query, failure, answers)
        except ConnectionLost:
            if lease.fresh:
                raise
            logger.info("EDU roster: partner %s, run %s: stale connection", partner_id, label)
            lease = pools.acquire(partner_id, generation, fresh=True)
            result = _execute(lease, query, failure, answers)
    except EduError as error:
        _log_end(error.code, partner_id, label, rows=0, size=0, started=started)
        raise
    return RosterStream(
        lease,
        result,
        partner_id=partner_id,
        label=label,
        failure=failure,
        on_end=on_end,
        started=started,
    )


def _of_names(failure: Failure) -> Failure:
    """Return a classification by which what EDU refuses are the names: it gives the rest."""

    def classify(error: Exception) -> EduError:
        known = failure(error)
        return NamesUnavailable() if isinstance(known, QueryFailed) else known

    return classify


def _execute(
    lease: Lease, query: tuple[str, tuple[str, ...]], failure: Failure, answers: Answers
) -> _Result:
    """Return the query's result. On failure, discards the lease."""
    parts: list[Any] = []
    try:
        if not (lease.fresh or answers(lease.connection)):
            raise ConnectionLost
        cursor = lease.connection.cursor()
        parts.append(cursor)
        cursor.execute(*query)
        batches = cursor.fetch_arrow_batches()
        parts.append(batches)
        first = next(batches, None)
        rows = 0 if first is None else first.num_rows
        expected = cursor.rowcount
        if expected is None or rows > expected or (first is None and expected):
            raise RosterIncomplete
        ready = [] if first is None else line_buffers(first)
        return _Result(cursor, batches, expected, rows, slices(ready))
    except BaseException as error:
        _give_up(lease, *reversed(parts))
        if isinstance(error, EduError) or not isinstance(error, Exception):
            raise
        known = failure(error)
    raise known


def _give_up(lease: Lease, *parts: Any) -> None:
    """Discard a connection with its unfinished results, in the background.

    Closing a result waits for a download in progress, which the connector retries for up to a
    minute. That must not hold the thread of a client that has disconnected.
    """
    lease.release(discard=True)

    def close() -> None:
        for part in parts:
            try:
                part.close()
            except Exception as error:  # noqa: BLE001  (it is given up in any case)
                logger.info("EDU roster: unfinished result: %s at close", type(error).__name__)

    threading.Thread(target=close, name="edu-give-up", daemon=True).start()


def _log_end(
    outcome: str, partner_id: str, label: str, *, rows: int, size: int, started: float
) -> None:
    """Log the one line about a stream, without student data, and count it."""
    seconds = time.monotonic() - started
    metrics.ROSTERS.labels(outcome).inc()
    metrics.ROSTER_ROWS.inc(rows)
    metrics.ROSTER_BYTES.inc(size)
    metrics.ROSTER_SECONDS.observe(seconds)
    logger.log(
        logging.INFO if outcome == _COMPLETE else logging.WARNING,
        "EDU roster %s: partner %s, run %s, %d rows, %d bytes, %.1f s",
        outcome,
        partner_id,
        label,
        rows,
        size,
        seconds,
    )
