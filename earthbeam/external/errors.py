"""Errors of requests, as responses that name the field."""

import logging
from collections.abc import Iterator
from typing import Any

from django.http import UnreadablePostError
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from earthbeam.errors import JobError
from earthbeam.files import fault

logger = logging.getLogger(__name__)

_FIELDS = {"school_year": "schoolYear", "__all__": "detail"}


class KeyReused(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = (
        "This Idempotency-Key came with another request before. Use a new key for a new request."
    )
    default_code = "idempotency_key_reused"


class LengthRequired(APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Send the body's size as Content-Length, not the body in chunks."
    default_code = "length_required"


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class StorageUnavailable(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The file storage does not respond, or refuses. Try again in a few minutes."
    default_code = "storage_unavailable"
    wait = 60
    """Seconds, sent as Retry-After."""


def as_validation_error(*problems: JobError) -> ValidationError:
    """All ``problems`` by field: ``{"files": {"INPUT_FILE": ["…"]}}``."""
    body: dict[str, Any] = {}
    for problem in problems:
        name = _FIELDS.get(problem.field, problem.field)
        if problem.key is None or problem.field not in ("files", "params"):
            body.setdefault(name, []).append(str(problem))
        else:
            of_field = body.setdefault(name, {})
            of_field.setdefault(problem.key, []).append(str(problem))
    return ValidationError(body)


def refusal(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response to ``error``: ``detail`` is a sentence; a field has a list of them.

    Existing clients read ``statusCode`` and ``message``.
    """
    if isinstance(error, OSError) and not isinstance(error, UnreadablePostError):
        logger.error("%s: %s", context["request"].path, fault(error))
        error = StorageUnavailable()
    answer = exception_handler(error, context)
    if answer is not None and isinstance(answer.data, dict):
        of_no_field = answer.data.pop(api_settings.NON_FIELD_ERRORS_KEY, None)
        said = of_no_field or answer.data.get("detail")
        if isinstance(said, list):
            answer.data["detail"] = " ".join(said)
        message = " ".join(_sentences(answer.data))
        answer.data |= {"statusCode": answer.status_code, "message": message}
    return answer


def _sentences(said: Any) -> Iterator[str]:
    """Yield all sentences of a response, field by field."""
    if isinstance(said, dict):
        for each in said.values():
            yield from _sentences(each)
    elif isinstance(said, list):
        for each in said:
            yield from _sentences(each)
    else:
        yield str(said)
