"""The audit trail: who changed which setting, signed in, or took student data away, and from where.

django-auditlog keeps what is saved of the models given to ``watch``. What it does not see (updates
without ``save``, events that change nothing) is told to ``record`` and ``record_change``. Entries
hold no secret and nothing of a student; they outlive the people and objects that they name.
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
    """Keep every saved change of ``model``: of ``fields``, or of all but ``leave_out``.

    Of ``secrets`` it is kept that they changed; encrypted ones leave out, since to be compared they
    must be read, and a key may be lost. ``relations`` are many-to-many fields.
    """
    auditlog.register(
        model,
        include_fields=[*fields],
        exclude_fields=[*leave_out],
        mask_fields=[*secrets],
        mask_callable="partners.audit.hidden",
        m2m_fields={*relations},
    )


def hidden(value: str) -> str:
    """What is kept of a secret."""
    return "" if value in ("", "None") else "(hidden)"


def record(
    instance: Model | None, event: str, *, actor: User | None = None, **details: Any
) -> None:
    """Keep that ``event`` happened to ``instance``; None is an account that nobody knows.

    The actor is who is signed in, unless told; ``details`` are short facts, JSON's kinds only.
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
    """Keep a change that was made without ``save``: old and new value of each field."""
    LogEntry.objects.log_create(
        instance,
        action=LogEntry.Action.UPDATE,
        changes={name: [str(old), str(new)] for name, (old, new) in changes.items()},
    )


class AuditMiddleware:
    """Lets entries know the request that they are made in.

    In place of auditlog's own, which believes X-Forwarded-For from anybody, and loads the session's
    user and connects a signal's receiver for each request, also for those that keep nothing.
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
    """Who and from where; the name and e-mail stay when the account is deleted."""
    request = _request.get()
    if request is not None:
        instance.remote_addr = client_address(request)
        user = getattr(request, "user", None)
        # A client of an API is no person; who it is stands in the entry's details.
        if instance.actor is None and isinstance(user, User):
            instance.actor = user
    if instance.actor is not None:
        instance.actor_email = instance.actor.email
        name = instance.actor.get_username()
        instance.additional_data = {"actor": name, **(instance.additional_data or {})}
