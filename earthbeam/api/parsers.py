"""Parse a JSON body from an untrusted sender."""

import json
import math
from collections.abc import Callable, Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

from earthbeam.text import storable

MAX_BYTES = 1024 * 1024
"""The largest report is an error with its stack trace, which should stay below 8 kB."""
MAX_DEPTH = 20


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = f"The body is larger than {MAX_BYTES} bytes."
    default_code = "body_too_large"


class StrictJSONParser(BaseParser):
    """JSON in UTF-8 of limited size and depth, which PostgreSQL can store.

    Removes what the database cannot hold from texts. Refuses NaN, Infinity, and numbers beyond a
    double's range. Raises ParseError (400) or BodyTooLarge (413).
    """

    media_type = "application/json"
    text = staticmethod(storable)
    """Applied to each text and name."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise BodyTooLarge
        try:
            value = json.loads(body.decode(), parse_int=_integer, parse_constant=_refuse_constant)
            return _clean(value, self.text)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not acceptable JSON: {_reason(error)}.") from None


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise ValueError("a number has too many digits") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _clean(value: Any, text: Callable[[str], str], depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [_clean(item, text, depth + 1) for item in value]
    if isinstance(value, dict):
        return {text(name): _clean(item, text, depth + 1) for name, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (line {error.lineno}, column {error.colno})"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error)
