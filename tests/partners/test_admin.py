import pytest
from django.contrib.auth.models import User
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
    fields = {"url": "http://evil.test", "client_id": "a", "secret": "x"}
    answer = client.post(page("odsconnection", "change", foreign.pk), fields)
    assert answer.status_code in (302, 403)
    assert not OdsConnection.objects.filter(url="http://evil.test").exists()


def test_a_partner_admin_cannot_add_to_another_partner(mine, foreign):
    client = people.logged_in(people.make_partner_admin())
    assert b"far" not in client.get(page("odsconnection", "add")).content
    fields = {
        "tenant": foreign.tenant_id,
        "school_year": "2526",
        "url": foreign.url,
        "client_id": "a",
        "secret": "x",
        "save_anyway": "on",
        "reason": "a test",
    }
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
    # School years are set on the partner's page, which says what a change does.
    expected = 403 if model == "schoolyearconfig" else 200
    assert client.get(page(model, "add")).status_code == expected


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


def save_checks(client, **changes):
    fields = {"name": "Example", "identity_checks": "off", **changes}
    return client.post(page("partner", "change", "ea"), fields)


def test_a_partner_admin_turns_identity_checks_on_and_it_is_kept_who_did(mine):
    client = people.logged_in(people.make_partner_admin())
    form = client.get(page("partner", "change", "ea")).content.decode()
    assert "names and birth dates" in " ".join(form.split())
    assert "never: they are off" in form
    assert save_checks(client, identity_checks="hold").status_code == 302
    partner = Partner.objects.get(pk="ea")
    assert partner.identity_checks == "hold"
    assert partner.identity_checks_changed_by == "admin"
    assert "by admin, " in client.get(page("partner", "change", "ea")).content.decode()


def test_a_page_from_before_the_upgrade_leaves_identity_checks_as_they_are(mine):
    Partner.objects.update(identity_checks="report")
    client = people.logged_in(people.make_partner_admin())
    assert client.post(page("partner", "change", "ea"), {"name": "New"}).status_code == 302
    partner = Partner.objects.get(pk="ea")
    assert (partner.name, partner.identity_checks) == ("New", "report")
    assert partner.identity_checks_changed_at is None
