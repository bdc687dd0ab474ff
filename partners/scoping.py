"""Who sees what: superusers everything, partner admins their partner, users their tenants."""

from typing import TypeVar

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import F, Model, Q, QuerySet

from partners.models import Membership, Tenant

M = TypeVar("M", bound=Model)


def visible(
    rows: QuerySet[M], user: User | AnonymousUser, *, partner: str, tenant: str | None = None
) -> QuerySet[M]:
    """Return those of ``rows`` that ``user`` may see.

    ``partner`` and ``tenant`` are the look-ups that lead from a row to its partner and its tenant,
    such as ``tenant__partner`` and ``tenant``. Without ``tenant``, the rows are for admins only.
    """
    if not user.is_active or isinstance(user, AnonymousUser):
        return rows.none()
    if user.is_superuser:
        return rows
    of_partner = _administered(user)
    if tenant is None:
        return rows.filter(**{f"{partner}__in": of_partner})
    if tenant == "pk":
        # A tenant counts only with the membership's own partner.
        assigned = Tenant.objects.filter(
            membership__user=user,
            membership__role=Membership.Role.USER,
            membership__partner=F("partner"),
        )
        return rows.filter(Q(partner__in=of_partner) | Q(pk__in=assigned.values("pk")))
    return rows.filter(**{f"{tenant}__in": tenant_keys(user)})


def tenant_keys(user: User | AnonymousUser) -> list[int]:
    """Return the keys of the tenants that ``user`` may see.

    Not a subquery: with keys, PostgreSQL knows how few there are, and begins with them. They are
    cached on ``user``, which is loaded anew for each request.
    """
    keys: list[int] | None = getattr(user, "_tenant_keys", None)
    if keys is None:
        tenants = visible(Tenant.objects.order_by(), user, partner="partner", tenant="pk")
        keys = list(tenants.values_list("pk", flat=True))
        user._tenant_keys = keys  # type: ignore[union-attr]
    return keys


def is_member(user: User | AnonymousUser, *, admins_only: bool) -> bool:
    """Whether ``user`` is a member, as an admin of some partner or as a user."""
    if not user.is_active or isinstance(user, AnonymousUser):
        return False
    if user.is_superuser:
        return True
    return bool(_administered(user) if admins_only else _roles(user))


def administers(user: User | AnonymousUser, partner_id: str) -> bool:
    """Whether ``user`` is a superuser, or an admin of that partner."""
    if not user.is_active or isinstance(user, AnonymousUser):
        return False
    return bool(user.is_superuser or partner_id in _administered(user))


def _administered(user: User) -> list[str]:
    """Return the keys of the partners that ``user`` is an admin of."""
    return [
        partner for partner, role in _roles(user).items() if role == Membership.Role.PARTNER_ADMIN
    ]


def _roles(user: User) -> dict[str, str]:
    """Return the roles of ``user``, by the partner's key.

    Called for every model on every page, so the result is cached like the tenants' keys.
    """
    roles: dict[str, str] | None = getattr(user, "_roles", None)
    if roles is None:
        roles = dict(Membership.objects.filter(user=user).values_list("partner", "role"))
        user._roles = roles  # type: ignore[attr-defined]
    return roles
