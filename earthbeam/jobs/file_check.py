"""Whether the database and the file storage belong together, as after both were restored."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q

from earthbeam import paths
from earthbeam.files import open_store
from earthbeam.jobs import retention
from earthbeam.models import Job, JobFile, OutputSet
from partners.models import Tenant


@dataclass(frozen=True)
class Missing:
    """A file that the database has and the storage lacks, or has in another size.

    ``what`` is no name that a person gave, which may be a student's.
    """

    job_id: UUID
    what: str
    problem: str


def missing() -> Iterator[Missing]:
    """Yield what is missing: input files, and output sets that are offered. Raises OSError."""
    jobs = Job.objects.select_related("tenant").order_by("pk")
    for job in jobs.iterator(500):
        wanted = sorted(_wanted(job))
        if not wanted:
            continue
        stored = open_store(paths.app_data_base_path(job)).list()
        for what, key, size in wanted:
            if key not in stored:
                yield Missing(job.pk, what, "is missing")
            elif size not in (None, stored[key]):
                yield Missing(job.pk, what, f"has {stored[key]:,} bytes instead of {size:,}")


def left_over() -> Iterator[tuple[str, int]]:
    """Yield folders without a job, and how many files they have. Raises OSError.

    A file that is being uploaded has no job yet either.
    """
    known = set(map(str, Job.objects.values_list("pk", flat=True)))
    for tenant in Tenant.objects.select_related("partner"):
        folder = paths.tenant_folder(tenant)
        counts: defaultdict[str, int] = defaultdict(int)
        for key in open_store(f"{settings.FILES_BASE}/{folder}").list():
            place = key.split("/")[:2]  # year and job
            if place[-1] not in known:
                counts["/".join([folder, *place])] += 1
        yield from sorted(counts.items())


def _wanted(job: Job) -> Iterator[tuple[str, str, int | None]]:
    """Yield what each file is, its key, and its size if that is known."""
    if job.input_destroyed_at is None:
        for each in JobFile.objects.filter(job=job, size__isnull=False):
            yield f"input {each.template_key}", f"input/{each.stored_name}", each.size
    newest = Q(run=F("run__job__last_run")) & retention.still_stored()
    sets = OutputSet.objects.filter(newest, run__job=job, published_at__isnull=False)
    for output_set in sets.select_related("run__job__tenant"):
        for name in output_set.files:
            key = f"{paths.set_folder(output_set)}/{name}"
            yield key, key, None
