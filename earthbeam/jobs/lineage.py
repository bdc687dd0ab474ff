"""Jobs that grew out of one another, as one story: what is left of the first job's rows."""

from collections import defaultdict
from dataclasses import dataclass, replace

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from earthbeam.jobs.status import JobStatus, label_of, status_of
from earthbeam.models import Job, Run

_LONGEST = 200
"""Jobs of a story that are shown; nobody fixes a file that often."""


@dataclass(frozen=True)
class Chapter:
    """One job of a story, with its rows; None where its run has not told (yet).

    ``left`` counts those of its rows that it, and all jobs that grew out of it, matched to nobody;
    ``open`` those that no later job has taken over, by a revised file or row by row.
    ``number`` is its place in the story, from 1, and ``parent_number`` its parent's.
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
        """Whether its unmatched rows were its only problem, and later jobs have matched them."""
        return (
            self.status == JobStatus.COMPLETE_UNMATCHED and bool(self.unmatched) and self.left == 0
        )


@dataclass(frozen=True)
class Story:
    """The first job and all that grew out of it, each after its parent, oldest first."""

    chapters: list[Chapter]

    @property
    def root(self) -> Chapter:
        return self.chapters[0]

    @property
    def here(self) -> Chapter:
        """The job that was asked for."""
        return next((chapter for chapter in self.chapters if chapter.here), self.root)

    @property
    def is_short(self) -> bool:
        """Whether there is nothing to tell: one job alone."""
        return len(self.chapters) == 1

    @property
    def in_progress(self) -> int:
        """Jobs that have not ended."""
        return sum(
            chapter.status in (JobStatus.QUEUED, JobStatus.RUNNING) for chapter in self.chapters
        )

    @property
    def to_resolve(self) -> list[Chapter]:
        """Jobs about which nothing is left to do."""
        return [chapter for chapter in self.chapters if chapter.can_be_resolved]


def story(job: Job) -> Story:
    """The story that ``job`` belongs to, of jobs of its tenant."""
    jobs = _family(job)
    children: defaultdict[object, list[Job]] = defaultdict(list)
    for each in jobs[1:]:
        children[each.parent_id].append(each)
    chapters: list[Chapter] = []

    def tell(each: Job, parent_number: int | None) -> int | None:
        place = len(chapters)
        chapters.append(_chapter(each, place + 1, parent_number, here=each.pk == job.pk))
        covered, later = 0, 0
        for child in children[each.pk]:
            at = len(chapters)
            left = tell(child, place + 1)
            # What a job took over is its own to match; one that failed has taken nothing over.
            if chapters[at].rows is not None:
                covered += chapters[at].rows or 0
                later += left or 0
        unmatched = chapters[place].unmatched
        still_open = None if unmatched is None else max(0, unmatched - covered)
        left = None if still_open is None else still_open + later
        chapters[place] = replace(chapters[place], left=left, open=still_open)
        return left

    tell(jobs[0], None)
    return Story(chapters)


def resolve_settled(told: Story, by: User) -> list[Job]:
    """Call those jobs of the story resolved about which nothing is left to do; returns them.

    Jobs that were run again since, or resolved by somebody else, stay as they are.
    """
    return [
        chapter.job
        for chapter in told.to_resolve
        if Job.objects.filter(
            pk=chapter.job.pk, last_run=chapter.job.last_run_id, resolved_at__isnull=True
        ).update(resolved_at=timezone.now(), resolved_by=by)
    ]


# LATERAL: a join would read all jobs there are, since PostgreSQL expects many to have a parent.
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
    """The first of the jobs that ``job`` grew out of, then all others of that one, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_FAMILY, {"job": job.pk, "tenant": job.tenant_id, "longest": _LONGEST})
        ids = [row[0] for row in cursor.fetchall()]
    family: list[Job] = list(
        Job.objects.filter(pk__in=ids)
        .select_related("last_run__matches", "last_run__unmatched_ids", "created_by")
        .order_by("created_at")
    )
    # Where jobs name each other as parents, none is the first.
    root = next((each for each in family if each.parent_id not in ids), None)
    root = root or next(each for each in family if each.pk == job.pk)
    return [root, *(each for each in family if each is not root)]


def _chapter(job: Job, number: int, parent_number: int | None, *, here: bool) -> Chapter:
    rows, unmatched = _figures(job.last_run)
    return Chapter(
        job=job,
        status=status_of(job),
        label=label_of(job),
        number=number,
        parent_number=parent_number,
        here=here,
        rows=rows,
        unmatched=unmatched,
        left=None,  # known when its children are
        open=None,
    )


def _figures(run: Run | None) -> tuple[int | None, int | None]:
    """Rows of the input and rows left unmatched, of a run that succeeded; None: not told."""
    if run is None or run.status != Run.Status.SUCCESS:
        return None, None
    matches, ids = getattr(run, "matches", None), getattr(run, "unmatched_ids", None)
    if matches is not None:
        return matches.input_rows, matches.unmatched
    # Executors that do not count rows tell of unmatched ones only.
    return None, ids.count if ids is not None else 0
