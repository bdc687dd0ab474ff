"""The OIDC issuers that people may sign in by, as OIDC_ISSUERS names them."""

import json
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_TEXTS = ("id", "name", "issuer", "client_id", "client_secret")


@dataclass(frozen=True)
class Issuer:
    """An OpenID Connect issuer.

    ``email_domains`` are those whose e-mail addresses it may vouch for: somebody who signs in for
    the first time is found by such an address. ``("*",)`` trusts it with everybody's; empty: people
    are linked by hand.
    """

    id: str
    name: str
    issuer: str
    client_id: str
    client_secret: str
    email_domains: tuple[str, ...] = ()

    def vouches_for(self, email: str) -> bool:
        """Whether its word is enough that somebody owns ``email``."""
        _, at, domain = email.rpartition("@")
        return bool(at) and ("*" in self.email_domains or domain.lower() in self.email_domains)


def read(text: str | None) -> tuple[Issuer, ...]:
    """The issuers that a JSON list names. Raises ImproperlyConfigured, naming what is wrong.

    An error never has the text itself: there are secrets in it.
    """
    if not text:
        return ()
    try:
        entries = json.loads(text)
    except ValueError:
        raise _wrong("is not JSON") from None
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise _wrong("must be a list of objects")
    issuers = tuple(_issuer(each, f"entry {at}") for at, each in enumerate(entries, start=1))
    if len({each.id for each in issuers}) < len(issuers):
        raise _wrong("has the same id twice")
    return issuers


def _issuer(entry: dict[str, Any], where: str) -> Issuer:
    unknown = set(entry) - {*_TEXTS, "email_domains"}
    if unknown:
        raise _wrong(f"{where} has unknown fields: {', '.join(sorted(unknown))}")
    for name in _TEXTS:
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise _wrong(f"{where} needs {name}")
    if not _ID.fullmatch(entry["id"]):
        raise _wrong(f"{where}: its id must be of small letters, digits and -")
    domains = entry.get("email_domains", [])
    if not isinstance(domains, list) or not all(isinstance(each, str) for each in domains):
        raise _wrong(f"{where}: email_domains must be a list of domains")
    texts = {name: entry[name] for name in _TEXTS}
    texts["issuer"] = texts["issuer"].rstrip("/")
    return Issuer(**texts, email_domains=tuple(each.lower() for each in domains))


def _wrong(what: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"OIDC_ISSUERS {what}: see .env.example for what it means.")


def find(issuer_id: str) -> Issuer | None:
    """The configured issuer of that id."""
    return next((each for each in configured() if each.id == issuer_id), None)


def configured() -> tuple[Issuer, ...]:
    """The issuers, in the order in which they are configured."""
    return tuple(settings.OIDC_ISSUERS)
