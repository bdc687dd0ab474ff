"""The tokens that executors carry: signed, for one run, of one type, for a limited time.

An init token buys its run an access token, once; whether it was used is the run's status, not the
token's. What a token may be used for is checked in earthbeam/api/authentication.py.

Beside what the contract names, a token says for which size of executor it was issued: where a run
has run out of memory and has started over, the first executor's are no good any more.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import jwt
from django.conf import settings

from earthbeam.models import Run

TokenType = Literal["init", "access"]

INIT_LIFE = timedelta(minutes=5)
ACCESS_LIFE = timedelta(hours=24)

_ALGORITHM = "HS256"
_CLAIMS = ["runId", "type", "exp"]


class Bearer(NamedTuple):
    """Whom a token speaks for."""

    run_id: uuid.UUID
    executor_size: str | None
    """None: of any size."""

    def is_superseded(self, run: Run) -> bool:
        """Whether another executor than this one carries out ``run`` by now."""
        return self.executor_size not in (None, run.executor_size)


class BadToken(Exception):
    """A token that opens nothing; ``str()`` of it says why and holds no part of the token."""


def init_token(run: Run) -> str:
    """A token for the handshake of a run that is about to be launched; good for 5 minutes."""
    return _issue(run, "init", INIT_LIFE)


def access_token(run: Run) -> str:
    """A token for everything that the run's executor asks and reports; good for 24 hours."""
    return _issue(run, "access", ACCESS_LIFE)


def read(token: str, expected: TokenType) -> Bearer:
    """The run that ``token`` speaks for, and as what.

    Raises BadToken when it is not ours, has expired, or is of another type than ``expected``.
    """
    try:
        claims = jwt.decode(
            token,
            settings.EXECUTOR_JWT_KEY,
            algorithms=[_ALGORITHM],
            options={"require": _CLAIMS},
        )
        run_id = uuid.UUID(claims["runId"])
    except jwt.ExpiredSignatureError:
        raise BadToken("The token has expired.") from None
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
        raise BadToken("The token is not valid.") from None
    if claims["type"] != expected:
        raise BadToken(f"This call needs a token of type {expected}.")
    size = claims.get("size")
    return Bearer(run_id, size if isinstance(size, str) else None)


def _issue(run: Run, type_: TokenType, life: timedelta) -> str:
    claims = {
        "runId": str(run.id),
        "type": type_,
        "exp": datetime.now(UTC) + life,
        "size": run.executor_size,
    }
    return jwt.encode(claims, settings.EXECUTOR_JWT_KEY, algorithm=_ALGORITHM)
