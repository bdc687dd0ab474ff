"""Everything that is kept of a tenant: hand it out, or destroy it.

What is not in here: the activity log, which has no student data and stays; settings and people of
the partner; and what the ODS and EDU have taken.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import serializers
from django.core.signing import BadSignature, TimestampSigner
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from earthbeam import paths
from earthbeam.files import FileStore, open_store
from earthbeam.jobs import confirmed_students, deletion
from earthbeam.models import (
    ConfirmedStudent,
    Destruction,
    Job,
    JobFile,
    JobNote,
    OutputFile,
    OutputSet,
    ResourceSummary,
    Run,
    RunError,
    RunLog,
    RunMatches,
    RunUpdate,
    UnmatchedIds,
)
from partners import audit
from partners.models import OdsConnection, Tenant

CONFIRM_SECONDS = 60 * 60
"""How long the code of a destruction's first step is good for."""
_OF_RUNS = (
    *(RunUpdate, RunError, RunMatches, UnmatchedIds, ResourceSummary),
    *(OutputSet, OutputFile, RunLog),
)
_SIGNER = TimestampSigner(salt="earthbeam.jobs.whole_tenant")


class NotEmpty(Exception):
    """The folder for the export has something in it already."""


class NotConfirmed(Exception):
    """The code is wrong, too old, or for other jobs than the tenant has now."""


@dataclass(frozen=True)
class Extent:
    """How much of a tenant there is, to ask before it is destroyed."""

    jobs: int
    files: int
    bytes: int
    confirmed_students: int
    ods_connections: int


def extent(tenant: Tenant) -> Extent:
    """Return how much there is. Raises OSError if the file storage fails."""
    sizes = [size for _, store in _stores(tenant) for size in store.list().values()]
    return Extent(
        jobs=Job.objects.filter(tenant=tenant).count(),
        files=len(sizes),
        bytes=sum(sizes),
        confirmed_students=ConfirmedStudent.objects.filter(tenant=tenant).count(),
        ods_connections=OdsConnection.objects.filter(tenant=tenant).count(),
    )


def export(tenant: Tenant, folder: Path) -> Extent:
    """Write everything of the tenant to the new or empty ``folder``, which only its owner can read.

    ``manifest.json`` comes last, with each file's size and SHA-256: without it, the export is not
    complete. Raises NotEmpty, and OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise NotEmpty
    folder.chmod(0o700)
    found = extent(tenant)
    for name, rows in _records(tenant):
        (folder / name).write_text(rows)
    with (folder / "confirmedstudent.jsonl").open("wb") as file:
        file.writelines(confirmed_students.lines(tenant))
    for name, store in _stores(tenant):
        for key in store.list():
            target = folder / name / key
            target.parent.mkdir(parents=True, exist_ok=True)
            store.download(key, target)
    manifest = {
        "partner": tenant.partner_id,
        "tenant": tenant.code,
        "exported_at": timezone.now().isoformat(),
        "files": [
            {
                "path": f"{path.relative_to(folder)}",
                "size": path.stat().st_size,
                "sha256": _sum(path),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    audit.record(tenant, "tenant exported", jobs=found.jobs, files=found.files)
    return found


def code(tenant: Tenant) -> str:
    """Return the code that confirms the destruction of what the tenant has now."""
    return _SIGNER.sign(_state(tenant)).removeprefix(f"{_state(tenant)}:")


def destroy(tenant: Tenant, confirmation: str, *, by: str) -> Destruction:
    """Destroy the tenant with everything of it, and record that.

    Either all of it goes, or the tenant stays, perhaps with fewer files: then call it again. Raises
    NotConfirmed, ``deletion.CannotDelete`` if a run is in progress or a job is on legal hold, and
    OSError if the file storage fails.
    """
    with transaction.atomic():
        # No job can be created meanwhile, and no run started.
        tenant = Tenant.objects.select_for_update().get(pk=tenant.pk)
        _check(tenant, confirmation)
        jobs = list(
            Job.objects.select_for_update(of=("self",)).filter(tenant=tenant).order_by("pk")
        )
        if kept := [*deletion.in_progress(jobs), *deletion.on_hold(jobs)]:
            raise deletion.CannotDelete(kept)
        files = sum(store.clear() for _, store in _stores(tenant))
        deletion.delete_jobs(job.pk for job in jobs)
        record = Destruction.objects.create(
            partner=tenant.partner,
            tenant=tenant.code,
            what=Destruction.What.EVERYTHING,
            files=files,
            rule=f"destroy_tenant by {by}"[:200],
        )
        audit.record(tenant, "tenant destroyed", jobs=len(jobs), files=files, by=by)
        tenant.delete()
    return record


def _stores(tenant: Tenant) -> Iterator[tuple[str, FileStore]]:
    """Yield the tenant's folders, and under which name they are exported."""
    used = Job.objects.filter(tenant=tenant).values_list("files_base", flat=True).distinct()
    bases = sorted({settings.FILES_BASE, *used})
    for number, base in enumerate(bases):
        suffix = f"-{number + 1}" if number else ""
        yield f"files{suffix}", open_store(f"{base}/{paths.tenant_folder(tenant)}")
        yield f"rosters{suffix}", open_store(f"{base}/{paths.rosters_folder(tenant)}")


def _records(tenant: Tenant) -> Iterator[tuple[str, str]]:
    """Yield what the database has of the tenant, as a file's name and its JSON lines."""
    jobs = Job.objects.filter(tenant=tenant)
    runs = Run.objects.filter(job__in=jobs)
    yield _as_lines(Tenant.objects.filter(pk=tenant.pk))
    yield _as_lines(OdsConnection.objects.filter(tenant=tenant), without="client_secret")
    yield _as_lines(Destruction.objects.filter(partner=tenant.partner_id, tenant=tenant.code))
    yield _as_lines(jobs)
    for of_job in (JobFile, JobNote):
        yield _as_lines(of_job._default_manager.filter(job__in=jobs))
    yield _as_lines(runs)
    for of_run in _OF_RUNS:
        yield _as_lines(of_run._default_manager.filter(run__in=runs))


def _as_lines(rows: QuerySet[Any], without: str = "") -> tuple[str, str]:
    fields = [field.name for field in rows.model._meta.concrete_fields if field.name != without]
    lines = serializers.serialize("jsonl", rows.order_by("pk"), fields=fields)
    return f"{rows.model._meta.model_name}.jsonl", lines


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(tenant: Tenant) -> str:
    jobs = Job.objects.filter(tenant=tenant).order_by("pk").values_list("pk", flat=True)
    ids = " ".join(map(str, jobs))
    return hashlib.sha256(f"{tenant.partner_id} {tenant.code} {ids}".encode()).hexdigest()


def _check(tenant: Tenant, confirmation: str) -> None:
    try:
        _SIGNER.unsign(f"{_state(tenant)}:{confirmation}", max_age=CONFIRM_SECONDS)
    except BadSignature:
        raise NotConfirmed from None
