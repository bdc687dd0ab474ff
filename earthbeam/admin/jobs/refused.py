"""Rows of which the ODS refused records: what it said, and a way to correct and load them again."""

from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_http_methods

from earthbeam.admin.jobs.actions import JobActions
from earthbeam.admin.jobs.new import new_job_url
from earthbeam.admin.jobs.unmatched_edits import BadForm, Cells, read_cells
from earthbeam.admin.jobs.unmatched_table import EditableCell, editable_cells
from earthbeam.errors import JobError
from earthbeam.jobs import refused_rows, rerun_rows
from earthbeam.jobs.refused_rows import Entry, RefusedRows
from earthbeam.jobs.unmatched import NotFixable
from earthbeam.models import Job
from earthbeam.wording.ods_messages import in_words
from partners import audit

PAGE_ENTRIES = 50
"""Entries on a page, since each row has an input for each of its cells."""


@dataclass(frozen=True)
class ShownRow:
    number: int
    place: int
    taken: Job | None
    editable: list[EditableCell]
    changed: bool


@dataclass(frozen=True)
class ShownEntry:
    messages: list[tuple[str, str]]
    """What each message means, if that is known, and the message itself."""
    rows: list[ShownRow]


class JobRefused(JobActions):
    """A mixin for the admin of jobs. Anyone who may see a job may see these rows."""

    def get_urls(self) -> list[URLPattern]:
        views = {
            "": ("refused", require_http_methods(["GET", "POST"])(self._refused)),
            "file/": ("refused_file", require_GET(self._refused_file)),
        }
        return [
            path(
                f"<uuid:job_id>/refused/{tail}",
                self.admin_site.admin_view(view),
                name=f"earthbeam_job_{name}",
            )
            for tail, (name, view) in views.items()
        ] + super().get_urls()

    def _read(self, request: HttpRequest, job_id: UUID) -> tuple[Job, RefusedRows | str]:
        """Return the job, and its rows or why they cannot be shown."""
        job = self.job_or_404(request, job_id)
        run = job.last_run
        if run is None or run.outcome is None:
            return job, "The job has no run that has ended."
        if not run.has_errors:
            return job, "The ODS refused no records of the last run."
        run.job = job
        try:
            return job, refused_rows.read(run)
        except NotFixable as reason:
            return job, str(reason)
        except OSError:
            return job, "The job's files cannot be read right now. Try again later."

    def _refused(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        job, found = self._read(request, job_id)
        if isinstance(found, str):
            return self._show_refused(request, job, {"why_not": found})
        if request.method == "POST":
            if not self.has_add_permission(request):
                raise PermissionDenied
            return self._correct(request, job, found)
        return self._show_entries(request, job, found, {})

    def _correct(self, request: HttpRequest, job: Job, found: RefusedRows) -> HttpResponse:
        taken = rerun_rows.taken_rows(job, found.file)
        numbers = range(1, len(found.places) + 1)
        problem, cells = "", {}
        try:
            cells = read_cells(request.POST, found.file, numbers, taken)
        except BadForm:
            problem = "The page's form was damaged. Nothing was loaded. Start again."
        if not problem and request.POST.get("content") != found.file.sha256:
            problem = "The job was run again after you opened this page. Nothing was loaded."
            cells = {}
        if not problem and not cells:
            problem = "Nothing was loaded: correct at least one cell first."
        if not problem:
            made = self._rerun_refused(request, job, found, cells)
            if isinstance(made, HttpResponse):
                return made
            problem = made
        return self._show_entries(request, job, found, cells, problem)

    def _rerun_refused(
        self, request: HttpRequest, job: Job, found: RefusedRows, cells: Cells
    ) -> HttpResponse | str:
        """Create the job, or return why not."""
        run = job.last_run
        assert run is not None
        together = {
            number: cells.get(number, {})
            for entry in found.entries
            if cells.keys() & set(entry.numbers)
            for number in entry.numbers
        }
        try:
            made = rerun_rows.rerun_rows(
                run, found.file, {}, by=cast(User, request.user), cells=together, refused=True
            )
        except rerun_rows.RowsTaken:
            return "Nothing was loaded: some of these rows are in a later job now."
        except rerun_rows.RunChanged:
            return "Nothing was loaded: the job was started again."
        except (NotFixable, JobError) as error:
            return f"Nothing was loaded. {error}"
        except OSError:
            return "Nothing was loaded: the job's files cannot be read or stored right now."
        rows = len(together)
        count = "1 refused row" if rows == 1 else f"{rows} refused rows"
        self.log_change(request, job, f"Created job {made.pk} from {count}.")
        self.log_addition(request, made, f"Created from {count} of job {job.pk}.")
        what = "1 row is" if rows == 1 else f"{rows} rows are"
        self.message_user(request, f"{what} being loaded again in this new job.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:earthbeam_job_change", args=[made.pk]))

    def _show_entries(
        self, request: HttpRequest, job: Job, found: RefusedRows, cells: Cells, problem: str = ""
    ) -> HttpResponse:
        audit.record(job, "refused rows viewed", run=str(job.last_run_id))
        taken = rerun_rows.taken_rows(job, found.file)

        def shown(entry: Entry) -> ShownEntry:
            rows = [
                ShownRow(
                    number,
                    found.places[number - 1],
                    taken.get(number),
                    editable_cells(found.file, number, cells.get(number, {})),
                    number in cells,
                )
                for number in entry.numbers
            ]
            return ShownEntry([(in_words(each), each) for each in entry.messages], rows)

        context = {
            "found": found,
            "entries": [shown(each) for each in found.entries[:PAGE_ENTRIES]],
            "more": max(0, len(found.entries) - PAGE_ENTRIES),
            "problem": problem,
            "may_fix": self.has_add_permission(request),
        }
        return self._show_refused(request, job, context)

    def _show_refused(
        self, request: HttpRequest, job: Job, context: dict[str, Any]
    ) -> HttpResponse:
        context = {"revise_url": new_job_url(parent=job.pk), **context}
        return self.show_subpage(request, job, "refused", "Rows that the ODS refused", context)

    def _refused_file(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Return the refused rows in the format of the uploaded file."""
        job, found = self._read(request, job_id)
        if isinstance(found, str):
            raise Http404
        file = found.file
        rows = {
            number: file.rows[number - 1][file.id_place] for number in range(1, len(file.rows) + 1)
        }
        self.log_change(request, job, "Downloaded the refused rows.")
        kind = "csv" if file.delimiter == "," else "tab-separated-values"
        name = f"refused_rows.{'csv' if file.delimiter == ',' else 'tsv'}"
        return HttpResponse(
            file.with_ids(rows),
            content_type=f"text/{kind}; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
