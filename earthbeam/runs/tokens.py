"""Executors' tokens: signed, for one run, of one type, valid for a limited time.

An init token can be traded for an access token once. Whether it was used follows from the run's
status, not from the token. earthbeam/api/authentication.py checks what a token may be used for.

Besides the contract's claims, a token has the size of executor it was issued for. If a run has run
out of memory and started over, the first executor's tokens are no longer valid.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import jwt
from django.conf import settings

from earthbeam.models import Run

TokenType = Literal["init", "access"]

INIT_LIFE = timedelta(minutes=5)
ACCESS_LIFE = timedelta(hours=24)

_ALGORITHM = "HS256"
_CLAIMS = ["runId", "type", "exp"]


class Bearer(NamedTuple):
    """The run and executor that a token was issued for."""

    run_id: uuid.UUID
    executor_size: str | None
    """None means any size."""

    def is_superseded(self, run: Run) -> bool:
        """Whether another executor has replaced this one for ``run``."""
        return self.executor_size not in (None, run.executor_size)


class BadToken(Exception):
    """An invalid token. ``str()`` of it says why and contains no part of the token."""


def init_token(run: Run) -> str:
    """Return a token for the handshake of a run about to be launched, valid for 5 minutes."""
    return _issue(run, "init", INIT_LIFE)


def access_token(run: Run) -> str:
    """Return a token for all requests of the run's executor, valid for 24 hours."""
    return _issue(run, "access", ACCESS_LIFE)


def read(token: str, expected: TokenType) -> Bearer:
    """Return the run and executor that ``token`` was issued for.

    Raises BadToken if it is not ours, has expired, or is of another type than ``expected``.
    """
    try:
        claims = _claims(token)
        run_id = uuid.UUID(claims["runId"])
    except jwt.ExpiredSignatureError:
        raise BadToken("The token has expired.") from None
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
        raise BadToken("The token is not valid.") from None
    if claims["type"] != expected:
        raise BadToken(f"This call needs a token of type {expected}.")
    size = claims.get("size")
    return Bearer(run_id, size if isinstance(size, str) else None)


def _claims(token: str) -> dict[str, Any]:
    """Return what the token says, by any key that is accepted. Raises jwt.InvalidTokenError."""
    keys = [settings.EXECUTOR_JWT_KEY, *settings.EXECUTOR_JWT_KEY_FALLBACKS]
    for key in keys:
        try:
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=[_ALGORITHM], options={"require": _CLAIMS}
            )
        except jwt.InvalidSignatureError:
            continue
        return claims
    raise jwt.InvalidSignatureError


def _issue(run: Run, type_: TokenType, life: timedelta) -> str:
    claims = {
        "runId": str(run.id),
        "type": type_,
        "exp": datetime.now(UTC) + life,
        "size": run.executor_size,
    }
    return jwt.encode(claims, settings.EXECUTOR_JWT_KEY, algorithm=_ALGORITHM)
