"""The start page: what needs attention, what is in progress, what was done.

All of it comes from the database, for the tenants that the person may see.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.urls import reverse

from earthbeam.admin.dashboard.connection_trouble import (
    EduTrouble,
    OdsTrouble,
    edu_trouble,
    ods_trouble,
)
from earthbeam.admin.dashboard.first_steps import Step, first_steps
from earthbeam.admin.dashboard.matches_chart import Chart, chart
from earthbeam.admin.jobs.checks import MAIN_KEY
from earthbeam.admin.jobs.list import RELATED, row_counts
from earthbeam.admin.lists.filters import IN_PROGRESS, NEEDS_ATTENTION_GROUP
from earthbeam.jobs.status import NEEDS_ATTENTION, JobStatus, has_status, label_of, status_of
from earthbeam.models import Job, JobFile, Run, RunUpdate
from partners import readiness, scoping

SHOWN, RECENT = 5, 8
COUNTED = 25
"""How far jobs that need attention are counted, since counting all would read all jobs."""


@dataclass(frozen=True)
class Line:
    """A job on the dashboard."""

    job: Job
    status: JobStatus
    label: str
    """The status in words."""
    url: str
    assessment: str
    file: str
    """The main file's name, or empty if there is none yet."""
    detail: str


@dataclass(frozen=True)
class Dashboard:
    needs_attention: Sequence[Line]
    needs_attention_count: int | str
    in_progress: Sequence[Line]
    running: int
    queued: int
    edu_trouble: Sequence[EduTrouble]
    ods_trouble: Sequence[OdsTrouble]
    more_ods_trouble: bool
    gaps: Sequence[readiness.Gap]
    more_gaps: int
    recent: Sequence[Line]
    chart: Chart
    links: dict[str, str]
    administered: Collection[str]
    """The keys of the shown partners that the person administers."""
    administers: bool
    """Whether they administer any partner."""
    first_steps: Sequence[Step]
    """The steps to a first job, while there is none."""

    @property
    def all_is_well(self) -> bool:
        return not (self.needs_attention or self.edu_trouble or self.ods_trouble or self.gaps)


def dashboard(user: User) -> Dashboard:
    """Return the start page of ``user``."""
    jobs = scoping.visible(
        Job.objects.order_by("-created_at"), user, partner="tenant__partner", tenant="tenant"
    )
    needs_attention = _newest(jobs.filter(has_status(*NEEDS_ATTENTION)))
    at_work = _at_work(jobs)
    troubled, gaps = ods_trouble(user), readiness.gaps(user)
    partners = {each.tenant.partner_id for each in troubled} | {gap.partner.pk for gap in gaps}
    return Dashboard(
        needs_attention=_lines(jobs.filter(pk__in=needs_attention[:SHOWN])),
        needs_attention_count=_counted(needs_attention),
        in_progress=_lines(_with_steps(jobs)[:SHOWN]) if at_work else [],
        running=at_work.get(Run.Status.RUNNING, 0),
        queued=at_work.get(Run.Status.NEW, 0),
        edu_trouble=edu_trouble(user),
        ods_trouble=troubled[:SHOWN],
        more_ods_trouble=len(troubled) > SHOWN,
        gaps=gaps[:SHOWN],
        more_gaps=len(gaps[SHOWN:]),
        recent=_lines(jobs[:RECENT]),
        chart=chart(jobs),
        links={
            "new_job": reverse("admin:earthbeam_job_add"),
            "jobs": _list(),
            "needs_attention": _list(status=NEEDS_ATTENTION_GROUP),
            "in_progress": _list(status=IN_PROGRESS),
            "failed_odss": reverse(
                "admin:partners_odsconnection_changelist",
                query={"check_ok__exact": 0, "retired_at__isempty": 1},
            ),
        },
        administered={each for each in partners if scoping.administers(user, each)},
        administers=scoping.is_member(user, admins_only=True),
        first_steps=first_steps(user),
    )


def _list(**query: str) -> str:
    url = reverse("admin:earthbeam_job_changelist")
    return f"{url}?{urlencode(query)}" if query else url


def _newest(jobs: QuerySet[Job]) -> list[Any]:
    """Return the keys of the newest of ``jobs``, up to one more than are counted."""
    return list(jobs.values_list("pk", flat=True)[: COUNTED + 1])


def _counted(newest: Sequence[Any]) -> str | int:
    return f"more than {COUNTED}" if len(newest) > COUNTED else len(newest)


def _at_work(jobs: QuerySet[Job]) -> dict[str, int]:
    """Return how many jobs are queued and how many are running."""
    unfinished = jobs.filter(has_status(JobStatus.QUEUED, JobStatus.RUNNING)).order_by()
    return dict(unfinished.values_list("last_run__status").annotate(Count("pk")))


def _with_steps(jobs: QuerySet[Job]) -> QuerySet[Any]:
    """Return the jobs in progress, running ones first, each with its current step."""
    updates = RunUpdate.objects.filter(run=OuterRef("last_run")).order_by("-id")
    unfinished = jobs.filter(has_status(JobStatus.QUEUED, JobStatus.RUNNING))
    return unfinished.annotate(step=Subquery(updates.values("action")[:1])).order_by(
        "-last_run__status", "last_run__created_at"
    )


def _lines(jobs: QuerySet[Any]) -> list[Line]:
    main = JobFile.objects.filter(job=OuterRef("pk"), template_key=MAIN_KEY)
    named = jobs.annotate(file=Subquery(main.values("name")[:1]))
    found: Iterable[Any] = named.select_related(*RELATED)
    return [
        Line(
            job=job,
            status=status_of(job),
            label=label_of(job),
            url=reverse("admin:earthbeam_job_change", args=[job.pk]),
            assessment=str(job.bundle_template.get("display_name", job.bundle_id)),
            file=job.file or "",
            detail=_detail(job),
        )
        for job in found
    ]


def _detail(job: Any) -> str:
    """Return in a few words where the job is, or where its rows went."""
    if step := getattr(job, "step", None):
        return str(RunUpdate.Action(step).label) if step in RunUpdate.Action.values else ""
    return ", ".join(row_counts(job))
