"""The OIDC issuers that people may sign in with, from OIDC_ISSUERS."""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_TEXTS = ("id", "name", "issuer", "client_id", "client_secret")


@dataclass(frozen=True)
class Issuer:
    """An OpenID Connect issuer.

    ``email_domains`` are the domains whose e-mail addresses it may vouch for: at a person's first
    sign-in, such an address identifies their account. ``("*",)`` trusts it with all domains. If
    empty, people are linked by hand.
    """

    id: str
    name: str
    issuer: str
    client_id: str
    client_secret: str
    email_domains: tuple[str, ...] = ()

    def vouches_for(self, email: str) -> bool:
        """Whether it is trusted to verify who owns ``email``."""
        _, at, domain = email.rpartition("@")
        return bool(at) and ("*" in self.email_domains or domain.lower() in self.email_domains)


def read(text: str | None) -> tuple[Issuer, ...]:
    """Read issuers from a JSON list. Raises ImproperlyConfigured, which names the problem.

    The error never contains the text itself, which has secrets.
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
    """Return the configured issuer with that ID."""
    return next((each for each in configured() if each.id == issuer_id), None)


def configured() -> tuple[Issuer, ...]:
    """Return the issuers, in the order in which they are configured."""
    return tuple(settings.OIDC_ISSUERS)


def form_targets() -> list[str]:
    """Where a sign-in form may lead, for a Content-Security-Policy.

    With an https issuer that is any https address, since its page for signing in may be on
    another host than the issuer itself.
    """
    targets = set()
    for each in configured():
        parts = urlsplit(each.issuer)
        targets.add("https:" if parts.scheme == "https" else f"{parts.scheme}://{parts.netloc}")
    return sorted(targets)
