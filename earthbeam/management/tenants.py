"""Find the tenant that a command names."""

from django.core.management.base import CommandError

from partners.models import Tenant


def find_tenant(partner: str, code: str) -> Tenant:
    """Return the tenant. Raises CommandError with the codes that there are."""
    tenant = Tenant.objects.select_related("partner").filter(partner=partner, code=code).first()
    if tenant is not None:
        return tenant
    codes = Tenant.objects.filter(partner=partner).order_by("code").values_list("code", flat=True)
    if not codes:
        raise CommandError(f"There is no partner {partner!r} with tenants.")
    raise CommandError(f"{partner} has no tenant {code!r}. It has: {', '.join(codes[:20])}.")
