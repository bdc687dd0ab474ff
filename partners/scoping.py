"""Who sees what: superusers everything, partner admins their partner, users their tenants."""

from typing import TypeVar

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import F, Model, Q, QuerySet

from partners.models import Membership, Tenant

M = TypeVar("M", bound=Model)


def visible(
    rows: QuerySet[M], user: User | AnonymousUser, *, partner: str, tenant: str | None = None
) -> QuerySet[M]:
    """Those of ``rows`` that ``user`` may see.

    ``partner`` and ``tenant`` are the look-ups that lead from a row to its partner and its tenant,
    such as ``tenant__partner`` and ``tenant``. Without ``tenant`` the rows are for admins only.
    """
    if not user.is_active or isinstance(user, AnonymousUser):
        return rows.none()
    if user.is_superuser:
        return rows
    administered = Membership.objects.filter(user=user, role=Membership.Role.PARTNER_ADMIN)
    of_partner = administered.values("partner")
    if tenant is None:
        return rows.filter(**{f"{partner}__in": of_partner})
    # A tenant counts only with the partner of the membership itself.
    assigned = Tenant.objects.filter(
        membership__user=user,
        membership__role=Membership.Role.USER,
        membership__partner=F("partner"),
    )
    # One condition on the tenant, so that the database can begin with the few that there are.
    seen = Tenant.objects.filter(Q(partner__in=of_partner) | Q(pk__in=assigned.values("pk")))
    return rows.filter(**{f"{tenant}__in": seen.order_by().values("pk")})


def is_member(user: User | AnonymousUser, *, admins_only: bool) -> bool:
    """Whether ``user`` has business here at all, as an admin of some partner or as a user."""
    if not user.is_active or isinstance(user, AnonymousUser):
        return False
    if user.is_superuser:
        return True
    memberships = Membership.objects.filter(user=user)
    if admins_only:
        memberships = memberships.filter(role=Membership.Role.PARTNER_ADMIN)
    return memberships.exists()
