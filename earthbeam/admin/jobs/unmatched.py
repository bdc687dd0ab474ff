"""A job's unmatched students: what to look up, and two ways to load their rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from earthbeam.admin.jobs import files
from earthbeam.admin.jobs.actions import JobActions
from earthbeam.admin.jobs.new import new_job_url
from earthbeam.admin.jobs.unmatched_edits import (
    BadForm,
    Edits,
    Filled,
    accept_all_sure,
    carry,
    fill,
    read_edits,
)
from earthbeam.admin.jobs.unmatched_table import make_table, page_of
from earthbeam.errors import JobError
from earthbeam.jobs import open_rows, rerun_rows, row_review
from earthbeam.jobs.lineage import linked_jobs, resolve_settled
from earthbeam.jobs.open_rows import OpenRows
from earthbeam.jobs.unmatched import MAX_ROWS, NotFixable
from earthbeam.models import ConfirmedStudent, Job
from earthbeam.stored_files import UNMATCHED_ROWS
from partners import audit, scoping


@dataclass
class _Page:
    """The page's state besides the table: why it cannot be used, or what went wrong with it."""

    edits: Edits = field(default_factory=Edits)
    number: int = 1
    problem: str = ""
    filled: Filled | None = None
    accepted: int | None = None
    pasted: str = ""


class JobUnmatched(JobActions):
    """A mixin for the admin of jobs. Anyone who may see a job may see its unmatched rows."""

    def get_urls(self) -> list[URLPattern]:
        views = {
            "": ("unmatched", require_http_methods(["GET", "POST"])(self._unmatched)),
            "file/": ("unmatched_file", require_GET(self._unmatched_file)),
            "loaded/": ("disagreeing", require_GET(self._disagreeing)),
            "resolve/": ("resolve_linked", require_POST(self._resolve_linked)),
        }
        return [
            path(
                f"<uuid:job_id>/unmatched/{tail}",
                self.admin_site.admin_view(view),
                name=f"earthbeam_job_{name}",
            )
            for tail, (name, view) in views.items()
        ] + super().get_urls()

    def _unmatched(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        job = self.job_or_404(request, job_id)
        found = open_rows.unmatched_of(job)
        if found is None:
            return self._show(request, job, {})
        try:
            rows = open_rows.read(job, found)
        except NotFixable as reason:
            return self._show(request, job, {"found": found, "why_not": str(reason)})
        except OSError:
            why_not = "The job's files cannot be read right now. Try again later."
            return self._show(request, job, {"found": found, "why_not": why_not})
        if request.method == "POST":
            if not self.has_add_permission(request):
                raise PermissionDenied
            return self._post(request, job, rows)
        return self._show_table(request, job, rows, _Page())

    def _post(self, request: HttpRequest, job: Job, rows: OpenRows) -> HttpResponse:
        file, taken, reviews = rows.file, rows.taken, rows.reviews
        if request.POST.get("content") != file.sha256:
            problem = (
                "The job was run again after you opened this page. These are its unmatched rows "
                "now. Nothing was loaded. Enter the IDs again."
            )
            return self._show_table(request, job, rows, _Page(problem=problem))
        try:
            edits = read_edits(request.POST, file, taken, reviews)
        except BadForm:
            problem = "The page's form was damaged. Nothing was loaded. Start again."
            return self._show_table(request, job, rows, _Page(problem=problem))
        do, _, target = request.POST.get("do", "check").partition(":")
        page = _Page(edits, _page_number(request.POST.get("page", "")))
        if do == "page":
            page.number = _page_number(target)
        elif do == "fill":
            pasted = request.POST.get("pasted", "")
            page.filled = fill(edits, pasted, file, taken)
            if page.filled.unreadable or page.filled.unknown:
                page.pasted = pasted
        elif do == "accept":
            page.accepted = accept_all_sure(edits, reviews, taken)
        elif do == "rerun":
            if made := self._rerun(request, rows, page):
                return made
            rows = replace(rows, taken=rerun_rows.taken_rows(job, file))
        return self._show_table(request, job, rows, page)

    def _rerun(self, request: HttpRequest, rows: OpenRows, page: _Page) -> HttpResponse | None:
        """Create the job, or report on ``page`` why not."""
        run, file, edits = rows.run, rows.file, page.edits
        if edits.errors:
            page.number = page_of(min(edits.errors))
            page.problem = "Nothing was loaded: fix the marked IDs first."
            return None
        if not edits.rows:
            page.problem = (
                "Nothing was loaded: change the ID of at least one row, or choose a student, first."
            )
            return None
        try:
            made = rerun_rows.rerun_rows(
                run,
                file,
                edits.ids,
                by=cast(User, request.user),
                students=edits.students,
                cells=edits.cells,
            )
        except rerun_rows.RowsTaken as error:
            if set(error.jobs) == {*edits.ids, *edits.students, *edits.cells}:
                other = next(iter(error.jobs.values()))
                self.message_user(
                    request,
                    "These rows are already in this job, so Runway did not create another one.",
                    messages.WARNING,
                )
                return HttpResponseRedirect(_job_url(other))
            for number in error.jobs:
                edits.ids.pop(number, None)
                edits.students.pop(number, None)
                edits.cells.pop(number, None)
            page.problem = (
                f"Nothing was loaded: {len(error.jobs)} of these rows are now in another job. The "
                "table shows which. Your other entries are unchanged."
            )
        except rerun_rows.RunChanged:
            page.problem = (
                "Nothing was loaded: the job was started again. Open this page again when its run "
                "ends."
            )
        except (NotFixable, JobError) as error:
            page.problem = f"Nothing was loaded. {error}"
        except OSError:
            page.problem = (
                "Nothing was loaded: the job's files cannot be read or stored right now. Try again."
            )
        else:
            return self._made(request, run.job, made, edits.rows, len(file.rows))
        return None

    def _made(
        self, request: HttpRequest, parent: Job, made: Job, rows: int, of: int
    ) -> HttpResponse:
        self.log_change(
            request, parent, f"Created job {made.pk} from {rows} of {of} unmatched rows."
        )
        self.log_addition(request, made, f"Created from {rows} unmatched rows of job {parent.pk}.")
        what = "1 row is" if rows == 1 else f"{rows} rows are"
        self.message_user(request, f"{what} being loaded again in this new job.", messages.SUCCESS)
        return HttpResponseRedirect(_job_url(made))

    def _show_table(
        self, request: HttpRequest, job: Job, rows: OpenRows, page: _Page
    ) -> HttpResponse:
        audit.record(job, "unmatched rows viewed", run=str(job.last_run_id))
        file, taken, reviews = rows.file, rows.taken, rows.reviews
        context = {
            "found": rows.found,
            "file": file,
            "table": make_table(file, page.edits, taken, page.number, reviews),
            "reviewed": sum(bool(each.suggestions) for each in reviews.values()),
            "sure": sum(
                bool(each.suggestions) and each.suggestions[0].sure and each.reason != "disagrees"
                for number, each in reviews.items()
                if number not in taken
            ),
            "accepted": page.accepted,
            "remembered": _remembered(request, job),
            "taken": len(taken),
            "changed": page.edits.rows,
            "carried": carry(page.edits),
            "problem": page.problem,
            "filled": page.filled,
            "pasted": page.pasted,
            "may_fix": self.has_add_permission(request),
        }
        return self._show(request, job, context)

    def _show(self, request: HttpRequest, job: Job, context: Mapping[str, Any]) -> HttpResponse:
        page = {
            "run": job.last_run,
            "linked": linked_jobs(job),
            "revise_url": new_job_url(parent=job.pk),
            **context,
        }
        return self.show_subpage(request, job, "unmatched", "Rows that need attention", page)

    def _disagreeing(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """List the rows that were loaded although their student has another name."""
        job = self.job_or_404(request, job_id)
        if job.last_run is None:
            raise Http404
        try:
            rows = row_review.read_loaded(job.last_run)
        except OSError:
            rows = None
        if rows:
            audit.record(job, "disagreeing rows viewed", run=str(job.last_run_id))
        context = {
            "revise_url": new_job_url(parent=job.pk),
            "rows": list(rows.items())[:MAX_ROWS] if rows is not None else None,
            "total": len(rows or {}),
        }
        title = "Rows that disagree with their student"
        return self.show_subpage(request, job, "disagreeing", title, context)

    def _unmatched_file(self, request: HttpRequest, job_id: UUID) -> HttpResponseBase:
        """Return the last run's unmatched rows as a file. The job's history records who took it."""
        job = self.job_or_404(request, job_id)
        run = job.last_run
        if run is None or not run.output_files.filter(path=UNMATCHED_ROWS).exists():
            raise Http404
        answer = files.response(request, job, f"output/{UNMATCHED_ROWS}")
        if answer.status_code == 200:
            self.log_change(request, job, "Downloaded the unmatched rows.")
        return answer

    def _resolve_linked(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        job = self.job_or_404(request, job_id)
        if not self.has_add_permission(request):
            raise PermissionDenied
        resolved = resolve_settled(linked_jobs(job), by=cast(User, request.user))
        for each in resolved:
            self.log_change(request, each, "Resolved: later jobs matched its unmatched rows.")
        if resolved:
            self.message_user(request, "Marked as resolved.", messages.SUCCESS)
        else:
            self.message_user(request, "There is nothing left to resolve.", messages.INFO)
        return HttpResponseRedirect(_job_url(job))


def _remembered(request: HttpRequest, job: Job) -> int:
    """Return how many students were confirmed for the job, for those who may see their page."""
    if not scoping.administers(request.user, job.tenant.partner_id):
        return 0
    return ConfirmedStudent.objects.filter(job=job).count()


def _job_url(job: Job) -> str:
    return reverse("admin:earthbeam_job_change", args=[job.pk])


def _page_number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 6 else 1
