import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse

from partners.models import Membership, OdsConnection, Partner, Tenant
from tests import factories, people
from tests.edu.conftest import use_edu

pytestmark = pytest.mark.django_db


@pytest.fixture
def mine():
    return factories.make_ods_connection(client_secret="hush-hush")


@pytest.fixture
def foreign():
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    return factories.make_ods_connection(tenant=far, url="http://far.test/ods")


def page(model, what="changelist", *args):
    return reverse(f"admin:partners_{model}_{what}", args=args)


def change(connection, **values):
    fields = {"url": connection.url, "client_id": connection.client_id, "secret": ""}
    return fields | values


def test_an_ods_secret_is_never_shown(mine):
    client = people.logged_in(people.make_superuser())
    for url in (
        page("odsconnection"),
        page("odsconnection", "change", mine.pk),
        page("odsconnection", "history", mine.pk),
    ):
        assert b"hush-hush" not in client.get(url).content
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    retired = client.get(page("odsconnection", "change", mine.pk))
    assert retired.status_code == 200
    assert b"hush-hush" not in retired.content


def test_changing_a_connection_retires_it_and_makes_the_next_with_the_old_secret(mine):
    client = people.logged_in(people.make_partner_admin())
    answer = client.post(
        page("odsconnection", "change", mine.pk), change(mine, url="http://new.test/ods")
    )
    assert answer.status_code == 302
    old, new = OdsConnection.objects.order_by("pk")
    assert (old.pk, old.url, old.is_active) == (mine.pk, mine.url, False)
    assert (new.url, new.client_secret, new.is_active) == ("http://new.test/ods", "hush-hush", True)


def test_a_new_secret_replaces_the_old_one_and_is_stored_encrypted(mine):
    client = people.logged_in(people.make_partner_admin())
    client.post(page("odsconnection", "change", mine.pk), change(mine, secret=" new secret "))
    new = OdsConnection.objects.get(retired_at=None)
    assert new.pk != mine.pk
    assert new.client_secret == " new secret "
    with connection.cursor() as cursor:
        cursor.execute("select client_secret from partners_odsconnection")
        assert all("secret" not in row[0] for row in cursor.fetchall())


def test_saving_without_a_change_keeps_the_connection(mine):
    client = people.logged_in(people.make_partner_admin())
    client.post(page("odsconnection", "change", mine.pk), change(mine))
    assert OdsConnection.objects.get().is_active


def test_a_retired_connection_cannot_be_changed(mine):
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    client = people.logged_in(people.make_superuser())
    answer = client.post(
        page("odsconnection", "change", mine.pk), change(mine, url="http://x.test")
    )
    assert answer.status_code == 403


def test_a_second_active_connection_is_refused_in_words(mine):
    client = people.logged_in(people.make_partner_admin())
    answer = client.post(
        page("odsconnection", "add"),
        change(mine, tenant=mine.tenant_id, school_year=mine.school_year_id, secret="x"),
    )
    assert "has an active ODS connection for that year" in answer.content.decode()
    assert OdsConnection.objects.count() == 1


def test_a_new_connection_needs_a_secret():
    tenant, year = factories.make_tenant(), factories.make_year()
    client = people.logged_in(people.make_partner_admin())
    fields = {"tenant": tenant.pk, "school_year": year.pk, "url": "http://a.test", "client_id": "a"}
    assert b"Enter the client secret" in client.post(page("odsconnection", "add"), fields).content
    client.post(page("odsconnection", "add"), fields | {"secret": "s3cret"})
    assert OdsConnection.objects.get().client_secret == "s3cret"


def test_a_secret_that_no_key_opens_can_be_entered_anew(mine, settings):
    settings.ENCRYPTION_KEYS = ["b3RoZXJrZXktb3RoZXJrZXktb3RoZXJrZXktb3RoZXI="]
    client = people.logged_in(people.make_partner_admin())
    assert client.get(page("odsconnection")).status_code == 200
    url = page("odsconnection", "change", mine.pk)
    assert b"Enter it anew" in client.post(url, change(mine, client_id="b")).content
    assert client.post(url, change(mine, secret="again")).status_code == 302
    assert OdsConnection.objects.get(retired_at=None).client_secret == "again"


def test_connections_can_be_retired_from_the_list(mine, foreign):
    client = people.logged_in(people.make_partner_admin())
    client.post(
        page("odsconnection"), {"action": "retire", "_selected_action": [mine.pk, foreign.pk]}
    )
    assert not OdsConnection.objects.get(pk=mine.pk).is_active
    assert OdsConnection.objects.get(pk=foreign.pk).is_active


def test_a_partner_admin_finds_nothing_of_another_partner(mine, foreign):
    client = people.logged_in(people.make_partner_admin())
    listed = client.get(page("odsconnection")).content.decode()
    assert mine.url in listed
    assert "far" not in listed
    for model, key in (
        ("odsconnection", foreign.pk),
        ("tenant", foreign.tenant_id),
        ("partner", "tx"),
    ):
        for what in ("change", "history", "delete"):
            answer = client.get(page(model, what, key))
            assert answer.status_code in (302, 403)
            assert b"far" not in answer.content
    answer = client.post(
        page("odsconnection", "change", foreign.pk), change(foreign, url="http://evil.test")
    )
    assert answer.status_code in (302, 403)
    assert not OdsConnection.objects.filter(url="http://evil.test").exists()


def test_a_partner_admin_cannot_add_to_another_partner(mine, foreign):
    client = people.logged_in(people.make_partner_admin())
    assert b"far" not in client.get(page("odsconnection", "add")).content
    fields = change(foreign, tenant=foreign.tenant_id, school_year="2526", secret="x")
    OdsConnection.objects.filter(pk=foreign.pk).delete()
    client.post(page("odsconnection", "add"), fields)
    client.post(page("tenant", "add"), {"partner": "tx", "code": "new"})
    assert not OdsConnection.objects.filter(tenant=foreign.tenant).exists()
    assert not Tenant.objects.filter(code="new").exists()


def test_a_partner_admin_turns_cross_year_matching_on_for_the_own_partner(settings, sandbox_edu):
    use_edu(settings, sandbox_edu.environment())
    client = people.logged_in(people.make_partner_admin())
    client.post(
        page("partner", "change", "ea"), {"name": "Example", "cross_year_match_enabled": "on"}
    )
    assert Partner.objects.get(pk="ea").cross_year_match_enabled
    assert client.get(page("partner", "add")).status_code == 403


def test_resetting_edu_reaches_the_own_partner_only():
    factories.make_partner("tx")
    client = people.logged_in(people.make_partner_admin())
    client.post(
        page("partner"), {"action": "reset_edu_connections", "_selected_action": ["ea", "tx"]}
    )
    generations = dict(Partner.objects.values_list("pk", "edu_generation"))
    assert generations == {"ea": 1, "tx": 0}


def test_where_files_lie_cannot_be_moved_by_renaming(mine):
    client = people.logged_in(people.make_superuser())
    client.post(page("tenant", "change", mine.tenant_id), {"code": "renamed", "name": "New name"})
    tenant = Tenant.objects.get(pk=mine.tenant_id)
    assert (tenant.code, tenant.name) == ("grand_bend", "New name")


@pytest.mark.parametrize(
    "model", ["partner", "tenant", "schoolyear", "schoolyearconfig", "odsconnection", "membership"]
)
def test_a_user_has_no_business_with_settings(mine, model):
    client = people.logged_in(people.make_user())
    assert client.get(page(model)).status_code == 403
    assert client.get(page(model, "add")).status_code == 403


@pytest.mark.parametrize(
    "model", ["partner", "tenant", "schoolyear", "schoolyearconfig", "odsconnection", "membership"]
)
def test_superusers_list_search_and_add_everything(mine, model):
    factories.make_config()
    people.make_user()
    client = people.logged_in(people.make_superuser())
    assert client.get(page(model), {"q": "a"}).status_code == 200
    assert client.get(page(model, "add")).status_code == 200


def test_only_superusers_make_members_who_may_then_log_in():
    assert people.logged_in(people.make_partner_admin()).get(page("membership")).status_code == 403
    person = User.objects.create_user("newcomer")
    tenant = factories.make_tenant()
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    client = people.logged_in(people.make_superuser())
    fields = {"user": person.pk, "partner": "ea", "role": "user", "tenants": [far.pk]}
    refused = client.post(page("membership", "add"), fields)
    assert b"Not of this partner: far" in refused.content
    client.post(page("membership", "add"), fields | {"tenants": [tenant.pk]})
    assert Membership.objects.get(user=person).tenants.get() == tenant
    person.refresh_from_db()
    assert person.is_staff
