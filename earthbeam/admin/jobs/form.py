"""The form that submits jobs. Its params and files are those of the bundle.

Several files for the bundle's main file become as many jobs, each independent of the others.
"""

import logging
from dataclasses import dataclass, field
from typing import Any, cast

from django import forms
from django.contrib.auth.models import User

from earthbeam import errors
from earthbeam.admin.jobs.checks import check_upload, main_file
from earthbeam.bundles.template import BundleTemplate
from earthbeam.files import fault
from earthbeam.jobs import id_column
from earthbeam.jobs.file_checks import Findings
from earthbeam.jobs.lifecycle import submit
from earthbeam.jobs.rules import MAX_PARAM_VALUE, JobRequest, file_name_problem, problems
from earthbeam.models import Bundle, Job, Run
from partners import scoping
from partners.models import Partner, SchoolYear, Tenant

logger = logging.getLogger(__name__)


def tenants_of(user: User) -> Any:
    """Return the tenants for which ``user`` may submit jobs."""
    return scoping.visible(
        Tenant.objects.select_related("partner"), user, partner="partner", tenant="pk"
    )


def bundles_of(user: User, tenant: Tenant | None = None) -> Any:
    """Return the bundles enabled for the tenant's partner, or for any of the user's tenants."""
    partners = (
        Partner.objects.filter(pk=tenant.partner_id)
        if tenant
        else Partner.objects.filter(tenants__in=tenants_of(user))
    )
    return Bundle.objects.filter(in_registry=True, enabled_for__in=partners).distinct()


@dataclass
class Submission:
    """The result of one main file: the job, or why there is none, and ``warnings`` of its files."""

    name: str
    job: Job | None = None
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class JobForm(forms.Form):
    """Year, params, and files of jobs of ``tenant`` with ``bundle``; see ``submit``."""

    school_year = forms.ModelChoiceField(SchoolYear.objects.all(), widget=forms.RadioSelect)

    def __init__(
        self,
        *args: Any,
        user: User,
        tenant: Tenant,
        bundle: Bundle,
        parent: Job | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        self.user, self.tenant, self.bundle, self.parent = user, tenant, bundle, parent
        self.template = BundleTemplate.read(bundle.template)
        self.main = main_file(self.template)
        self.main_name = file_field(self.main.key)
        others_required = any(
            file.required for file in self.template.files if file.key != self.main.key
        )
        # A second file of another kind belongs to one main file, and nothing says to which.
        self.takes_several = not others_required and parent is None
        for param in self.template.params:
            self.fields[param_field(param.key)] = _param_field(param)
        for file in self.template.files:
            several = self.takes_several and file.key == self.main.key
            self.fields[file_field(file.key)] = _FilesField(
                label=file.label,
                required=file.required or file.key == self.main.key,
                help_text=" or ".join(f".{kind}" for kind in file.file_types),
                widget=_FilesInput(
                    attrs={
                        "accept": ",".join(f".{kind}" for kind in file.file_types),
                        "multiple": several,
                    }
                ),
            )
        self._found: dict[int, Findings] = {}

    def param_fields(self) -> list[forms.BoundField]:
        return [self[param_field(param.key)] for param in self.template.params]

    def file_fields(self) -> list[tuple[str, forms.BoundField]]:
        """Return each file's key and field, the main file first."""
        files = sorted(self.template.files, key=lambda file: file.key != self.main.key)
        return [(file.key, self[file_field(file.key)]) for file in files]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        uploads = self._mains()
        if not self.takes_several and len(uploads) > 1:
            self.add_error(self.main_name, "Choose one file.")
        if len(uploads) > 1 and self._others():
            for key in self._others():
                self.add_error(
                    file_field(key),
                    f"This file belongs to one file of {self.main.label}, and nothing says to "
                    "which of several. Submit them one at a time.",
                )
        for key, upload in self._others().items():
            for text in self._file_problems(key, upload):
                self.add_error(file_field(key), text)
        refused = [self._file_problems(self.main.key, upload) for upload in uploads]
        if refused and all(refused):
            self.add_error(self.main_name, [text for texts in refused for text in texts])
        if not self.errors:
            for problem in problems(self._request(uploads[0])):
                if problem.key != self.main.key:
                    self._show(problem)
        return values

    def submit(self) -> list[Submission]:
        """Submit a job for each main file, independent of the others.

        If no job was created, the form has errors that say why.
        """
        done = [self._submit(upload) for upload in self._mains()]
        if not any(submission.job for submission in done):
            for submission in done:
                for text in submission.errors:
                    self.add_error(None, f"{submission.name}: {text}" if len(done) > 1 else text)
        return done

    def _submit(self, upload: Any) -> Submission:
        submission = Submission(upload.name)
        submission.errors += self._file_problems(self.main.key, upload)
        if submission.errors:
            return submission
        streams = {self.main.key: upload, **self._others()}
        for stream in streams.values():
            stream.seek(0)
        try:
            submission.job = submit(
                self._request(upload),
                streams,
                created_by=self.user,
                parent=self.parent,
                kind=Run.Kind.PREVIEW if self.data.get("preview") else Run.Kind.LOAD,
                id_column=id_column.of_revised_file(self.parent, self.bundle, streams)
                if self.parent
                else "",
            )
        except errors.JobError as error:
            submission.errors.append(str(error))
        except OSError as error:
            logger.error("the files of a new job could not be stored: %s", fault(error))
            submission.errors.append(str(errors.StorageFailed()))
        else:
            for key, stream in streams.items():
                found = self._findings(key, stream)
                submission.warnings += [f"“{stream.name}”: {text}" for text in found.warnings]
        return submission

    def _file_problems(self, key: str, upload: Any) -> list[str]:
        """Return what keeps the file from being loaded: its name, its content."""
        found = (file_name_problem(key, upload.name), *self._findings(key, upload).refusals)
        return [str(problem) for problem in found if problem]

    def _findings(self, key: str, upload: Any) -> Findings:
        if id(upload) not in self._found:
            file = next(file for file in self.template.files if file.key == key)
            self._found[id(upload)] = check_upload(self.bundle, file, upload)
        return self._found[id(upload)]

    def _request(self, upload: Any) -> JobRequest:
        values = self.cleaned_data
        params = {param.key: values.get(param_field(param.key)) for param in self.template.params}
        uploads = {self.main.key: upload, **self._others()}
        return JobRequest(
            tenant=self.tenant,
            school_year=values["school_year"],
            bundle=self.bundle,
            files={key: each.name for key, each in uploads.items()},
            params={key: value for key, value in params.items() if value},
        )

    def _mains(self) -> list[Any]:
        return self.cleaned_data.get(self.main_name) or []

    def _others(self) -> dict[str, Any]:
        keys = [file.key for file in self.template.files if file.key != self.main.key]
        found = {key: self.cleaned_data.get(file_field(key)) for key in keys}
        return {key: uploads[0] for key, uploads in found.items() if uploads}

    def _show(self, problem: errors.JobError) -> None:
        """Add the problem to its field, if this form has it."""
        names = {"params": param_field(problem.key or ""), "files": file_field(problem.key or "")}
        name = names.get(problem.field, problem.field)
        self.add_error(name if name in self.fields else None, str(problem))


class _FilesInput(forms.FileInput):
    allow_multiple_selected = True

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return files.getlist(name)


class _FilesField(forms.FileField):
    """A list of uploads. The form checks them, with its own messages."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=None, allow_empty_file=True, **kwargs)
        self.error_messages["required"] = "Choose a file."

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        uploads = data or []
        if not uploads and self.required:
            raise forms.ValidationError(self.error_messages["required"], code="required")
        return [cast(Any, super(_FilesField, self).clean(upload)) for upload in uploads]


def _param_field(param: Any) -> forms.Field:
    if param.allowed is None:
        return forms.CharField(
            label=param.label, required=param.required, max_length=MAX_PARAM_VALUE
        )
    return forms.ChoiceField(
        label=param.label,
        required=param.required,
        choices=[
            ("", "Choose…" if param.required else "Not given"),
            *((value, value) for value in param.allowed),
        ],
    )


def param_field(key: str) -> str:
    """Return the form's name for a param."""
    return f"param_{key}"


def file_field(key: str) -> str:
    """Return the form's name for a file."""
    return f"file_{key}"
