"""School years that take jobs, and what they still lack: what the database knows, nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Exists, F, IntegerField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, NullIf

from partners import scoping
from partners.models import OdsConnection, Partner, SchoolYear, SchoolYearConfig, Tenant

_NAMED = 3


@dataclass(frozen=True)
class Gap:
    """What a partner's school year lacks; ``year`` is None where no year is enabled at all."""

    partner: Partner
    year: SchoolYear | None
    missing: str
    lacks_ods: bool = False


def gaps(user: User) -> list[Gap]:
    """What is missing for the tenants that ``user`` may see, newest year first."""
    tenants = scoping.visible(Tenant.objects.all(), user, partner="partner", tenant="pk")
    partners = Partner.objects.filter(tenants__in=tenants.order_by().values("pk"))
    return [*_without_years(user), *_of_years(tenants, partners)]


def _without_years(user: User) -> Iterator[Gap]:
    """For partner admins: nobody else can do something about it."""
    enabled = SchoolYearConfig.objects.filter(partner=OuterRef("pk"), enabled=True)
    administered = scoping.visible(Partner.objects.all(), user, partner="pk")
    for partner in administered.filter(~Exists(enabled)):
        yield Gap(partner, None, "No school year is enabled, so no job is taken.")


def _of_years(tenants: QuerySet[Tenant], partners: QuerySet[Partner]) -> Iterator[Gap]:
    of_partner = tenants.filter(partner=OuterRef("partner")).order_by()
    connected = OdsConnection.objects.filter(
        tenant=OuterRef("pk"), school_year=OuterRef(OuterRef("school_year")), retired_at=None
    )
    lacking = of_partner.filter(~Exists(connected))
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
                lacks_ods=True,
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
