"""The log: readable lines in development, JSON in production; with ids, and without secrets.

Code logs by ``logging`` as usual. What a request or a task is about is bound once, with
``structlog.contextvars``, and is then in every line that its thread logs.
"""

import json
import logging
import os
import re
import socket
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import structlog
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bind_contextvars, clear_contextvars
from structlog.typing import EventDict, WrappedLogger

MASK = "[masked]"
FORMATS = ("lines", "json")

_HOST = socket.gethostname()
_NAMED = re.compile(r"\b(run|job|notice) ([0-9a-f]{8}-[0-9a-f-]{27})\b")
_REQUEST_ID = re.compile(r"[\w.:-]{8,64}", re.ASCII)
_SHORTEST_SECRET = 8
_TOKENS = r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?<=earer )[\w.~+/=-]{8,}|(?<=asic )[\w.~+/=-]{8,}"
_USER_INFO = r"(?<=://)[^/\s@:]+:[^/\s@]+(?=@)"
# PostgreSQL quotes the row that a constraint refuses.
_ROWS = r"(?<=DETAIL:)[^\n]+|(?<=CONTEXT:)[^\n]+"
# The value after a name, as in JSON, a query, or Python's repr.
_VALUE = re.compile(
    r"""(?ix) (?<![\w-])
    (?: \w*(?:password|passphrase|secret|token|private_key|api_key|sessionid)
      | student_?(?:unique)?_?id | k_student | birth_?date
      | (?:first|last|middle)_?(?:name|surname) | (?:person|student)_?name )
    ["']? \s* [:=] \s*
    ( "[^"\n]*" | '[^'\n]*' | (?!(?:None|null|True|False)\b)[^\s"',;&)}\]]+ )"""
)


def chosen_format() -> str:
    """Return which of FORMATS the environment wants; gunicorn knows no settings."""
    in_development = os.environ.get("RUNWAY_ENV") == "development"
    return os.environ.get("LOG_FORMAT") or ("lines" if in_development else "json")


class Mask:
    """Hides from a text what looks like a secret or a student, and the ``secrets`` themselves."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted(map(re.escape, filter(_is_long, secrets)), key=len, reverse=True)
        self._pattern = re.compile("|".join([*known, _TOKENS, _USER_INFO, _ROWS]))

    def __call__(self, text: str) -> str:
        text = self._pattern.sub(MASK, text)
        return _VALUE.sub(lambda found: found[0].removesuffix(found[1]) + MASK, text)

    def processor(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        """Mask all texts of a log entry."""
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = self(value)
        return event


def configuration(
    format_: str, level: str, secrets: Iterable[str], **others: dict[str, Any]
) -> dict[str, Any]:
    """Return LOGGING for Django. ``others`` are added: its filters and loggers."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"runway": {"()": formatter, "format_": format_, "secrets": list(secrets)}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "runway",
                "filters": ["housekeeping"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        **others,
    }


def formatter(format_: str, secrets: Iterable[str] = ()) -> logging.Formatter:
    """Return a formatter for ``logging``, in one of FORMATS."""
    render: list[Any] = [_line]
    if format_ == "json":
        render = [_ids_in_text, _as_json]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _add_process,
            Mask(secrets).processor,
            *render,
        ],
    )


def _is_long(secret: str) -> bool:
    return len(secret) >= _SHORTEST_SECRET


def _add_process(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    event["process"] = f"{_HOST}:{os.getpid()}"
    return event


def _ids_in_text(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Add what a text names by its id, as in "run 41fd… outlived its time limit"."""
    for kind, value in _NAMED.findall(event["event"]):
        event.setdefault(kind, value)
    return event


_FIRST = ("timestamp", "level", "logger", "event")
_LAST = ("process", "exception")


def _as_json(logger: WrappedLogger, name: str, event: EventDict) -> str:
    ordered = {key: event[key] for key in _FIRST if key in event} | dict(event)
    return json.dumps(ordered, default=str, ensure_ascii=False)


def _line(logger: WrappedLogger, name: str, event: EventDict) -> str:
    time, level, source, text = (str(event.get(key, "")) for key in _FIRST)
    ids = [f"{key}={event[key]}" for key in sorted(event.keys() - {*_FIRST, *_LAST})]
    words = [time[:23].replace("T", " "), level.upper(), source, text]
    if ids:
        words.append(f"[{' '.join(ids)}]")
    return "\n".join([" ".join(words), *filter(None, [event.get("exception")])])


class RequestIds:
    """Middleware that gives each request an id, which its log lines and its response have.

    A proxy or a client may give one (X-Request-ID).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        clear_contextvars()
        bind_contextvars(request=request_id)
        response = self._get_response(request)
        response["X-Request-ID"] = request_id
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Bind the job of an admin page. The APIs bind what they find themselves."""
        match = request.resolver_match
        if match and (match.url_name or "").startswith("earthbeam_job_") and "object_id" in kwargs:
            bind_contextvars(job=kwargs["object_id"])


def _forget(**kwargs: Any) -> None:
    """Forget what a request was about only once its response has been streamed."""
    clear_contextvars()


request_finished.connect(_forget, dispatch_uid="runway.logs")
