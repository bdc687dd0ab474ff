"""Failing connections to EDU and to ODSs, from recent runs and tests. Tests nothing itself."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import Count, Exists, F, Max, OuterRef, QuerySet
from django.utils import timezone

from earthbeam.models import Job, Run, RunError
from partners import scoping
from partners.models import OdsConnection, Partner, SchoolYear, Tenant

EDU_ERROR = "cross_year_roster_fetch"
ODS_ERRORS = ("lightbeam_fetch", "lightbeam_send")

RECENT = timedelta(days=14)
"""How far back failures count. Older ones say little about the current connection."""

MOST = 20


@dataclass(frozen=True)
class EduTrouble:
    """``failed`` jobs wait because EDU's roster could not be fetched, the last at ``last``.

    With none failed: no connection was ever opened, although the partner's toggle is on.
    """

    partner: Partner
    failed: int
    last: datetime | None


@dataclass(frozen=True)
class OdsTrouble:
    """A failing ODS: jobs of the tenant and year wait for it, or the connection's test failed.

    ``failed`` jobs could not read it or send to it, the last at ``last``. ``finding`` is the result
    of the test at ``checked_at``. It is empty if that succeeded, or if there was none.
    """

    tenant: Tenant
    year: SchoolYear
    connection_id: int | None
    failed: int = 0
    last: datetime | None = None
    finding: str = ""
    checked_at: datetime | None = None


def edu_trouble(user: User) -> list[EduTrouble]:
    """Return failing EDU connections of the partners that ``user`` administers."""
    administered = scoping.visible(Partner.objects.all(), user, partner="pk")
    turned_on = {each.pk: each for each in administered.filter(cross_year_match_enabled=True)}
    if not turned_on:
        return []
    failed = {
        partner: (jobs, last)
        for partner, jobs, last in _waiting([EDU_ERROR])
        .filter(run__job__tenant__partner__in=turned_on)
        .values_list("run__job__tenant__partner")
        .annotate(Count("run", distinct=True), Max("at"))
        .order_by()
    }
    return [
        EduTrouble(partner, *failed.get(key, (0, None)))
        for key, partner in turned_on.items()
        if key in failed or partner.edu_connected_at is None
    ]


def ods_trouble(user: User) -> list[OdsTrouble]:
    """Return failing ODSs of the tenants that ``user`` sees, at most MOST, the latest first."""
    by_place = {(each.tenant.pk, each.year.pk): each for each in _failed_tests(user)}
    for each in _failed_jobs(user):
        place = (each.tenant.pk, each.year.pk)
        test = by_place.get(place)
        if test:
            each = replace(each, finding=test.finding, checked_at=test.checked_at)
        by_place[place] = each
    return sorted(by_place.values(), key=_latest, reverse=True)[:MOST]


def _latest(trouble: OdsTrouble) -> datetime:
    return max(at for at in (trouble.last, trouble.checked_at) if at is not None)


def _failed_tests(user: User) -> Iterator[OdsTrouble]:
    failed = OdsConnection.objects.filter(
        retired_at=None, check_ok=False, checked_at__isnull=False
    ).select_related("tenant", "school_year")
    seen = scoping.visible(failed, user, partner="tenant__partner", tenant="tenant")
    for each in seen.defer("client_secret").order_by("-checked_at")[:MOST]:
        yield OdsTrouble(
            each.tenant,
            each.school_year,
            each.pk,
            # Its first line only. The connection's page has the rest.
            finding=each.check_message.partition("\n")[0] or "The test failed.",
            checked_at=each.checked_at,
        )


def _failed_jobs(user: User) -> Iterator[OdsTrouble]:
    """Yield ODSs that failed jobs, and have neither worked nor got a new connection since."""
    same = {
        "tenant": OuterRef("run__job__tenant"),
        "school_year": OuterRef("run__job__school_year"),
    }
    worked_since = Job.objects.filter(
        **same, last_run__status=Run.Status.SUCCESS, last_run__created_at__gt=OuterRef("at")
    )
    # An edit creates a new connection, about which older failures say nothing.
    renewed_since = OdsConnection.objects.filter(
        **same, retired_at=None, created_at__gt=OuterRef("at")
    )
    failed = (
        scoping.visible(
            _waiting(ODS_ERRORS),
            user,
            partner="run__job__tenant__partner",
            tenant="run__job__tenant",
        )
        .filter(~Exists(worked_since), ~Exists(renewed_since))
        .values_list("run__job__tenant", "run__job__school_year")
        .annotate(Count("run", distinct=True), last=Max("at"))
        .order_by("-last")[:MOST]
    )
    rows = list(failed)
    tenants = Tenant.objects.in_bulk({tenant for tenant, *_ in rows})
    years = SchoolYear.objects.in_bulk({year for _, year, *_ in rows})
    active = OdsConnection.objects.filter(tenant__in=tenants, retired_at=None)
    connections = {
        (tenant, year): key
        for key, tenant, year in active.values_list("pk", "tenant", "school_year")
    }
    for tenant, year, jobs, last in rows:
        yield OdsTrouble(tenants[tenant], years[year], connections.get((tenant, year)), jobs, last)


def _waiting(codes: list[str] | tuple[str, ...]) -> QuerySet[RunError]:
    """Return recent errors of last runs, of jobs that are not marked as resolved."""
    return RunError.objects.filter(
        code__in=codes,
        at__gt=timezone.now() - RECENT,
        run__status=Run.Status.ERROR,
        run=F("run__job__last_run"),
        run__job__resolved_at=None,
    )
