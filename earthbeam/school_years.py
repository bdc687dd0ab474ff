"""A partner's school years: what is set, and what a change does."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from earthbeam.models import Job, Run
from partners.models import Partner, SchoolYear, SchoolYearConfig
from partners.readiness import readiness


class StaleYears(Exception):
    """Somebody else changed the partner's school years since they were looked at."""


@dataclass(frozen=True)
class YearSetting:
    """Whether jobs are taken for a year, and whether they go to an ODS."""

    enabled: bool = False
    sends_to_ods: bool = True

    def __str__(self) -> str:
        if not self.enabled:
            return "not enabled"
        return "enabled, to the ODS" if self.sends_to_ods else "enabled, not to an ODS"


@dataclass(frozen=True)
class YearChange:
    """A year's setting before and after; ``running`` counts jobs that are queued or running."""

    year: SchoolYear
    before: YearSetting
    after: YearSetting
    running: int
    unready: int
    """Tenants without what the new setting needs, as far as the database knows."""


def settings_of(partner: Partner) -> dict[str, YearSetting]:
    """The partner's settings by the year's id; a year without one is not enabled."""
    rows = SchoolYearConfig.objects.filter(partner=partner).order_by("school_year")
    return {row.school_year_id: YearSetting(row.enabled, row.sends_to_ods) for row in rows}


def fingerprint(settings_by_year: Mapping[str, YearSetting]) -> str:
    """Tells one state of the settings from another."""
    state = {
        year: (each.enabled, each.sends_to_ods) for year, each in sorted(settings_by_year.items())
    }
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def changes(partner: Partner, wanted: Mapping[str, YearSetting]) -> list[YearChange]:
    """What saving ``wanted`` would change."""
    now = settings_of(partner)
    found = []
    for year in SchoolYear.objects.filter(pk__in=wanted):
        before, after = now.get(year.pk, YearSetting()), wanted[year.pk]
        if before == after:
            continue
        running = Job.objects.filter(
            tenant__partner=partner, school_year=year, last_run__status__in=Run.UNFINISHED
        ).count()
        unready = 0
        if after.enabled:
            ready = readiness(partner, year, sends_to_ods=after.sends_to_ods)
            unready = ready.missing if ready.ready is not None else 0
        found.append(YearChange(year, before, after, running, unready))
    return found


def save(partner: Partner, wanted: Mapping[str, YearSetting], *, seen: str) -> None:
    """Store ``wanted``, all of it or none.

    ``seen`` is the fingerprint of what the person looked at. Raises StaleYears if that is not what
    there is now.
    """
    with transaction.atomic():
        # Whoever saves a partner's years waits here for the one before.
        Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)
        now = settings_of(partner)
        if fingerprint(now) != seen:
            raise StaleYears
        for year, after in wanted.items():
            if now.get(year, YearSetting()) != after:
                SchoolYearConfig.objects.update_or_create(
                    partner=partner,
                    school_year_id=year,
                    defaults={"enabled": after.enabled, "sends_to_ods": after.sends_to_ods},
                )
