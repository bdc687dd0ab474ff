"""The audit trail's pages, for superusers to search and read. Entries cannot be changed."""

import json
from typing import Any, ClassVar

from auditlog import admin as auditlog_admin
from auditlog.models import LogEntry
from auditlog.render import render_logentry_changes_html
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from partners.audit import STUDENT_DATA, person_of
from partners.scoped_admin import SuperuserAdmin

assert auditlog_admin  # registers its own pages, which these replace
admin.site.unregister(LogEntry)

_TITLE = {"list_title": "Audit trail"}
_CHANGES = {
    LogEntry.Action.CREATE: "added",
    LogEntry.Action.UPDATE: "changed",
    LogEntry.Action.DELETE: "deleted",
}
EVENTS = (
    *("signed in", "signed out", "sign-in failed", "sign-in stopped"),
    *("signed out everywhere", "password refused"),
    *("second factor added", "second factor removed", "second factor reset"),
    *("second factor refused", "recovery codes made"),
    *STUDENT_DATA,
    *("students chosen", "withdrawal started", "legal hold begun", "legal hold ended"),
    *("bundles made current", "job deleted", "files of a deleted job deleted"),
    *("tenant exported", "tenant destroyed", "EDU connections reset", "webhook secret replaced"),
)


class WhatFilter(admin.SimpleListFilter):
    title = "what happened"
    parameter_name = "what"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(each, each) for each in (*_CHANGES.values(), *EVENTS)]

    def queryset(self, request: HttpRequest, rows: QuerySet[LogEntry]) -> QuerySet[LogEntry]:
        for action, name in _CHANGES.items():
            if self.value() == name:
                return rows.filter(action=action)
        if self.value() is None:
            return rows
        return rows.filter(action=LogEntry.Action.ACCESS, additional_data__event=self.value())


class ThingFilter(admin.SimpleListFilter):
    """Filter by what entries are about: watched models, and jobs."""

    title = "kind of thing"
    parameter_name = "thing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        from auditlog.registry import auditlog

        names = {
            each._meta.model_name: str(each._meta.verbose_name) for each in auditlog.get_models()
        }
        return sorted([*names.items(), ("job", "job")], key=lambda each: each[1])

    def queryset(self, request: HttpRequest, rows: QuerySet[LogEntry]) -> QuerySet[LogEntry]:
        return rows.filter(content_type__model=self.value()) if self.value() else rows


@admin.register(LogEntry)
class TrailAdmin(SuperuserAdmin):
    list_display = ["timestamp", "who", "what", "thing", "details", "remote_addr"]
    list_display_links = ["timestamp"]
    list_filter = ["timestamp", WhatFilter, ThingFilter]
    list_select_related = ["content_type", "actor"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = [
        *("actor__username", "actor_email", "additional_data__actor", "object_repr"),
        *("object_pk", "remote_addr"),
    ]
    fields: ClassVar[Any] = [
        "timestamp",
        "who",
        "remote_addr",
        "what",
        "thing",
        "object_pk",
        "details",
        "changes_table",
    ]
    readonly_fields = fields
    actions = None

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {**_TITLE, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = {**_TITLE, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LogEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LogEntry | None = None) -> bool:
        return False

    def who(self, obj: LogEntry) -> str:
        return person_of(obj)

    def what(self, obj: LogEntry) -> str:
        return _CHANGES.get(obj.action) or str(
            (obj.additional_data or {}).get("event", "looked at")
        )

    def thing(self, obj: LogEntry) -> str:
        return f"{obj.content_type.name}: {obj.object_repr}"

    def details(self, obj: LogEntry) -> SafeString:
        """The facts of an event, or the names of the fields that changed."""
        if obj.action != LogEntry.Action.ACCESS:
            return format_html("{}", ", ".join(sorted(obj.changes_dict)))
        facts = {
            name: value
            for name, value in (obj.additional_data or {}).items()
            if name not in ("actor", "event")
        }
        return format_html_join(
            ", ", "{}: {}", ((name, _text(value)) for name, value in sorted(facts.items()))
        )

    @admin.display(description="changes")
    def changes_table(self, obj: LogEntry) -> SafeString:
        table = SafeString(render_logentry_changes_html(obj))
        return format_html('<div class="rw-table">{}</div>', table) if table else SafeString("-")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
