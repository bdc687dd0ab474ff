import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection

from partners.models import OdsConnection, Partner, SchoolYear, Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    partner = Partner.objects.create(id="ea", name="Example agency")
    return Tenant.objects.create(partner=partner, code="grand_bend")


@pytest.fixture
def year() -> SchoolYear:
    return SchoolYear.objects.create(id="2526", start_year=2025, end_year=2026)


def test_cross_year_matching_is_off_until_somebody_turns_it_on(tenant):
    assert tenant.partner.cross_year_match_enabled is False


def test_a_tenant_has_one_active_ods_connection_a_year(tenant, year):
    def connect():
        return OdsConnection.objects.create(
            tenant=tenant, school_year=year, url="http://ods", client_id="a", client_secret="b"
        )

    connect()
    with pytest.raises(IntegrityError, match="one_active_ods_connection"):
        connect()


def test_the_database_never_sees_an_ods_secret(tenant, year):
    made = OdsConnection.objects.create(
        tenant=tenant, school_year=year, url="http://ods", client_id="a", client_secret="hush"
    )
    with connection.cursor() as cursor:
        cursor.execute("select client_secret from partners_odsconnection")
        stored = cursor.fetchone()[0]
    assert "hush" not in stored
    assert OdsConnection.objects.get(pk=made.pk).client_secret == "hush"


@pytest.mark.parametrize("namespace", ["uri://ed-fi.org", "uri://tx-schools.example/a/b", ""])
def test_a_descriptor_namespace_is_taken(namespace):
    Partner(id="ea", name="EA", descriptor_namespace=namespace).full_clean()


@pytest.mark.parametrize(
    "namespace",
    ["ed-fi.org", "uri://", "uri://ed-fi.org/", "uri://a#b", "uri://a b", "http://a", "uri://a\n"],
)
def test_a_descriptor_namespace_that_no_ods_could_know_is_refused(namespace):
    with pytest.raises(ValidationError, match="A namespace such as"):
        Partner(id="ea", name="EA", descriptor_namespace=namespace).full_clean()
