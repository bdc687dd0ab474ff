from functools import partial

import pytest

from earthbeam.models import Run
from earthbeam.school_years import (
    StaleYears,
    YearSetting,
    changes,
    fingerprint,
    readiness,
    save,
    settings_of,
    without_connection,
)
from partners.models import OdsConnection, SchoolYearConfig
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


def test_tenants_are_ready_for_an_ods_year_with_an_active_connection(partner, year):
    first, second, third = (factories.make_tenant(code) for code in ("a", "b", "c"))
    factories.make_ods_connection(tenant=first, year=year)
    OdsConnection.objects.update(check_ok=False)
    retired = factories.make_ods_connection(tenant=second, year=year)
    OdsConnection.objects.filter(pk=retired.pk).update(retired_at="2026-01-01T00:00Z")
    factories.make_ods_connection(tenant=third, year=factories.make_year("2425"))
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    factories.make_ods_connection(tenant=far, year=year)
    found = readiness(partner, year, ODS)
    assert (found.tenants, found.ready, found.missing) == (3, 1, 2)
    assert (found.failing, found.untested) == (1, 0)
    assert list(without_connection(partner, year)) == [second, third]


def test_without_an_ods_all_are_ready_by_cross_year_matching_and_else_nobody_knows(partner, year):
    factories.make_tenant()
    assert readiness(partner, year, EDU).ready is None
    partner.cross_year_match_enabled = True
    assert readiness(partner, year, EDU).ready == 1


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
