"""Which school years are ready for jobs, and what they still lack, from the database.

A year whose jobs go to an ODS needs an active ODS connection for each tenant. Other years need
cross-year matching, or a roster file for each tenant, which only the file storage knows.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    Count,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce, NullIf

from partners import scoping
from partners.models import OdsConnection, Partner, SchoolYear, SchoolYearConfig, Tenant

_NAMED = 3


@dataclass(frozen=True)
class Readiness:
    """How many tenants could load files for a year.

    ``ready`` is None if only the file storage knows.
    """

    tenants: int
    ready: int | None
    failing: int = 0
    """ODS connections whose last test failed."""
    untested: int = 0

    @property
    def missing(self) -> int:
        return self.tenants - (self.ready or 0)


@dataclass(frozen=True)
class Gap:
    """What a partner's school year lacks. ``year`` is None if no year is enabled at all."""

    partner: Partner
    year: SchoolYear | None
    missing: str


def readiness(partner: Partner, sends_to_ods: Mapping[str, bool]) -> dict[str, Readiness]:
    """Count the partner's tenants that could load files, by year, in two queries.

    ``sends_to_ods`` has the years in question, by their IDs. Does not query the file storage, which
    would take a request per tenant.
    """
    tenants = Tenant.objects.filter(partner=partner).count()
    active = OdsConnection.objects.filter(
        tenant__partner=partner, school_year__in=sends_to_ods, retired_at=None
    )
    connections = {
        year: counts
        for year, *counts in active.order_by()
        .values_list("school_year")
        .annotate(
            ready=Count("pk"),
            failing=Count("pk", filter=Q(check_ok=False)),
            untested=Count("pk", filter=Q(check_ok=None)),
        )
    }
    without_ods = Readiness(tenants, tenants if partner.cross_year_match_enabled else None)
    return {
        year: Readiness(tenants, *connections.get(year, (0,))) if to_ods else without_ods
        for year, to_ods in sends_to_ods.items()
    }


def without_connection(tenants: QuerySet[Tenant], year: SchoolYear | OuterRef) -> QuerySet[Tenant]:
    """Return those of ``tenants`` that have no active ODS connection for the year."""
    connected = OdsConnection.objects.filter(
        tenant=OuterRef("pk"), school_year=year, retired_at=None
    )
    return tenants.filter(~Exists(connected))


def some_without_connection(
    partner: Partner, years: Iterable[str], most: int
) -> dict[str, list[Tenant]]:
    """Return the first ``most`` tenants without an active connection by year, in two queries."""
    lacking = without_connection(Tenant.objects.filter(partner=partner), OuterRef(OuterRef("pk")))
    keys = dict(
        SchoolYear.objects.filter(pk__in=years).values_list(
            "pk", ArraySubquery(lacking.order_by("code").values("pk")[:most])
        )
    )
    tenants = Tenant.objects.in_bulk({key for of_year in keys.values() for key in of_year})
    return {year: [tenants[key] for key in of_year] for year, of_year in keys.items()}


def gaps(user: User) -> list[Gap]:
    """Return what is missing for the tenants that ``user`` may see, newest year first."""
    tenants = scoping.visible(Tenant.objects.all(), user, partner="partner", tenant="pk")
    partners = Partner.objects.filter(tenants__in=tenants.order_by().values("pk"))
    return [*_without_years(user), *_of_years(tenants, partners)]


def _without_years(user: User) -> Iterator[Gap]:
    """Yield partners without an enabled year. Only for partner admins, who can fix it."""
    enabled = SchoolYearConfig.objects.filter(partner=OuterRef("pk"), enabled=True)
    administered = scoping.visible(Partner.objects.all(), user, partner="pk")
    for partner in administered.filter(~Exists(enabled)):
        yield Gap(partner, None, "No school year is enabled, so no job is taken.")


def _of_years(tenants: QuerySet[Tenant], partners: QuerySet[Partner]) -> Iterator[Gap]:
    of_partner = tenants.filter(partner=OuterRef("partner")).order_by()
    lacking = without_connection(of_partner, OuterRef(OuterRef("school_year")))
    name = Coalesce(NullIf("name", Value("")), F("code"))
    configs = (
        SchoolYearConfig.objects.filter(enabled=True, partner__in=partners.order_by().values("pk"))
        .select_related("partner", "school_year")
        .annotate(
            tenants=_count(of_partner),
            lacking=_count(lacking),
            some=ArraySubquery(
                lacking.order_by("code").annotate(called=name).values("called")[:_NAMED]
            ),
        )
        .order_by("-school_year__end_year", "partner__name")
    )
    for config in configs:
        if config.sends_to_ods and config.lacking:
            more = config.lacking - len(config.some)
            names = ", ".join(config.some) + (f" and {more} more" if more else "")
            of = f"{config.lacking} of {config.tenants} tenants"
            yield Gap(
                config.partner,
                config.school_year,
                f"No ODS connection for {of}: {names}.",
            )
        elif not config.sends_to_ods and not config.partner.cross_year_match_enabled:
            yield Gap(
                config.partner,
                config.school_year,
                "Jobs do not go to an ODS and cross-year matching is off, so each tenant needs a "
                "roster file.",
            )


def _count(rows: QuerySet[Tenant]) -> Coalesce:
    counted = rows.values("partner").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
