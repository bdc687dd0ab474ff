"""What a preview would load: samples, and how it differs from what was loaded last."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from earthbeam.admin.jobs.actions import JobActions
from earthbeam.jobs import comparison
from earthbeam.models import Run
from partners import audit


class JobPreviewed(JobActions):
    """A mixin for the admin of jobs. Anyone who may see a job may see its preview."""

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<uuid:job_id>/previewed/",
            self.admin_site.admin_view(require_GET(self._previewed)),
            name="earthbeam_job_previewed",
        )
        return [own, *super().get_urls()]

    def _previewed(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        job = self.job_or_404(request, job_id)
        run = job.last_run
        if run is None or run.outcome != Run.Outcome.PREVIEWED:
            raise Http404
        run.job = job
        try:
            compared = comparison.compare(run)
        except OSError:
            compared = None
        audit.record(job, "preview viewed", run=str(run.pk))
        context = {
            "compared": compared,
            "now_rate": _percent(compared.now) if compared else "",
            "last_rate": _percent(compared.last) if compared else "",
            "may_load": self.has_add_permission(request),
        }
        return self.show_subpage(request, job, "previewed", "What would be loaded", context)


def _percent(figures: comparison.Figures | None) -> str:
    return "not known" if figures is None or figures.rate is None else f"{figures.rate:.0%}"
