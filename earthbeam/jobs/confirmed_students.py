"""Remember whom IDs stand for, as people have confirmed, and hand it to later runs.

Contract section 11. IDs are encrypted in the database. Runs get them as a file of the job. The
executor decides whether one holds for a row (earthbeam/executor/confirmed.py).
"""

import io
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import ExpressionWrapper, F, QuerySet
from django.db.models.fields import DateTimeField, DurationField
from django.db.models.functions import Now
from django.utils import timezone

from earthbeam import paths
from earthbeam.errors import LaunchFailed
from earthbeam.files import fault, open_store
from earthbeam.identity import has_lost_digits
from earthbeam.matching import normalize
from earthbeam.models import ConfirmedStudent, Job, Run
from partners.encryption import (
    UndecryptableSecret,
    decrypt,
    encrypt,
    is_current,
    renewed,
    search_keys,
)
from partners.models import Partner, Tenant
from partners.renewal import Renewed

logger = logging.getLogger(__name__)

MOST = 200_000
"""Of a tenant. All of them go to each of its runs."""
_BATCH = 2000


class Confirmed(NamedTuple):
    """Whom an ID stands for. ``id`` is as rosters' IDs are compared: ``matching.normalize``."""

    column: str
    id: str
    student: str


@dataclass(frozen=True)
class Changes:
    """How many IDs were added, now stand for another student, or were known already."""

    added: int = 0
    changed: int = 0
    same: int = 0


class TooMany(Exception):
    """The tenant would have more than ``MOST`` confirmed students."""


def confirmed(column: str, cell: str, student: str) -> Confirmed | None:
    """Return whom a file's cell stands for.

    None for a blank one, and for a number whose last digits a spreadsheet has rounded away
    (1.2E+09): other students' IDs look the same.
    """
    value = normalize(cell)
    if not value or has_lost_digits(value):
        return None
    return Confirmed(column.strip(), value, student.strip())


@transaction.atomic
def remember(
    tenant: Tenant, given: Iterable[Confirmed], *, by: str, job: Job | None = None
) -> Changes:
    """Store whom IDs stand for. Of two who confirm one ID, the later counts.

    An ID that is ``given`` with two students says nothing, and is left out. Raises TooMany, and
    then stores nothing.
    """
    # In one order, so that two who store the same IDs never wait for each other.
    entries = sorted(_entries(tenant, given), key=lambda entry: (entry.column, entry.id_hashes[0]))
    stored = _stored(tenant, entries)
    before = [_found(stored, entry, entry.id_hashes) for entry in entries]
    # Rows that were stored under an earlier key would not conflict with the new ones.
    old = [_found(stored, entry, entry.id_hashes[1:]) for entry in entries]
    ConfirmedStudent.objects.filter(pk__in=[row.pk for row in old if row]).delete()
    now = timezone.now()
    ConfirmedStudent.objects.bulk_create(
        (
            ConfirmedStudent(
                tenant=tenant,
                column=entry.column,
                sealed=entry.sealed,
                id_hash=entry.id_hashes[0],
                student_hash=entry.student_hashes[0],
                confirmed_by=by,
                confirmed_at=now,
                job=job,
            )
            for entry in entries
        ),
        batch_size=_BATCH,
        update_conflicts=True,
        unique_fields=["tenant", "column", "id_hash"],
        update_fields=["sealed", "student_hash", "confirmed_by", "confirmed_at", "job"],
    )
    if ConfirmedStudent.objects.filter(tenant=tenant).count() > MOST:
        raise TooMany
    added = before.count(None)
    same = sum(
        row is not None and row.student_hash in entry.student_hashes
        for row, entry in zip(before, entries, strict=True)
    )
    return Changes(added, len(entries) - added - same, same)


def renew_encryption() -> Renewed:
    """Encrypt all of them anew, and find them by the new key: see partners/renewal.py."""
    total = Renewed()
    rows = ConfirmedStudent.objects.order_by("pk").select_related("tenant")
    for row in rows.iterator(_BATCH):
        total += Renewed() if is_current(row.sealed) else _renew(row)
    return total


def _renew(row: ConfirmedStudent) -> Renewed:
    try:
        value, student = json.loads(decrypt(row.sealed))
    except UndecryptableSecret:
        return Renewed(unreadable=1)
    partner = row.tenant.partner_id
    as_read = ConfirmedStudent.objects.filter(pk=row.pk, sealed=row.sealed)
    try:
        with transaction.atomic():
            return Renewed(
                renewed=as_read.update(
                    sealed=renewed(row.sealed),
                    id_hash=_hashes(partner, value)[0],
                    student_hash=_hashes(partner, student)[0],
                )
            )
    except IntegrityError:
        # Confirmed again under the new key since.
        as_read.delete()
        return Renewed()


class _Entry(NamedTuple):
    """What is stored of an ID. Hashes are under each encryption key, the current one first."""

    column: str
    sealed: str
    id_hashes: list[str]
    student_hashes: list[str]


def _entries(tenant: Tenant, given: Iterable[Confirmed]) -> Iterator[_Entry]:
    students: dict[tuple[str, str], set[str]] = {}
    for each in given:
        students.setdefault((each.column, each.id), set()).add(each.student)
    for (column, value), named in students.items():
        if len(named) == 1:
            (student,) = named
            yield _Entry(
                column,
                encrypt(json.dumps([value, student])),
                _hashes(tenant.partner_id, value),
                _hashes(tenant.partner_id, student),
            )


_Stored = dict[tuple[str, str], ConfirmedStudent]


def _stored(tenant: Tenant, entries: Sequence[_Entry]) -> _Stored:
    """Return the tenant's rows of these IDs, by column and ID's hash."""
    hashes = [each for entry in entries for each in entry.id_hashes]
    rows = ConfirmedStudent.objects.filter(tenant=tenant).only("column", "id_hash", "student_hash")
    return {
        (row.column, row.id_hash): row
        for start in range(0, len(hashes), _BATCH)
        for row in rows.filter(id_hash__in=hashes[start : start + _BATCH])
    }


def _found(stored: _Stored, entry: _Entry, hashes: Iterable[str]) -> ConfirmedStudent | None:
    return next((row for each in hashes if (row := stored.get((entry.column, each)))), None)


def _hashes(partner: str, text: str) -> list[str]:
    return search_keys(text, f"confirmed students of {partner}")


def search(partner: Partner, text: str) -> QuerySet[ConfirmedStudent]:
    """Return what is confirmed of the ID or the studentUniqueId ``text``; all of it for ""."""
    rows = ConfirmedStudent.objects.filter(tenant__partner=partner)
    if (value := normalize(text)) is None:
        return rows
    hashes = _hashes(partner.pk, value)
    return rows.filter(id_hash__in=hashes) | rows.filter(student_hash__in=hashes)


def opened(row: ConfirmedStudent) -> Confirmed:
    """Decrypt a row. Raises UndecryptableSecret if no key fits."""
    value, student = json.loads(decrypt(row.sealed))
    return Confirmed(row.column, value, student)


def store_for(run: Run) -> None:
    """Store what the run's executor is given, in the job's ``input/``.

    Each launch does so anew, also if nothing is left to give. Raises LaunchFailed if the file
    storage fails.
    """
    job = run.job
    wanted = job.tenant.partner.identity_checks != Partner.IdentityChecks.OFF
    stored = list(lines(job.tenant)) if wanted else []
    if not stored and not run.confirmed_students:
        return
    store = open_store(paths.app_data_base_path(job))
    try:
        store.save(io.BytesIO(b"".join(stored)), f"input/{paths.CONFIRMED_NAME}")
    except OSError as error:
        raise LaunchFailed(
            f"The confirmed students could not be stored for the run: {fault(error)}"
        ) from error
    run.confirmed_students = len(stored)
    Run.objects.filter(pk=run.pk).update(confirmed_students=len(stored))


def lines(tenant: Tenant) -> Iterator[bytes]:
    """Yield the tenant's confirmed students as lines of JSON, without those that do not open."""
    lost = 0
    for row in ConfirmedStudent.objects.filter(tenant=tenant).order_by("pk").iterator(_BATCH):
        try:
            column, value, student = opened(row)
        except UndecryptableSecret:
            lost += 1
            continue
        line = {"column": column, "id": value, "studentUniqueId": student}
        yield json.dumps(line).encode() + b"\n"
    if lost:
        logger.warning("%d confirmed students of tenant %s cannot be decrypted", lost, tenant.pk)


def forget_expired() -> int:
    """Delete what is older than each partner keeps it. Returns how many were deleted."""
    days = F("tenant__partner__keep_confirmed_days")
    age = ExpressionWrapper(days * timedelta(days=1), output_field=DurationField())
    until = ExpressionWrapper(F("confirmed_at") + age, output_field=DateTimeField())
    expired = ConfirmedStudent.objects.annotate(until=until).filter(until__lt=Now())
    return expired.delete()[0]
