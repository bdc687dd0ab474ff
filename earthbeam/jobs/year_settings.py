"""A partner's settings for school years, and what a change to them does."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count

from earthbeam.models import Job, Run
from partners.models import Partner, SchoolYear, SchoolYearConfig
from partners.readiness import readiness


class StaleYears(Exception):
    """Somebody else changed the partner's school years since the person looked at them."""


@dataclass(frozen=True)
class YearSetting:
    """Whether jobs can be submitted for a year, and whether they go to an ODS."""

    enabled: bool = False
    sends_to_ods: bool = True

    def __str__(self) -> str:
        if not self.enabled:
            return "not enabled"
        return "enabled, to the ODS" if self.sends_to_ods else "enabled, not to an ODS"


_UNSET = YearSetting()


@dataclass(frozen=True)
class YearChange:
    """A year's setting before and after. ``running`` counts jobs that are queued or running."""

    year: SchoolYear
    before: YearSetting
    after: YearSetting
    running: int
    unready: int
    """How many tenants lack what the new setting needs, as far as the database knows."""


def settings_of(partner: Partner) -> dict[str, YearSetting]:
    """Return the partner's settings by the year's ID. A year without one is not enabled."""
    rows = SchoolYearConfig.objects.filter(partner=partner).order_by("school_year")
    return {row.school_year_id: YearSetting(row.enabled, row.sends_to_ods) for row in rows}


def fingerprint(settings_by_year: Mapping[str, YearSetting]) -> str:
    """Return a hash that identifies one state of the settings."""
    state = {
        year: (each.enabled, each.sends_to_ods) for year, each in sorted(settings_by_year.items())
    }
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def changes(partner: Partner, wanted: Mapping[str, YearSetting]) -> list[YearChange]:
    """Return what saving ``wanted`` would change."""
    now = settings_of(partner)
    changed = {year: after for year, after in wanted.items() if after != now.get(year, _UNSET)}
    ready = readiness(partner, {year: each.sends_to_ods for year, each in changed.items()})
    running = dict(
        Job.objects.filter(
            tenant__partner=partner, school_year__in=changed, last_run__status__in=Run.UNFINISHED
        )
        .order_by()
        .values_list("school_year")
        .annotate(Count("pk"))
    )
    found = []
    for year in SchoolYear.objects.filter(pk__in=changed):
        after, of_year = changed[year.pk], ready[year.pk]
        unready = of_year.missing if after.enabled and of_year.ready is not None else 0
        found.append(
            YearChange(year, now.get(year.pk, _UNSET), after, running.get(year.pk, 0), unready)
        )
    return found


def save(partner: Partner, wanted: Mapping[str, YearSetting], *, seen: str) -> None:
    """Store ``wanted``, all or nothing.

    ``seen`` is the fingerprint of the settings the person looked at. Raises StaleYears if they have
    changed since.
    """
    with transaction.atomic():
        # Serializes changes to the same partner's years.
        Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)
        now = settings_of(partner)
        if fingerprint(now) != seen:
            raise StaleYears
        for year, after in wanted.items():
            if now.get(year, _UNSET) != after:
                SchoolYearConfig.objects.update_or_create(
                    partner=partner,
                    school_year_id=year,
                    defaults={"enabled": after.enabled, "sends_to_ods": after.sends_to_ods},
                )
