"""Which school years a tenant can load files for, and why not the others."""

from dataclasses import dataclass
from functools import cache, partial

from django.conf import settings

from earthbeam import paths
from earthbeam.files import open_store
from earthbeam.jobs.rules import year_problem
from earthbeam.runs import cross_year
from partners.models import OdsConnection, SchoolYear, SchoolYearConfig, Tenant


@dataclass(frozen=True)
class YearChoice:
    """A school year. ``problem`` says why it cannot be chosen, or is empty."""

    year: SchoolYear
    sends_to_ods: bool
    problem: str


def year_choices(tenant: Tenant) -> list[YearChoice]:
    """Return all school years, newest first, checked by the same rules as jobs.

    Queries AWS at most once for EDU's credentials and once for roster files, however many years
    there are, and only if a year depends on it.
    """
    configs = {
        config.school_year_id: config
        for config in SchoolYearConfig.objects.filter(partner=tenant.partner_id)
    }
    connected = set(
        OdsConnection.objects.filter(tenant=tenant, retired_at=None).values_list(
            "school_year_id", flat=True
        )
    )

    folder = paths.rosters_folder(tenant)

    @cache
    def knows_edu() -> bool:
        return cross_year.is_available(tenant.partner)

    @cache
    def rosters() -> frozenset[str] | OSError:
        try:  # caches a fault too, so that an unavailable storage is waited for only once
            store = open_store(f"{settings.FILES_BASE}/{folder}")
            return frozenset(f"{folder}/{key}" for key in store.list())
        except OSError as error:
            return error

    def has_roster(key: str) -> bool:
        if knows_edu():
            return True
        found = rosters()
        if isinstance(found, OSError):
            raise found
        return key in found

    choices = []
    for year in SchoolYear.objects.all():
        config, key = configs.get(year.pk), paths.roster_key(tenant, year)
        problem = year_problem(
            tenant,
            year,
            config,
            has_connection=partial(connected.__contains__, year.pk),
            has_roster=partial(has_roster, key),
        )
        choices.append(YearChoice(year, bool(config and config.sends_to_ods), str(problem or "")))
    return choices
