"""Actions on a job's page: run, preview, or cancel it, send records again, resolve, add a note."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse

from earthbeam.errors import JobError
from earthbeam.jobs import later_runs, lifecycle, resolution, withdrawal
from earthbeam.jobs.resolution import RESOLVABLE
from earthbeam.jobs.status import JobStatus, status_of
from earthbeam.models import Job, JobNote, Run
from earthbeam.runs import cross_year
from earthbeam.wording import run_errors
from edu.errors import sentence
from partners import audit, scoping
from partners.scoped_admin import ScopedAdmin

_BUSY = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True)
class Action:
    """A button: where it posts to, or why it cannot be used now. A link leads to a page instead."""

    name: str
    label: str
    url: str
    why_not: str = ""
    style: str = "is-plain"
    is_link: bool = False


class NoteForm(forms.ModelForm):
    class Meta:
        model = JobNote
        fields = ["text"]
        labels = {"text": "Add a note"}
        widgets = {"text": forms.Textarea(attrs={"rows": 3})}


def actions(job: Job, *, may_withdraw: bool, may_hold: bool) -> list[Action]:
    """Return the buttons for ``job`` in its current state. Load it with its last run."""
    status = status_of(job)
    if _is_busy(job):
        return [Action("cancel", "Cancel", _url("cancel", job), style="is-danger")]
    why_not = ""
    if job.last_run is None and not _has_files(job):
        why_not = "its files have not been uploaded yet"
    if job.input_destroyed_at:
        why_not = "its files were destroyed"
    label = "Run again" if job.last_run else "Run"
    if status == JobStatus.PREVIEWED:
        label = "Load it now"
    style = "is-plain" if why_not else ""
    buttons = [Action("run", label, _url("run", job), why_not, style)]
    if not why_not and status in (JobStatus.PREVIEWED, JobStatus.ERROR, JobStatus.WAITING):
        again = "Preview again" if status == JobStatus.PREVIEWED else "Preview"
        buttons.append(Action("preview", again, _url("preview", job)))
    if status == JobStatus.RESOLVED:
        buttons.append(Action("unresolve", "Reopen", _url("unresolve", job)))
    elif status in RESOLVABLE:
        buttons.append(Action("resolve", "Mark as resolved", _url("resolve", job)))
    if may_withdraw and not withdrawal.why_not(job):
        buttons.append(Action("withdraw", "Withdraw…", _url("withdraw", job), is_link=True))
    if may_hold:
        name, label = ("release", "End legal hold") if job.legal_hold else ("hold", "Legal hold")
        buttons.append(Action(name, label, _url(name, job)))
    return buttons


def _has_files(job: Job) -> bool:
    sizes = [file.size for file in job.files.all()]
    return bool(sizes) and None not in sizes


def _was(outcome: resolution.Outcome, statuses: Collection[JobStatus]) -> bool:
    """Whether the one job of ``outcome`` had one of ``statuses``, and so was changed."""
    return any(status in statuses for status in outcome.values())


def _is_busy(job: Job) -> bool:
    return job.last_run is not None and job.last_run.status in Run.UNFINISHED


def _url(name: str, job: Job) -> str:
    return reverse(f"admin:earthbeam_job_{name}", args=[job.pk])


class JobActions(ScopedAdmin):
    """The actions of the job's admin. Each one is recorded in the job's history."""

    def get_urls(self) -> list[URLPattern]:
        steps: list[tuple[str, Callable[[HttpRequest, Job], HttpResponse | None]]] = [
            ("run", self._run_again),
            ("preview", self._preview),
            ("resend", self._resend),
            ("with_edu", self._run_with_edu),
            ("repair", self._run_repaired),
            ("cancel", self._cancel),
            ("resolve", self._resolve),
            ("unresolve", self._unresolve),
            ("note", self._add_note),
            ("hold", self._hold),
            ("release", self._release),
        ]
        own = [
            path(
                f"<uuid:job_id>/{name}/",
                self.admin_site.admin_view(self._posted(step)),
                name=f"earthbeam_job_{name}",
            )
            for name, step in steps
        ]
        return [*own, *super().get_urls()]

    def job_or_404(self, request: HttpRequest, job_id: UUID) -> Job:
        """Return the job with what its status needs, if the person may see it."""
        seen = self.get_queryset(request).select_related(
            "last_run__started_by",
            "last_run__matches",
            "last_run__unmatched_ids",
            "tenant__partner",
            "school_year",
            "created_by",
            "resolved_by",
        )
        job = cast(Job, get_object_or_404(seen, pk=job_id))
        if job.last_run is not None:
            job.last_run.job = job  # so that it is not loaded again
        return job

    def show_subpage(
        self,
        request: HttpRequest,
        job: Job,
        name: str,
        title: str,
        context: Mapping[str, Any],
        status: int = 200,
    ) -> HttpResponse:
        """Return one of the job's other pages, from the template of that ``name``."""
        assessment = job.bundle_template.get("display_name", job.bundle_id)
        page = {
            **self.admin_site.each_context(request),
            "title": title,
            "assessment": assessment,
            "subtitle": f"{assessment}, {job.tenant}, {job.school_year}",
            "opts": self.opts,
            "job": job,
            **context,
        }
        return render(request, f"admin/earthbeam/job/{name}.html", page, status=status)

    def _posted(
        self, step: Callable[[HttpRequest, Job], HttpResponse | None]
    ) -> Callable[..., HttpResponse]:
        """Return a view that runs ``step`` on a POST, and returns to the job's page."""

        def view(request: HttpRequest, job_id: UUID) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            # Anyone who sees a job and may submit jobs may use these actions.
            if not self.has_add_permission(request):
                raise PermissionDenied
            job = self.job_or_404(request, job_id)
            return step(request, job) or HttpResponseRedirect(_url("change", job))

        return view

    def _done(self, request: HttpRequest, job: Job, done: bool, did: str, why_not: str) -> None:
        if done:
            self.log_change(request, job, did)
            self.message_user(request, did, messages.SUCCESS)
        else:
            self.message_user(request, why_not, messages.WARNING)

    def _run_again(self, request: HttpRequest, job: Job) -> None:
        try:
            lifecycle.start_run(job, started_by=cast(User, request.user))
        except JobError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self._done(request, job, True, "Started a run.", "")

    def _preview(self, request: HttpRequest, job: Job) -> None:
        try:
            lifecycle.start_run(job, kind=Run.Kind.PREVIEW, started_by=cast(User, request.user))
        except JobError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self._done(request, job, True, "Started a preview.", "")

    def _resend(self, request: HttpRequest, job: Job) -> None:
        try:
            later_runs.start_resend(job, started_by=cast(User, request.user))
        except JobError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self._done(request, job, True, "Started to send the refused records again.", "")

    def _run_with_edu(self, request: HttpRequest, job: Job) -> None:
        """Run again a job whose last run had to do without EDU, if EDU is available now."""
        partner = job.tenant.partner
        if not partner.cross_year_match_enabled:
            why_not = f"Nothing was started: cross-year matching is off for {partner} now."
            self.message_user(request, why_not, messages.WARNING)
        elif reason := cross_year.unavailable(partner):
            why_not = f"Nothing was started: EDU is still unavailable. {sentence(reason)}"
            self.message_user(request, why_not, messages.WARNING)
        else:
            self._run_again(request, job)

    def _run_repaired(self, request: HttpRequest, job: Job) -> None:
        """Run the job again with the damage undone that its last run has found."""
        kind = request.POST.get("kind", "")
        errors = job.last_run.errors.all() if job.last_run else []
        offered = [run_errors.repair_offered(each.code, each.payload) for each in errors]
        if kind not in [each[0] for each in offered if each]:
            why_not = "Nothing was started: the job was run again after you opened this page."
            self.message_user(request, why_not, messages.WARNING)
            return
        try:
            started = lifecycle.start_repaired_run(job, kind, started_by=cast(User, request.user))
        except JobError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            did = f"Started a run that repairs IDs: {kind.replace('_', ' ')}."
            self._done(
                request, job, started, did, "Nothing was started: the job was run again meanwhile."
            )

    def _cancel(self, request: HttpRequest, job: Job) -> None:
        """Cancel the run that the page showed, not another one started since."""
        shown = request.POST.get("run", "")
        run = job.last_run if job.last_run and str(job.last_run.pk) == shown else None
        by = cast(User, request.user).get_username()
        self._done(
            request,
            job,
            run is not None and lifecycle.cancel_run(run, by),
            "Cancelled the run.",
            "Nothing was cancelled: the run had already ended.",
        )

    def _resolve(self, request: HttpRequest, job: Job) -> None:
        self._done(
            request,
            job,
            _was(resolution.resolve([job.pk], by=cast(User, request.user)), RESOLVABLE),
            "Marked the job as resolved.",
            "The job was not marked as resolved: it has no problems, or it has changed. "
            "Check it again.",
        )

    def _unresolve(self, request: HttpRequest, job: Job) -> None:
        self._done(
            request,
            job,
            _was(resolution.unresolve([job.pk]), [JobStatus.RESOLVED]),
            "Reopened the job.",
            "The job is not marked as resolved, so there is nothing to reopen.",
        )

    def _hold(self, request: HttpRequest, job: Job) -> None:
        self._set_hold(request, job, True, "Put the job on legal hold.")

    def _release(self, request: HttpRequest, job: Job) -> None:
        self._set_hold(request, job, False, "Ended the job's legal hold.")

    def _set_hold(self, request: HttpRequest, job: Job, hold: bool, did: str) -> None:
        if not scoping.administers(request.user, job.tenant.partner_id):
            raise PermissionDenied
        changed = Job.objects.filter(pk=job.pk, legal_hold=not hold).update(legal_hold=hold)
        if changed:
            audit.record(job, "legal hold begun" if hold else "legal hold ended")
        self._done(request, job, bool(changed), did, "Someone else has done that already.")

    def _add_note(self, request: HttpRequest, job: Job) -> HttpResponse | None:
        form = NoteForm(request.POST)
        if not form.is_valid():
            return self.page(request, job, note_form=form, status=422)
        note = form.save(commit=False)
        note.job, note.author = job, request.user
        note.save()
        return HttpResponseRedirect(f"{_url('change', job)}#notes")

    def page(self, request: HttpRequest, job: Job, **context: Any) -> HttpResponse:
        """Return the job's page."""
        raise NotImplementedError
