"""The form that submits a job: its params and files are those of the bundle."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib.auth.models import User

from earthbeam import errors
from earthbeam.bundle_template import BundleTemplate
from earthbeam.job_rules import MAX_PARAM_VALUE, JobRequest, problems
from earthbeam.jobs import create_job, start_run, store_file
from earthbeam.models import Bundle, Job
from partners import scoping
from partners.models import Partner, SchoolYear, Tenant


def tenants_of(user: User) -> Any:
    """The tenants for which ``user`` may submit jobs."""
    return scoping.visible(
        Tenant.objects.select_related("partner"), user, partner="partner", tenant="pk"
    )


def bundles_of(user: User) -> Any:
    """The bundles that are enabled for any partner of those tenants."""
    partners = Partner.objects.filter(tenants__in=tenants_of(user))
    return Bundle.objects.filter(in_registry=True, enabled_for__in=partners).distinct()


class BundleChoiceForm(forms.ModelForm):
    """The first step: what the second asks for depends on the bundle."""

    user: User

    class Meta:
        model = Job
        fields = ["bundle"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = cast(forms.ModelChoiceField, self.fields["bundle"])
        field.queryset = bundles_of(self.user)
        field.help_text = "The next page asks for its params and files."


class JobForm(forms.ModelForm):
    """The second step. ``user`` and ``bundle`` are set on a subclass: see ``job_form_class``."""

    user: User
    bundle: Bundle
    template: BundleTemplate

    class Meta:
        model = Job
        fields = ["tenant", "school_year"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tenants = tenants_of(self.user).filter(partner__in=self.bundle.enabled_for.all())
        years = SchoolYear.objects.filter(
            schoolyearconfig__partner__tenants__in=tenants, schoolyearconfig__enabled=True
        )
        cast(forms.ModelChoiceField, self.fields["tenant"]).queryset = tenants
        cast(forms.ModelChoiceField, self.fields["school_year"]).queryset = years.distinct()

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not self.errors:
            for problem in problems(self._request()):
                self._show(problem)
            for key, upload in self._uploads().items():
                if upload.size > settings.MAX_UPLOAD_BYTES:
                    self._show(errors.FileTooLarge(key, limit=settings.MAX_UPLOAD_BYTES))
        return values

    def submit(self) -> Job:
        """Make the job, store its files and start its first run."""
        job = create_job(self._request(), created_by=self.user)
        for key, upload in self._uploads().items():
            store_file(job, key, upload.name, upload)
        start_run(job, started_by=self.user)
        return job

    def _request(self) -> JobRequest:
        values = self.cleaned_data
        params = {param.key: values.get(_param(param.key)) for param in self.template.params}
        return JobRequest(
            tenant=values["tenant"],
            school_year=values["school_year"],
            bundle=self.bundle,
            files={key: upload.name for key, upload in self._uploads().items()},
            params={key: value for key, value in params.items() if value},
        )

    def _uploads(self) -> dict[str, Any]:
        uploads = {file.key: self.cleaned_data.get(_file(file.key)) for file in self.template.files}
        return {key: upload for key, upload in uploads.items() if upload}

    def _show(self, problem: errors.JobError) -> None:
        """The problem at its field, if this form has it."""
        names = {"params": _param(problem.key or ""), "files": _file(problem.key or "")}
        name = names.get(problem.field, problem.field)
        self.add_error(name if name in self.fields else None, str(problem))


def job_form_class(user: User, bundle: Bundle | None) -> type[BundleChoiceForm | JobForm]:
    """The form for ``user`` to choose a bundle or, if it is known, to submit a job with it."""
    if bundle is None:
        return type("BundleChoiceForm", (BundleChoiceForm,), {"user": user})
    template = BundleTemplate.read(bundle.template)
    fields: dict[str, forms.Field] = {}
    for param in template.params:
        fields[_param(param.key)] = (
            forms.CharField(label=param.label, required=param.required, max_length=MAX_PARAM_VALUE)
            if param.allowed is None
            else forms.ChoiceField(
                label=param.label,
                required=param.required,
                choices=[("", "---------"), *((value, value) for value in param.allowed)],
            )
        )
    for file in template.files:
        fields[_file(file.key)] = forms.FileField(
            label=file.label,
            required=file.required,
            max_length=None,
            help_text=" or ".join(f".{kind}" for kind in file.file_types),
        )
    attributes = {"user": user, "bundle": bundle, "template": template, **fields}
    return type("JobForm", (JobForm,), attributes)


def _param(key: str) -> str:
    return f"param_{key}"


def _file(key: str) -> str:
    return f"file_{key}"
