"""The audit trail: who changed a setting, signed in, or downloaded student data, and from where.

django-auditlog records saved changes of the models passed to ``watch``. What it cannot see (updates
without ``save``, events that change nothing) goes to ``record`` and ``record_change``. Entries
contain no secrets and no student data, and outlive the people and objects they name.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from partners.client_address import client_address

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)

NOBODY_KNOWN = "unknown account"


def watch(
    model: type[Model],
    *,
    fields: Iterable[str] = (),
    leave_out: Iterable[str] = (),
    secrets: Iterable[str] = (),
    relations: Iterable[str] = (),
) -> None:
    """Record every saved change of ``model``: of ``fields``, or of all but ``leave_out``.

    For ``secrets`` it only records that they changed. Put encrypted ones into ``leave_out``:
    comparing them requires reading them, and a key may be lost. ``relations`` are many-to-many
    fields.
    """
    auditlog.register(
        model,
        include_fields=[*fields],
        exclude_fields=[*leave_out],
        mask_fields=[*secrets],
        mask_callable="partners.audit.hidden",
        m2m_fields={*relations},
    )


STUDENT_DATA = (
    *("file downloaded", "file fetched by link", "download links made"),
    *("unmatched rows viewed", "unmatched rows read", "disagreeing rows viewed"),
    *("refused rows viewed", "preview viewed", "withdrawal viewed"),
    *("run log viewed", "run log downloaded"),
    *("confirmed students viewed", "confirmed students downloaded"),
)
"""Events by which someone has seen or taken student data."""


def person_of(entry: LogEntry) -> str:
    """Return the name and e-mail at that time, even if the account has changed since."""
    name = (entry.additional_data or {}).get("actor")
    if not name:
        return "not signed in" if entry.remote_addr else "a command"
    return f"{name} ({entry.actor_email})" if entry.actor_email else str(name)


def hidden(value: str) -> str:
    """Return what is recorded of a secret."""
    return "" if value in ("", "None") else "(hidden)"


def record(
    instance: Model | None, event: str, *, actor: User | None = None, **details: Any
) -> None:
    """Record that ``event`` happened to ``instance``; None is an unknown account.

    The actor is whoever is signed in, unless passed. ``details`` are short facts, of JSON's types
    only.
    """
    given: dict[str, Any] = {
        "action": LogEntry.Action.ACCESS,
        "actor": actor,
        "additional_data": {"event": event, **details},
    }
    if instance is None:
        kind = ContentType.objects.get_for_model(User)
        LogEntry.objects.create(content_type=kind, object_pk="", object_repr=NOBODY_KNOWN, **given)
    else:
        LogEntry.objects.log_create(instance, force_log=True, **given)


def record_change(instance: Model, **changes: tuple[Any, Any]) -> None:
    """Record a change that was made without ``save``: old and new value of each field."""
    LogEntry.objects.log_create(
        instance,
        action=LogEntry.Action.UPDATE,
        changes={name: [str(old), str(new)] for name, (old, new) in changes.items()},
    )


class AuditMiddleware:
    """Makes the current request available to entries.

    Replaces auditlog's own, which trusts X-Forwarded-For from anybody. That one also loads the
    session's user and connects a signal receiver for every request, even if nothing is recorded.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _request.set(request)
        try:
            return self.get_response(request)
        finally:
            _request.reset(token)


@receiver(pre_save, sender=LogEntry, dispatch_uid="partners.audit")
def _sign(sender: type[LogEntry], instance: LogEntry, **kwargs: Any) -> None:
    """Add who and from where. The name and e-mail stay when the account is deleted."""
    request = _request.get()
    if request is not None:
        instance.remote_addr = client_address(request)
        user = getattr(request, "user", None)
        # An API client is not a person. The entry's details name it.
        if instance.actor is None and isinstance(user, User):
            instance.actor = user
    if instance.actor is not None:
        instance.actor_email = instance.actor.email
        name = instance.actor.get_username()
        instance.additional_data = {"actor": name, **(instance.additional_data or {})}
