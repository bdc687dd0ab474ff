"""People who log in: what they are of partner ea and its tenant grand_bend, unless told else."""

from django.contrib.auth.models import User
from django.test import Client

from partners.models import Membership, Partner, Tenant
from tests import factories


def make_superuser(name: str = "root") -> User:
    return User.objects.create_superuser(name, password="x")


def make_partner_admin(name: str = "admin", *, partner: Partner | None = None) -> User:
    user = User.objects.create_user(name, is_staff=True)
    Membership.objects.create(
        user=user, partner=partner or factories.make_partner(), role=Membership.Role.PARTNER_ADMIN
    )
    return user


def make_user(name: str = "user", *, tenant: Tenant | None = None) -> User:
    user = User.objects.create_user(name, is_staff=True)
    tenant = tenant or factories.make_tenant()
    Membership.objects.create(user=user, partner=tenant.partner).tenants.add(tenant)
    return user


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
