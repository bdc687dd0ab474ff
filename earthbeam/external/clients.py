"""Clients of the external API, as their access tokens describe them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earthbeam.text import storable

CREATE_JOBS = "create:jobs"
READ_JOBS = "read:jobs"
READ_OUTPUT_FILES = "read:jobs:output-files"
READ_STUDENTS = "read:jobs:students"
DECIDE_STUDENTS = "decide:students"

_PARTNER = "partner:"
_LENGTH = 200


@dataclass(frozen=True)
class Client:
    """``name`` is for people. ``scopes`` and ``partners`` are what its token allows.

    ``id`` is empty if the token names no client. Such a client may only read, and no students.
    """

    id: str
    name: str
    scopes: frozenset[str]
    partners: frozenset[str]

    is_authenticated = True  # required by Django REST framework


def client_of(claims: Mapping[str, Any]) -> Client:
    """Return the client described by a token's ``claims``.

    Scopes are in ``scope``, separated by spaces (RFC 8693, 4.2), or, from some issuers, in a list
    there or in ``scp``.
    """
    identity = claims.get("client_id") or claims.get("azp")
    identity = identity if isinstance(identity, str) else ""
    name = claims.get("client_name")
    granted = claims.get("scope") or claims.get("scp") or ""
    words = granted.split() if isinstance(granted, str) else granted
    scopes = {word for word in words if isinstance(word, str)} if isinstance(words, list) else set()
    return Client(
        id=storable(identity)[:_LENGTH],
        name=storable(name if isinstance(name, str) and name else identity)[:_LENGTH],
        scopes=frozenset(scope for scope in scopes if not scope.startswith(_PARTNER)),
        partners=frozenset(
            scope.removeprefix(_PARTNER) for scope in scopes if scope.startswith(_PARTNER)
        ),
    )
