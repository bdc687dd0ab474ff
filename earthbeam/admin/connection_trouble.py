"""Connections to EDU and to ODSs that fail, by what runs told of late. Nothing is looked up."""

from collections.abc import Iterator
from dataclasses import dataclass
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
"""What failed longer ago says little about the connection of today."""

_MOST = 20


@dataclass(frozen=True)
class EduTrouble:
    """``failed`` jobs wait because EDU's roster could not be fetched, the last at ``last``.

    None failed: no connection was ever made, though the partner's toggle is on.
    """

    partner: Partner
    failed: int
    last: datetime | None


@dataclass(frozen=True)
class OdsTrouble:
    """``failed`` jobs of the tenant and year wait because its ODS could not be read or sent to."""

    tenant: Tenant
    year: SchoolYear
    failed: int
    last: datetime
    connection_id: int | None


def edu_trouble(user: User) -> list[EduTrouble]:
    """EDU connections that fail, of the partners that ``user`` administers."""
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
    """ODS connections that failed and have not worked since, of the tenants that ``user`` sees."""
    return list(_ods_trouble(user))


def _ods_trouble(user: User) -> Iterator[OdsTrouble]:
    same = {
        "tenant": OuterRef("run__job__tenant"),
        "school_year": OuterRef("run__job__school_year"),
    }
    worked_since = Job.objects.filter(
        **same, last_run__status=Run.Status.SUCCESS, last_run__created_at__gt=OuterRef("at")
    )
    # An edit makes a new connection: what failed before says nothing about that one.
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
        .order_by("-last")[:_MOST]
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
        yield OdsTrouble(tenants[tenant], years[year], jobs, last, connections.get((tenant, year)))


def _waiting(codes: list[str] | tuple[str, ...]) -> QuerySet[RunError]:
    """Recent errors of last runs, of jobs that nobody called resolved."""
    return RunError.objects.filter(
        code__in=codes,
        at__gt=timezone.now() - RECENT,
        run__status=Run.Status.ERROR,
        run=F("run__job__last_run"),
        run__job__resolved_at=None,
    )
