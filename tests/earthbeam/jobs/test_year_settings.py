from functools import partial

import pytest

from earthbeam.jobs.year_settings import (
    StaleYears,
    YearSetting,
    changes,
    fingerprint,
    save,
    settings_of,
)
from earthbeam.models import Run
from partners.models import SchoolYearConfig
from tests import factories
from tests.at_once import at_once

pytestmark = pytest.mark.django_db

OFF, ODS, EDU = YearSetting(), YearSetting(True, True), YearSetting(True, False)


@pytest.fixture
def partner():
    return factories.make_partner()


@pytest.fixture
def year():
    return factories.make_year()


def test_years_are_saved_and_those_without_a_setting_stay_so(partner, year):
    factories.make_year("2425")
    save(partner, {"2526": EDU, "2425": OFF}, seen=fingerprint(settings_of(partner)))
    assert settings_of(partner) == {"2526": EDU}


def test_a_change_says_what_runs_and_who_lacks_a_connection(partner, year):
    job = factories.make_job(year=year)
    for status in (Run.Status.RUNNING, Run.Status.SUCCESS):
        run = factories.make_run(factories.make_job(year=year), status)
        type(job).objects.filter(pk=run.job_id).update(last_run=run)
    factories.make_tenant("second")
    (change,) = changes(partner, {"2526": OFF})
    assert (change.before, change.after) == (ODS, OFF)
    assert (change.running, change.unready) == (1, 0)
    save(partner, {"2526": OFF}, seen=fingerprint(settings_of(partner)))
    (change,) = changes(partner, {"2526": ODS})
    assert change.unready == 1
    assert changes(partner, {"2526": OFF}) == []


def test_other_partners_years_are_not_touched(partner, year):
    other = factories.make_partner("tx")
    factories.make_config(partner=other, year=year)
    save(partner, {"2526": OFF}, seen=fingerprint(settings_of(partner)))
    assert settings_of(other) == {"2526": ODS}


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(partner, year):
    seen = fingerprint(settings_of(partner))
    factories.make_config(year=year)
    with pytest.raises(StaleYears):
        save(partner, {"2526": EDU}, seen=seen)
    assert settings_of(partner) == {"2526": ODS}


@pytest.mark.django_db(transaction=True)
def test_of_many_who_save_at_once_one_does_so_wholly(partner):
    for code in ("2324", "2425", "2526"):
        factories.make_year(code)
    seen = fingerprint(settings_of(partner))
    wishes = [
        {"2324": ODS, "2425": EDU},
        {"2425": ODS, "2526": EDU},
        {"2324": EDU, "2526": ODS},
        {"2526": EDU},
    ]
    results = at_once([partial(save, partner, wish, seen=seen) for wish in wishes])
    assert sum(isinstance(result, StaleYears) for result in results) == 3
    assert settings_of(partner) in wishes


@pytest.mark.django_db(transaction=True)
def test_jobs_can_be_submitted_while_years_are_saved(partner, year):
    """The lock does not hold up what only refers to the partner."""
    from django.db import connection, transaction

    from partners.models import Partner, Tenant

    with transaction.atomic():
        Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)

        def add():
            with connection.cursor() as cursor:
                cursor.execute("set lock_timeout = '5s'")
            Tenant.objects.create(partner=partner, code="new")

        assert at_once([add]) == [None]
    assert SchoolYearConfig.objects.count() == 0
