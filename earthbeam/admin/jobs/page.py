"""The job page: a run in progress, its results, and everything that belongs to the job."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse

from earthbeam.admin.jobs import files
from earthbeam.admin.jobs.actions import JobActions, NoteForm, actions
from earthbeam.admin.jobs.checks import MAIN_KEY
from earthbeam.admin.jobs.new import new_job_url
from earthbeam.admin.jobs.withdraw import may_withdraw
from earthbeam.admin.runs.shown_run import ShownRun
from earthbeam.bundles.template import BundleTemplate
from earthbeam.jobs.later_runs import why_no_resend
from earthbeam.jobs.lineage import LinkedJobs, linked_jobs
from earthbeam.jobs.status import label_of, status_of
from earthbeam.models import POSSIBLE_ID_COLUMNS, Job, JobFile, Run, RunLog
from earthbeam.runs.durations import lasted
from partners import audit, scoping

_REPORTED = ("started_by", "matches", "unmatched_ids")
_MANY = 50
"""The most runs and history entries on the page, the newest first."""


class JobPage(JobActions):
    """The part of the job's admin that shows one job."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<uuid:job_id>/live/", view(self.live), name="earthbeam_job_live"),
            path("<uuid:job_id>/log/<uuid:run_id>/", view(self.log), name="earthbeam_job_log"),
            path("<uuid:job_id>/files/<path:key>", view(self.download), name=files.URL_NAME),
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # A job is never edited. Its page has separate forms for each action.
        if request.method == "POST" or not self.has_view_permission(request):
            raise PermissionDenied
        try:
            job = self.job_or_404(request, UUID(unquote(object_id)))
        except (Http404, ValueError):
            self.message_user(
                request,
                "This job does not exist, or you do not have access to it.",
                messages.WARNING,
            )
            return HttpResponseRedirect(reverse("admin:earthbeam_job_changelist"))
        return self.page(request, job, **(extra_context or {}))

    def page(self, request: HttpRequest, job: Job, **context: Any) -> HttpResponse:
        status = context.pop("status", None)
        template = BundleTemplate.read(job.bundle_template)
        job_files = list(job.files.all())
        return TemplateResponse(
            request,
            "admin/earthbeam/job/page.html",
            {
                **self.admin_site.each_context(request),
                **(live := self._live_context(request, job)),
                **self._around(request, job, live["linked"]),
                "opts": self.opts,
                "title": job.bundle_template.get("display_name", job.bundle_id),
                "subtitle": _main_file_name(job_files),
                "original": job,
                "inputs": _inputs(job, job_files, template),
                "params": [
                    (param.label, job.input_params[param.key])
                    for param in template.params
                    if job.input_params.get(param.key)
                ],
                "id_column": job.input_params.get(POSSIBLE_ID_COLUMNS),
                "notes": job.notes.select_related("author"),
                "note_form": NoteForm(),
                **context,
            },
            status=status,
        )

    def live(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Return the changing part of the page, and the rest only if it may have changed."""
        job = self.job_or_404(request, job_id)
        context = self._live_context(request, job)
        if request.GET.get("seen") != context["version"]:
            context |= self._around(request, job, context["linked"])
        return TemplateResponse(request, "admin/earthbeam/job/page/live.html", context)

    def log(self, request: HttpRequest, job_id: UUID, run_id: UUID) -> HttpResponse:
        """Return a run's whole log as a file, for admins only, since it is full of internals."""
        job = self.job_or_404(request, job_id)
        log = RunLog.objects.filter(run=run_id, run__job=job).first()
        if log is None or not self._sees_internals(request, job):
            raise Http404
        audit.record(job, "run log downloaded", run=str(run_id))
        return HttpResponse(
            log.text,
            content_type="text/plain; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="run-{run_id}.txt"'},
        )

    def download(self, request: HttpRequest, job_id: UUID, key: str) -> HttpResponseBase:
        """Return a file of a job that the person may see. Otherwise respond 404."""
        return files.response(request, self.job_or_404(request, job_id), key)

    # --- The templates' context -----------------------------------------------------------------

    def _live_context(self, request: HttpRequest, job: Job) -> dict[str, Any]:
        run = _chosen_run(request, job)
        shown = None
        if run is not None:
            shown = ShownRun(job, run, is_last=run.pk == job.last_run_id)
        status = status_of(job)
        unmatched = shown is not None and shown.is_last and shown.has_unmatched
        linked = linked_jobs(job) if unmatched else None
        return {
            "job": job,
            "linked": linked,
            "taken_over": linked is not None and linked.here.open == 0,
            "status": status,
            "status_label": label_of(job),
            # Changes with everything on the page that a reader may have in hand.
            "version": f"{status}.{job.last_run_id}",
            "unfinished": job.last_run is not None and job.last_run.status in Run.UNFINISHED,
            "actions": actions(
                job,
                may_withdraw=may_withdraw(request.user, job),
                may_hold=self._sees_internals(request, job),
            ),
            "why_no_resend": why_no_resend(job),
            "shown": shown,
            "sees_internals": self._sees_internals(request, job),
            "unmatched_url": _url_of_unmatched(job),
            "revise_url": new_job_url(parent=job.pk),
        }

    def _around(self, request: HttpRequest, job: Job, linked: LinkedJobs | None) -> dict[str, Any]:
        runs = list(job.runs.select_related(*_REPORTED).order_by("-created_at")[:_MANY])
        for run in runs:
            took = (run.ended_at - run.created_at).total_seconds() if run.ended_at else None
            run.took = "" if took is None else lasted(took)  # type: ignore[attr-defined]
            run.tone = status_of(Job(last_run=run)).tone  # type: ignore[attr-defined]
        return {
            "around": True,
            "runs": runs,
            "linked": linked or linked_jobs(job),
            "history": _history(job),
            "submitter": job.created_by.get_username() if job.created_by else job.api_client,
        }

    def _sees_internals(self, request: HttpRequest, job: Job) -> bool:
        return scoping.administers(request.user, job.tenant.partner_id)


def _chosen_run(request: HttpRequest, job: Job) -> Run | None:
    """Return the run that the URL names, else the last."""
    chosen = request.GET.get("run")
    if chosen:
        try:
            return job.runs.select_related(*_REPORTED).get(pk=chosen)
        except (Run.DoesNotExist, ValidationError):
            pass  # an old or mistyped URL still shows the job
    return job.last_run


def _inputs(
    job: Job, job_files: Iterable[JobFile], template: BundleTemplate
) -> list[dict[str, Any]]:
    labels = {file.key: file.label for file in template.files}
    return [
        {
            "label": labels.get(file.template_key, file.template_key),
            "name": file.name,
            "size": file.size,
            "link": None
            if file.size is None or job.input_destroyed_at
            else files.link(job.pk, f"input/{file.stored_name}", file.name),
        }
        for file in job_files
    ]


def _main_file_name(job_files: Iterable[JobFile]) -> str | None:
    """Return the name that distinguishes the job from others of its assessment."""
    return next((file.name for file in job_files if file.template_key == MAIN_KEY), None)


def _history(job: Job) -> list[LogEntry]:
    """Return what people have done with the job in the admin since it was created."""
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Job), object_id=str(job.pk)
    )
    return list(
        entries.exclude(action_flag=ADDITION)
        .select_related("user")
        .order_by("-action_time")[:_MANY]
    )


def _url_of_unmatched(job: Job) -> str:
    try:
        return reverse("admin:earthbeam_job_unmatched", args=[job.pk])
    except NoReverseMatch:
        return ""
