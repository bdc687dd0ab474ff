import pytest

from partners.models import OdsConnection, Tenant
from partners.readiness import gaps, readiness, without_connection
from tests import factories, people

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner():
    return factories.make_partner()


@pytest.fixture
def year():
    return factories.make_year()


def test_tenants_are_ready_for_an_ods_year_with_an_active_connection(partner, year):
    first, second, third = (factories.make_tenant(code) for code in ("a", "b", "c"))
    factories.make_ods_connection(tenant=first, year=year)
    OdsConnection.objects.update(check_ok=False)
    retired = factories.make_ods_connection(tenant=second, year=year)
    OdsConnection.objects.filter(pk=retired.pk).update(retired_at="2026-01-01T00:00Z")
    factories.make_ods_connection(tenant=third, year=factories.make_year("2425"))
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    factories.make_ods_connection(tenant=far, year=year)
    found = readiness(partner, {year.pk: True})[year.pk]
    assert (found.tenants, found.ready, found.missing) == (3, 1, 2)
    assert (found.failing, found.untested) == (1, 0)
    assert list(without_connection(Tenant.objects.filter(partner=partner), year)) == [second, third]


def test_without_an_ods_all_are_ready_by_cross_year_matching_and_else_nobody_knows(partner, year):
    factories.make_tenant()
    assert readiness(partner, {year.pk: False})[year.pk].ready is None
    partner.cross_year_match_enabled = True
    assert readiness(partner, {year.pk: False})[year.pk].ready == 1


@pytest.mark.parametrize("sends_to_ods", [True, False])
@pytest.mark.parametrize("cross_year", [True, False])
@pytest.mark.parametrize("connected", [0, 1, 2])
def test_the_start_page_and_the_page_of_years_agree(sends_to_ods, cross_year, connected, year):
    """A year is a gap exactly where not all tenants are known to be ready."""
    partner = factories.make_partner(cross_year_match_enabled=cross_year)
    factories.make_config(year=year, sends_to_ods=sends_to_ods)
    tenants = [factories.make_tenant(code) for code in ("a", "b")]
    for tenant in tenants[:connected]:
        factories.make_ods_connection(tenant=tenant, year=year)
    found = readiness(partner, {year.pk: sends_to_ods})[year.pk]
    shown = gaps(people.make_partner_admin(partner=partner))
    assert bool(shown) == (found.ready != found.tenants)
    if shown and sends_to_ods:
        assert f"for {found.missing} of {found.tenants} tenants" in shown[0].missing
