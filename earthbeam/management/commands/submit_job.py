"""`manage.py submit_job PARTNER TENANT YEAR BUNDLE INPUT_FILE=… [PARAM=…] [--wait]`."""

from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from earthbeam.bundles.template import BundleTemplate
from earthbeam.errors import JobError
from earthbeam.jobs.lifecycle import submit
from earthbeam.jobs.rules import JobRequest, problems
from earthbeam.management.operator import operator
from earthbeam.models import Bundle, Run
from earthbeam.runs import follow
from partners.models import SchoolYear, Tenant

RUN_FAILED = 3
"""An exit status. 2 is a wrong command line."""


class Command(BaseCommand):
    help = (
        "Submit a job and start its run. Exit status: 0 when the run is queued (with --wait: when "
        f"it succeeded), {RUN_FAILED} when it failed, 1 when nothing was submitted, 2 when the "
        "command line is wrong."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("partner", help="Code, such as ea.")
        parser.add_argument("tenant", help="Code, such as grand_bend.")
        parser.add_argument("year", help="School year, such as 2526.")
        parser.add_argument("bundle", help="assessments/NAME, or NAME alone.")
        parser.add_argument(
            "values",
            nargs="+",
            metavar="KEY=VALUE",
            help="The bundle's files, such as INPUT_FILE=scores.csv, and its params.",
        )
        parser.add_argument(
            "--wait", action="store_true", help="Show the run's steps and wait for its end."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        bundle = _bundle(options["bundle"])
        keys = {file.key for file in BundleTemplate.read(bundle.template).files}
        values = _values(options["values"])
        files = {key: _file(key, value) for key, value in values.items() if key in keys}
        request = JobRequest(
            tenant=_tenant(options["partner"], options["tenant"]),
            school_year=_year(options["year"]),
            bundle=bundle,
            files={key: path.name for key, path in files.items()},
            params={key: value for key, value in values.items() if key not in keys},
        )
        run = _submit(request, files)
        self.stdout.write(f"job {run.job_id}\nrun {run.pk}")
        if options["wait"]:
            self._wait(run)

    def _wait(self, run: Run) -> None:
        try:
            for line in follow.follow(run):
                self.stdout.write(line)
        except KeyboardInterrupt:
            raise CommandError(
                f"You stopped waiting; the run goes on. To end it: manage.py cancel_run {run.pk}",
                returncode=130,
            ) from None
        if run.status == Run.Status.ERROR:
            raise CommandError("The run failed.", returncode=RUN_FAILED)


def _submit(request: JobRequest, files: dict[str, Path]) -> Run:
    """Return the queued run of a job with its files stored. On failure, no job remains."""
    if found := list(problems(request)):
        raise CommandError("\n".join(str(problem) for problem in found))
    client = f"submit_job by {operator()}"
    try:
        with ExitStack() as opened:
            streams = {key: opened.enter_context(path.open("rb")) for key, path in files.items()}
            return submit(request, streams, api_client=client).runs.get()
    except (JobError, OSError) as error:
        raise CommandError(str(error)) from error


def _values(texts: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise CommandError(f"{text!r} is not KEY=VALUE.")
        if key in values:
            raise CommandError(f"{key} is given twice.")
        values[key] = value
    return values


def _file(key: str, value: str) -> Path:
    path = Path(value)
    if not path.is_file():
        raise CommandError(f"{key}: there is no file {value!r}.")
    return path


def _tenant(partner: str, code: str) -> Tenant:
    tenant = Tenant.objects.filter(partner=partner, code=code).first()
    if tenant is None:
        raise CommandError(f"There is no partner {partner!r} with a tenant {code!r}.")
    return tenant


def _year(year: str) -> SchoolYear:
    found = SchoolYear.objects.filter(pk=year).first()
    if found is None:
        known = ", ".join(SchoolYear.objects.values_list("pk", flat=True)) or "none yet"
        raise CommandError(f"There is no school year {year!r}; known are: {known}.")
    return found


def _bundle(name: str) -> Bundle:
    path = name if "/" in name else f"assessments/{name}"
    bundle = Bundle.objects.filter(pk=path).first()
    if bundle is None:
        raise CommandError(f"There is no bundle {path!r}. `manage.py sync_bundles` fetches them.")
    return bundle
