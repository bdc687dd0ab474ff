"""ODS connections: tested before they are saved, and again on request."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from partners import audit
from partners.encryption import UndecryptableSecret
from partners.list_filters import CheckFilter, PartnerFilter, RetiredFilter, TenantFilter
from partners.models import OdsConnection
from partners.ods.check import OdsCheck, check
from partners.ods.forms import OdsConnectionForm
from partners.scoped_admin import ScopedAdmin

MAX_TESTED = 20
"""How many connections one request can test."""
_TESTS_AT_ONCE = 10


class _Overtaken(Exception):
    """Somebody else has changed or added the connection. ``str()`` of it says so."""


@admin.register(OdsConnection)
class OdsConnectionAdmin(ScopedAdmin):
    """Connections are never changed: a change retires one and creates the next."""

    form = OdsConnectionForm
    partner_lookup = "tenant__partner"
    list_display = ["tenant", "school_year", "url", "client_id", "state", "checked_at"]
    list_filter = [
        ("retired_at", RetiredFilter),
        ("check_ok", CheckFilter),
        PartnerFilter.at("tenant__partner"),
        TenantFilter.at("tenant"),
        "school_year",
    ]
    list_select_related = ["tenant", "school_year"]
    search_fields = ["tenant__code", "tenant__name", "url", "client_id"]
    autocomplete_fields = ["tenant"]  # there may be a thousand
    actions = ["test_selected", "retire"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OdsConnection]:
        # Secrets are not needed here, and one that cannot be decrypted must not break the list.
        return super().get_queryset(request).defer("client_secret")

    def get_fields(self, request: HttpRequest, obj: OdsConnection | None = None) -> list[Any]:
        fields = ["tenant", "school_year", "url", "client_id"]
        if obj is None:
            return [*fields, "secret"]
        if not self.has_change_permission(request, obj):
            return [*fields, "created_at", "retired_at"]
        return [*fields, "secret", "created_at"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: OdsConnection | None = None
    ) -> list[str]:
        return ["tenant", "school_year", "created_at", "retired_at"] if obj else []

    def has_change_permission(self, request: HttpRequest, obj: OdsConnection | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.is_active)

    # --- Saving --------------------------------------------------------------------------------

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except _Overtaken as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:partners_odsconnection_changelist"))

    def save_model(
        self, request: HttpRequest, obj: OdsConnection, form: ModelForm, change: bool
    ) -> None:
        assert isinstance(form, OdsConnectionForm)
        if change and not form.is_change:
            return
        obj.client_secret = form.effective_secret()
        for name, value in _result(form.result).items():
            setattr(obj, name, value)
        obj.saved_anyway_reason = form.cleaned_data["reason"] if form.failed_check else ""
        if change:
            if not _retire(OdsConnection.objects.filter(pk=obj.pk)):
                raise _Overtaken(
                    "Not saved: someone else changed or retired this connection. "
                    "Review the current connections."
                )
            obj.pk, obj._state.adding = None, True
        try:
            with transaction.atomic():
                obj.save()
        except IntegrityError:
            raise _Overtaken(
                "Not saved: someone else added a connection for this tenant and year. "
                "Review the current connections."
            ) from None

    # --- Testing -------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self._test))
        own = path("<path:object_id>/test/", view, name="partners_odsconnection_test")
        return [own, *super().get_urls()]

    def _test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        connection = self.get_object(request, unquote(object_id))
        if connection is None:
            raise Http404
        if not self.has_change_permission(request, connection):
            raise PermissionDenied
        if _test_all([connection])[0].ok:
            self.message_user(request, "This connection works.", messages.SUCCESS)
        else:
            self.message_user(request, "The test failed. See the result below.", messages.ERROR)
        url = reverse("admin:partners_odsconnection_change", args=(connection.pk,))
        return HttpResponseRedirect(url)

    @admin.action(description="Test selected connections", permissions=["change"])
    def test_selected(self, request: HttpRequest, rows: QuerySet[OdsConnection]) -> None:
        connections = list(rows.filter(retired_at=None).select_related("tenant", "school_year"))
        if len(connections) > MAX_TESTED:
            text = f"Select up to {MAX_TESTED} connections at once; nothing was tested."
            self.message_user(request, text, messages.ERROR)
            return
        checks = _test_all(connections)
        for connection, result in zip(connections, checks, strict=True):
            if not result.ok:
                name = f"{connection.tenant}, {connection.school_year}"
                self.message_user(request, f"{name}: {result.finding}", messages.ERROR)
        if works := sum(result.ok for result in checks):
            text = f"{works} of {len(checks)} connections tested work."
            self.message_user(request, text, messages.SUCCESS)
        if not connections:
            text = "Retired connections are not tested, and you selected no others."
            self.message_user(request, text, messages.WARNING)

    @admin.display(description="State", ordering="check_ok")
    def state(self, obj: OdsConnection) -> SafeString:
        tone, words = state(obj)
        return format_html('<span class="rw-pill {}">{}</span>', tone, words)

    @admin.action(description="Retire selected connections", permissions=["change"])
    def retire(self, request: HttpRequest, rows: QuerySet[OdsConnection]) -> None:
        self.message_user(request, f"{_retire(rows)} connection(s) retired.")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if obj := kwargs.get("obj"):
            context["state_tone"], context["state_words"] = state(obj)
        return super().render_change_form(request, context, *args, **kwargs)


def state(connection: OdsConnection) -> tuple[str, str]:
    """Return a connection's state: the class of runway.css, and words."""
    if not connection.is_active:
        return "rw-idle", "Retired"
    if connection.check_ok is None:
        return "rw-warn", "Not tested"
    return ("rw-good", "Works") if connection.check_ok else ("rw-bad", "Failed")


def _test_all(connections: list[OdsConnection]) -> list[OdsCheck]:
    """Test connections concurrently, and store the results."""
    # Read here, since threads must not use the database.
    secrets = [_secret(connection) for connection in connections]

    def test(connection: OdsConnection, secret: str | None) -> OdsCheck:
        if secret is None:
            return OdsCheck(False, "The stored secret cannot be decrypted.", "Enter it again.")
        return check(connection.url, connection.client_id, secret)

    with ThreadPoolExecutor(_TESTS_AT_ONCE, thread_name_prefix="ods-tests") as threads:
        checks = list(threads.map(test, connections, secrets))
    for connection, result in zip(connections, checks, strict=True):
        OdsConnection.objects.filter(pk=connection.pk).update(**_result(result))
    return checks


def _secret(connection: OdsConnection) -> str | None:
    try:
        return connection.client_secret
    except UndecryptableSecret:
        return None


def _result(result: OdsCheck | None) -> dict[str, Any]:
    assert result is not None  # the form has tested what it accepts
    return {
        "checked_at": timezone.now(),
        "check_ok": result.ok,
        "check_message": result.message,
    }


def _retire(rows: QuerySet[OdsConnection]) -> int:
    """Retire connections, and return how many this call retired: each is retired only once."""
    retired = 0
    active = rows.filter(retired_at=None).select_related("tenant", "school_year")
    for connection in active.defer("client_secret"):
        now = timezone.now()
        still_active = OdsConnection.objects.filter(pk=connection.pk, retired_at=None)
        if still_active.update(retired_at=now):
            audit.record_change(connection, retired_at=(None, now))
            retired += 1
    return retired
