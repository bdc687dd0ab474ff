"""The base of all admin classes whose rows belong to a partner or a tenant."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import ForeignKey, ManyToManyField, QuerySet
from django.forms import ModelChoiceField, ModelMultipleChoiceField
from django.http import HttpRequest

from partners import scoping
from partners.models import Partner, Tenant


class _Completed(AutocompleteSelect):
    """Django's, which fails on a value that is not a key; URLs and forms may contain anything."""

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        return super().optgroups(name, [each for each in value if str(each).isdecimal()], attr)


class ScopedAdmin(admin.ModelAdmin):
    """Lists, opens, and offers only what the person may see: see partners/scoping.py.

    Memberships decide, not Django's model permissions. Only superusers can delete.
    """

    partner_lookup = "partner"
    tenant_lookup: str | None = None
    """None means for partner admins only."""

    # Counting all rows of a large table, or those of each filter, is too slow.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return scoping.visible(
            super().get_queryset(request),
            request.user,
            partner=self.partner_lookup,
            tenant=self.tenant_lookup,
        )

    def formfield_for_foreignkey(
        self, db_field: "ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField | None:
        choices = _choices(db_field.related_model, request)
        if choices is not None:
            kwargs["queryset"] = choices
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = _Completed(db_field, self.admin_site, using=kwargs.get("using"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(
        self, db_field: "ManyToManyField[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField | None:
        choices = _choices(db_field.related_model, request)
        if choices is not None:
            kwargs["queryset"] = choices
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> Any:
        try:
            queryset.filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME))
        except (ValueError, ValidationError):
            raise BadRequest("The selection is not valid.") from None
        return super().response_action(request, queryset, *args, **kwargs)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may_enter(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_enter(request) and self._sees(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may_enter(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_enter(request) and self._sees(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def _may_enter(self, request: HttpRequest) -> bool:
        return scoping.is_member(request.user, admins_only=self.tenant_lookup is None)

    def _sees(self, request: HttpRequest, obj: Any) -> bool:
        return obj is None or self.get_queryset(request).filter(pk=obj.pk).exists()


class SuperuserAdmin(admin.ModelAdmin):
    """What only superusers see and change."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


def _choices(model: Any, request: HttpRequest) -> QuerySet[Any] | None:
    """Return the rows of ``model`` that may be offered, or None if all may."""
    if model is Partner:
        return scoping.visible(Partner.objects.all(), request.user, partner="pk")
    if model is Tenant:
        return scoping.visible(Tenant.objects.all(), request.user, partner="partner", tenant="pk")
    return None
