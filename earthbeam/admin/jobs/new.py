"""The page that submits jobs: destination, assessment, params, and files.

Without JavaScript it is two forms: one chooses tenant and assessment and shows the page again, and
the other submits. runway/static/runway/new_job.js joins them, checks files as they are chosen, and
uploads each as a separate job.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from earthbeam.admin.jobs import checks
from earthbeam.admin.jobs.form import JobForm, Submission, bundles_of, param_field, tenants_of
from earthbeam.bundles.template import BundleTemplate
from earthbeam.jobs.file_checks import HEAD_BYTES
from earthbeam.jobs.id_column import matched_column
from earthbeam.jobs.rules import MAX_FILE_NAME
from earthbeam.jobs.years import YearChoice, year_choices
from earthbeam.models import Bundle, Job
from partners.models import Tenant

MANY_TENANTS = 15
"""With more than these, people search by typing instead of choosing from a list."""


@dataclass
class _Chosen:
    """The choices of the first form, or of a link with a query string."""

    tenants: list[Tenant]
    bundles: list[Bundle]
    tenant: Tenant | None = None
    bundle: Bundle | None = None
    parent: Job | None = None
    notices: list[str] = field(default_factory=list)


class NewJob(admin.ModelAdmin):
    """A mixin for the admin of jobs."""

    def get_urls(self) -> list[URLPattern]:
        check = path(
            "add/check/",
            self.admin_site.admin_view(require_POST(self._check)),
            name="earthbeam_job_check",
        )
        return [check, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        chosen = self._chosen(request)
        form, years = None, []
        if chosen.tenant and chosen.bundle:
            posted = request.method == "POST"
            form = JobForm(
                request.POST if posted else None,
                request.FILES if posted else None,
                user=cast(User, request.user),
                tenant=chosen.tenant,
                bundle=chosen.bundle,
                parent=chosen.parent,
                initial=_initial(request, chosen),
            )
            if posted:
                submissions = form.submit() if form.is_valid() else []
                if any(each.job for each in submissions):
                    return self._submitted(request, chosen, submissions)
                if _wants_json(request):
                    return JsonResponse({"errors": form.errors}, status=422)
            years = year_choices(chosen.tenant)
        elif request.method == "POST" and _wants_json(request):
            text = "Choose the tenant and the assessment again: one of them is not there any more."
            return JsonResponse({"errors": {"__all__": [text]}}, status=422)
        context = {
            **self.admin_site.each_context(request),
            **_page(chosen, form, years),
            "title": "Submit a revised file" if chosen.parent else "New job",
            "opts": self.opts,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/earthbeam/job/new.html", context)

    def _chosen(self, request: HttpRequest) -> _Chosen:
        user, asked = cast(User, request.user), request.POST if request.POST else request.GET
        value = {
            name: asked.get(name) or request.GET.get(name) or ""
            for name in ("tenant", "bundle", "parent")
        }
        chosen = _Chosen(list(tenants_of(user)), [])
        parent = self._parent(request, value["parent"])
        if value["parent"] and not parent:
            chosen.notices.append(
                "The job whose file you want to revise does not exist, or you do not have access "
                "to it. What you submit here will be a separate job."
            )
        tenant = value["tenant"] or (str(parent.tenant_id) if parent else "")
        chosen.tenant = _tenant(chosen.tenants, tenant)
        if tenant and not chosen.tenant:
            chosen.notices.append(
                "That tenant does not exist, or you do not have access to it. Choose another."
            )
        chosen.bundles = list(bundles_of(user, chosen.tenant))
        bundle = value["bundle"] or (parent.bundle_id if parent else "")
        chosen.bundle = _bundle(chosen.bundles, bundle)
        if bundle and not chosen.bundle:
            whom = chosen.tenant.partner if chosen.tenant else "your partner"
            chosen.notices.append(
                f"The assessment {bundle.rpartition('/')[2]} is not enabled for {whom}. Choose "
                "another one, or "
                + (
                    "enable it on the partner's page."
                    if user.is_superuser
                    else "ask a partner admin to enable it."
                )
            )
        if parent and chosen.tenant and parent.tenant_id != chosen.tenant.pk:
            chosen.notices.append(
                "The job whose file you want to revise belongs to another tenant. What you submit "
                "here will be a separate job."
            )
            parent = None
        chosen.parent = parent
        return chosen

    def _parent(self, request: HttpRequest, asked: str) -> Job | None:
        try:
            return self.get_queryset(request).filter(pk=UUID(asked)).first()
        except ValueError:
            return None

    # --- After submitting -----------------------------------------------------------------------

    def _submitted(
        self, request: HttpRequest, chosen: _Chosen, submissions: list[Submission]
    ) -> HttpResponse:
        answers = []
        for submission in submissions:
            warnings = [{"text": text} for text in submission.warnings]
            if job := submission.job:
                self.log_addition(request, job, [{"added": {}}])
                if chosen.parent:
                    message = f"Submitted a revised file: job {job.pk}."
                    self.log_change(request, chosen.parent, message)
                warnings += self._same_file_warning(request, job)
            answers.append((submission, warnings))
        if _wants_json(request):
            (submission, warnings), *_ = answers
            assert submission.job is not None
            return JsonResponse({"url": _url(submission.job), "warnings": warnings}, status=201)
        for submission, warnings in answers:
            self._tell(request, submission, warnings)
        if len(submissions) == 1 and submissions[0].job:
            return HttpResponseRedirect(_url(submissions[0].job))
        return HttpResponseRedirect(reverse("admin:earthbeam_job_changelist"))

    def _same_file_warning(self, request: HttpRequest, job: Job) -> list[dict[str, str]]:
        main = job.files.filter(template_key=checks.MAIN_KEY).first()
        others = self.get_queryset(request).exclude(pk=job.pk)
        earlier = main and checks.earlier_job(others, job.tenant_id, main.sha256)
        return [checks.same_file_warning(earlier)] if earlier else []

    def _tell(
        self, request: HttpRequest, submission: Submission, warnings: list[dict[str, str]]
    ) -> None:
        name = submission.name
        if submission.job is None:
            # In quotation marks, since Django capitalizes the first letter of a message.
            text = f"“{name}” was not submitted. {' '.join(submission.errors)}"
            self.message_user(request, text, messages.ERROR)
            return
        link = format_html('<a href="{}">{}</a>', _url(submission.job), name)
        text = format_html("{} was submitted; its job is queued.", link)
        self.message_user(request, text, messages.SUCCESS)
        for warning in warnings:
            self.message_user(request, checks.as_html(warning), messages.WARNING)

    # --- Before submitting ----------------------------------------------------------------------

    def _check(self, request: HttpRequest) -> HttpResponse:
        """Check a file by its beginning (``head``), size, and SHA-256.

        Responds with ``{refusals: [text], warnings: [{text, link?, url?}], encoding, notes:
        [text]}``.
        """
        if not self.has_add_permission(request):
            raise PermissionDenied
        user = cast(User, request.user)
        tenant = _tenant(tenants_of(user), request.POST.get("tenant", ""))
        bundle = _bundle(bundles_of(user, tenant), request.POST.get("bundle", ""))
        if tenant is None or bundle is None:
            raise Http404
        files = {file.key: file for file in BundleTemplate.read(bundle.template).files}
        file, upload = files.get(request.POST.get("key", "")), request.FILES.get("head")
        size = request.POST.get("size", "")
        if file is None or upload is None or not (size.isascii() and size.isdecimal()):
            return HttpResponseBadRequest("key, size and head are needed")
        name, head = request.POST.get("name", "")[:MAX_FILE_NAME], upload.read(HEAD_BYTES)
        found = checks.check_head(bundle, file, name, head, int(size[:20]))
        warnings = [{"text": text} for text in found.warnings]
        sha256 = request.POST.get("sha256", "").lower()
        if earlier := checks.earlier_job(self.get_queryset(request), tenant.pk, sha256):
            warnings.append(checks.same_file_warning(earlier))
        return JsonResponse(
            {
                "refusals": [str(each) for each in found.refusals],
                "warnings": warnings,
                "encoding": found.encoding,
                "notes": found.notes,
            }
        )


def _page(chosen: _Chosen, form: JobForm | None, years: list[YearChoice]) -> dict[str, Any]:
    """Return the template's context."""
    usable = [each for each in years if not each.problem]
    picked = str(form["school_year"].value() or "") if form else ""
    if not picked and len(usable) == 1:
        picked = usable[0].year.pk
    column = ""
    if chosen.parent and chosen.bundle:
        column = matched_column(chosen.parent, chosen.bundle)
    return {
        "chosen": chosen,
        "id_column": column,
        "tenants": [(label(each), each) for each in chosen.tenants],
        "tenant_label": label(chosen.tenant) if chosen.tenant else "",
        "many_tenants": len(chosen.tenants) > MANY_TENANTS,
        "form": form,
        "usable_years": usable,
        "other_years": [each for each in years if each.problem],
        "picked_year": picked,
        "limit": settings.MAX_UPLOAD_BYTES,
        "head_bytes": HEAD_BYTES,
        "show_other_years": not usable
        or picked in {each.year.pk for each in years if each.problem},
    }


def _initial(request: HttpRequest, chosen: _Chosen) -> dict[str, str]:
    """Return the form's initial values: the query string's, else the revised job's."""
    initial = {}
    if chosen.parent:
        initial = {param_field(key): value for key, value in chosen.parent.input_params.items()}
        initial["school_year"] = chosen.parent.school_year_id
    asked = {
        key: value
        for key, value in request.GET.items()
        if key == "school_year" or key.startswith(param_field(""))
    }
    return initial | asked


def label(tenant: Tenant) -> str:
    """Return a unique name for a tenant, by which people search for it."""
    code = f"{tenant.name}, {tenant.code}" if tenant.name else tenant.code
    return f"{code} ({tenant.partner_id})"


def _tenant(tenants: Any, asked: str) -> Tenant | None:
    """Return the one of ``tenants`` with this ID or label. If none is given, the only one."""
    known = list(tenants)
    if not asked and len(known) == 1:
        return known[0]
    asked = asked.strip().casefold()
    return next((each for each in known if asked in (str(each.pk), label(each).casefold())), None)


def _bundle(bundles: Iterable[Bundle], asked: str) -> Bundle | None:
    return next((each for each in bundles if each.pk == asked), None)


def new_job_url(**prefill: Any) -> str:
    """Return the page's URL with prefilled tenant, school_year, bundle, parent, and param_KEY."""
    return f"{reverse('admin:earthbeam_job_add')}?{urlencode(prefill)}"


def _wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "").startswith("application/json")


def _url(job: Job) -> str:
    return reverse("admin:earthbeam_job_change", args=[job.pk])
