import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from partners.models import Membership
from tests import factories, people

pytestmark = pytest.mark.django_db


def sign_in(name, password):
    client = Client()
    return client, client.post(
        "/admin/login/", {"username": name, "password": password}, follow=True
    )


def test_a_local_account_and_an_issuer_are_offered_side_by_side(oidc):
    plain = Client().get("/admin/login/").content.decode()
    assert "Sign in with" not in plain
    oidc()
    page = Client().get("/admin/login/?next=/admin/earthbeam/job/").content.decode()
    assert 'name="password"' in page
    assert "Sign in with Example Schools" in page
    assert page.count('name="next" value="/admin/earthbeam/job/"') == 2


@pytest.mark.parametrize("is_staff", [True, False])
def test_somebody_without_a_membership_learns_what_is_missing_and_can_sign_out(is_staff):
    User.objects.create_user("ann", password="x", is_staff=is_staff)
    client, answer = sign_in("ann", "x")
    text = answer.content.decode()
    assert "Your account has no access yet" in text
    assert "Ask a Runway superuser" in text
    assert 'name="password"' not in text
    client.post("/sign-out/")
    assert 'name="password"' in client.get("/admin/login/").content.decode()


def test_who_becomes_a_member_needs_no_new_sign_in():
    user = User.objects.create_user("ann", password="x", is_staff=True)
    client, _ = sign_in("ann", "x")
    Membership.objects.create(user=user, partner=factories.make_partner())
    assert client.get("/admin/").status_code == 200


def test_who_is_no_member_any_more_is_out_at_once():
    user = people.make_partner_admin("ann")
    client = people.logged_in(user)
    assert client.get("/admin/").status_code == 200
    user.memberships.all().delete()
    assert client.get("/admin/")["Location"].startswith("/admin/login/")


def test_a_tenant_or_a_role_taken_away_is_so_from_the_next_request_on():
    job = factories.make_job()
    person = people.make_user("ann", tenant=job.tenant)
    client = people.logged_in(person)
    the_job = reverse("admin:earthbeam_job_live", args=[job.pk])
    tenants = reverse("admin:partners_tenant_changelist")
    member = person.memberships.get()
    assert (client.get(the_job).status_code, client.get(tenants).status_code) == (200, 403)
    member.tenants.clear()
    assert (client.get(the_job).status_code, client.get(tenants).status_code) == (404, 403)
    Membership.objects.update(role=Membership.Role.PARTNER_ADMIN)
    assert (client.get(the_job).status_code, client.get(tenants).status_code) == (200, 200)
    Membership.objects.update(role=Membership.Role.USER)
    assert (client.get(the_job).status_code, client.get(tenants).status_code) == (404, 403)
    member.tenants.add(job.tenant)
    assert (client.get(the_job).status_code, client.get(tenants).status_code) == (200, 403)


def test_a_superuser_makes_an_account_for_somebody_who_signs_in_by_an_issuer():
    root = people.logged_in(people.make_superuser())
    form = {"username": "ann", "email": "ann@example.org", "usable_password": "false"}
    assert root.post("/admin/auth/user/add/", form).status_code == 302
    ann = User.objects.get(username="ann")
    assert (ann.email, ann.has_usable_password(), ann.is_staff) == ("ann@example.org", False, False)
