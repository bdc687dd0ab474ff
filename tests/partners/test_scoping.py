import pytest
from django.contrib.auth.models import AnonymousUser, User

from partners.models import Membership, Tenant
from partners.scoping import is_member, visible
from tests import factories, people

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def tenants():
    factories.make_tenant("one")
    factories.make_tenant("two")
    factories.make_tenant("far", partner=factories.make_partner("tx"))


def seen_by(user):
    rows = visible(Tenant.objects.all(), user, partner="partner", tenant="pk")
    return set(rows.values_list("code", flat=True))


def administered_by(user):
    return set(
        visible(Tenant.objects.all(), user, partner="partner").values_list("code", flat=True)
    )


def test_a_superuser_sees_all():
    assert seen_by(people.make_superuser()) == {"one", "two", "far"}


def test_a_partner_admin_sees_the_partner():
    admin = people.make_partner_admin()
    assert seen_by(admin) == administered_by(admin) == {"one", "two"}


def test_a_user_sees_their_tenants_and_administers_none():
    user = people.make_user(tenant=factories.make_tenant("one"))
    assert seen_by(user) == {"one"}
    assert administered_by(user) == set()


def test_a_user_of_two_partners_sees_the_tenants_of_both():
    user = people.make_user(tenant=factories.make_tenant("one"))
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    Membership.objects.create(user=user, partner=far.partner).tenants.add(far)
    assert seen_by(user) == {"one", "far"}


def test_a_tenant_of_another_partner_does_not_count():
    user = people.make_user(tenant=factories.make_tenant("one"))
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    user.memberships.get().tenants.add(far)
    assert seen_by(user) == {"one"}


def test_tenants_left_over_from_being_a_user_do_not_widen_an_admins_view():
    admin = people.make_partner_admin()
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    admin.memberships.get().tenants.add(far)
    assert seen_by(admin) == {"one", "two"}


def test_who_is_nobody_here_sees_nothing():
    stranger = User.objects.create_user("stranger", is_staff=True)
    gone = people.make_superuser("gone")
    gone.is_active = False
    for user in (stranger, gone, AnonymousUser()):
        assert seen_by(user) == set()
        assert not is_member(user, admins_only=False)
