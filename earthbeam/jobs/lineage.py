"""Jobs that grew out of one another, and what is left of the first job's rows."""

from collections import defaultdict
from dataclasses import dataclass, replace

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from earthbeam.jobs.status import JobStatus, label_of, status_of
from earthbeam.models import Job, Run

_LONGEST = 200
"""Linked jobs that are shown; nobody fixes a file that often."""


@dataclass(frozen=True)
class LinkedJob:
    """One of the linked jobs, with its rows; None where its run has not reported them.

    ``left`` counts those of its rows that it, and all jobs that grew out of it, matched to nobody;
    ``open`` those that no later job has taken over, by a revised file or row by row.
    ``number`` is its place among them, from 1, and ``parent_number`` its parent's.
    """

    job: Job
    status: JobStatus
    label: str
    number: int
    parent_number: int | None
    here: bool
    rows: int | None
    unmatched: int | None
    left: int | None
    open: int | None

    @property
    def matched(self) -> int | None:
        if self.rows is None or self.unmatched is None:
            return None
        return self.rows - self.unmatched

    @property
    def can_be_resolved(self) -> bool:
        """Whether unmatched rows were its only problem, and later jobs have matched them all."""
        return (
            self.status == JobStatus.COMPLETE_UNMATCHED and bool(self.unmatched) and self.left == 0
        )


@dataclass(frozen=True)
class LinkedJobs:
    """The first job and all that grew out of it, each after its parent, oldest first."""

    jobs: list[LinkedJob]

    @property
    def root(self) -> LinkedJob:
        return self.jobs[0]

    @property
    def here(self) -> LinkedJob:
        """The job that was asked for."""
        return next((each for each in self.jobs if each.here), self.root)

    @property
    def is_one_job(self) -> bool:
        """Whether no other job is linked."""
        return len(self.jobs) == 1

    @property
    def in_progress(self) -> int:
        """Jobs that have not ended."""
        return sum(each.status in (JobStatus.QUEUED, JobStatus.RUNNING) for each in self.jobs)

    @property
    def to_resolve(self) -> list[LinkedJob]:
        """Jobs about which nothing is left to do."""
        return [each for each in self.jobs if each.can_be_resolved]


def linked_jobs(job: Job) -> LinkedJobs:
    """The jobs linked to ``job``, and itself: those of its tenant."""
    jobs = _family(job)
    children: defaultdict[object, list[Job]] = defaultdict(list)
    for each in jobs[1:]:
        children[each.parent_id].append(each)
    found: list[LinkedJob] = []

    def tell(each: Job, parent_number: int | None) -> int | None:
        place = len(found)
        found.append(_linked_job(each, place + 1, parent_number, here=each.pk == job.pk))
        covered, later = 0, 0
        for child in children[each.pk]:
            at = len(found)
            left = tell(child, place + 1)
            # What a job took over is its own to match; one that failed has taken nothing over.
            if found[at].rows is not None and not child.corrects_refused:
                covered += found[at].rows or 0
                later += left or 0
        unmatched = found[place].unmatched
        still_open = None if unmatched is None else max(0, unmatched - covered)
        left = None if still_open is None else still_open + later
        found[place] = replace(found[place], left=left, open=still_open)
        return left

    tell(jobs[0], None)
    return LinkedJobs(found)


def resolve_settled(linked: LinkedJobs, by: User) -> list[Job]:
    """Mark those of the jobs as resolved about which nothing is left to do; return them.

    Leaves jobs alone that have been run again since, or that somebody else has resolved.
    """
    return [
        each.job
        for each in linked.to_resolve
        if Job.objects.filter(
            pk=each.job.pk, last_run=each.job.last_run_id, resolved_at__isnull=True
        ).update(resolved_at=timezone.now(), resolved_by=by)
    ]


# LATERAL, since PostgreSQL expects many jobs to have a parent and would read all of them for a
# join.
_FAMILY = """
WITH RECURSIVE above AS (
    SELECT id, parent_id FROM earthbeam_job WHERE id = %(job)s
    UNION
    SELECT job.id, job.parent_id FROM earthbeam_job job JOIN above ON job.id = above.parent_id
    WHERE job.tenant_id = %(tenant)s
), family AS (
    SELECT id FROM above
    UNION
    SELECT job.id FROM family, LATERAL (
        SELECT id FROM earthbeam_job
        WHERE parent_id = family.id AND tenant_id = %(tenant)s LIMIT %(longest)s
    ) job
)
SELECT id FROM family LIMIT %(longest)s
"""


def _family(job: Job) -> list[Job]:
    """Return the earliest ancestor of ``job``, then all its descendants, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_FAMILY, {"job": job.pk, "tenant": job.tenant_id, "longest": _LONGEST})
        ids = [row[0] for row in cursor.fetchall()]
    family: list[Job] = list(
        Job.objects.filter(pk__in=ids)
        .select_related("last_run__matches", "last_run__unmatched_ids", "created_by")
        .order_by("created_at")
    )
    # If jobs name each other as parents, none is the first.
    root = next((each for each in family if each.parent_id not in ids), None)
    root = root or next(each for each in family if each.pk == job.pk)
    return [root, *(each for each in family if each is not root)]


def _linked_job(job: Job, number: int, parent_number: int | None, *, here: bool) -> LinkedJob:
    rows, unmatched = _figures(job.last_run)
    return LinkedJob(
        job=job,
        status=status_of(job),
        label=label_of(job),
        number=number,
        parent_number=parent_number,
        here=here,
        rows=rows,
        unmatched=unmatched,
        left=None,  # filled in when its children are known
        open=None,
    )


def _figures(run: Run | None) -> tuple[int | None, int | None]:
    """Return the input rows and unmatched rows of a successful run. None if not reported."""
    if run is None or run.status != Run.Status.SUCCESS:
        return None, None
    matches, ids = getattr(run, "matches", None), getattr(run, "unmatched_ids", None)
    if matches is not None:
        return matches.input_rows, matches.unmatched
    # Executors that do not count rows report only unmatched ones.
    return None, ids.count if ids is not None else 0
