"""Verify access tokens of the configured OIDC issuer: signature, audience, and expiry.

The issuer's keys are found by OIDC discovery and cached for five minutes. A token with an unknown
key triggers another look-up, but at most one every ``COOLDOWN`` seconds, so that nobody can make
Runway flood the issuer. If a look-up fails, the known keys stay in use.
"""

import threading
from functools import lru_cache
from typing import Any

import jwt
import requests
from django.conf import settings

COOLDOWN = 5.0
"""In seconds. A rotated key works after this time at the latest."""
_TIMEOUT = 5  # seconds; a client's request waits for it
_LEEWAY = 30  # seconds by which our clock and the issuer's may differ
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
_REQUIRED = ["exp", "iss", "aud"]


class IssuerNotConfigured(Exception):
    """``OAUTH2_ISSUER`` is not set, so no token can be verified. Ops must set it."""


class IssuerUnavailable(Exception):
    """The issuer's keys cannot be fetched. A later retry may help."""


class BadToken(Exception):
    """An invalid token. ``str()`` of it says why and contains no part of the token."""


def configured() -> str:
    """Return the issuer. Raises IssuerNotConfigured if there is none."""
    if not settings.OAUTH2_ISSUER:
        raise IssuerNotConfigured
    return settings.OAUTH2_ISSUER


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of ``token``.

    Raises BadToken unless the issuer signed it for us and it has not expired. Also raises
    IssuerNotConfigured and IssuerUnavailable.
    """
    issuer = configured()
    try:
        if jwt.get_unverified_header(token).get("alg") not in _ALGORITHMS:
            raise BadToken("The token is not signed with an algorithm that is accepted here.")
        key = _keys(issuer).get_signing_key_from_jwt(token)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            issuer=issuer,
            audience=settings.OAUTH2_AUDIENCE,
            leeway=_LEEWAY,
            options={"require": _REQUIRED},
        )
    except jwt.PyJWKClientConnectionError as error:
        raise IssuerUnavailable("The issuer's keys cannot be fetched.") from error
    except jwt.PyJWKClientError:
        raise BadToken("The token is signed with a key that the issuer does not list.") from None
    except jwt.ExpiredSignatureError:
        raise BadToken("The token has expired.") from None
    except jwt.InvalidAudienceError:
        raise BadToken(
            f"The token is not for this API: its audience must be {settings.OAUTH2_AUDIENCE}."
        ) from None
    except jwt.InvalidIssuerError:
        raise BadToken("The token is not from the issuer that is trusted here.") from None
    except (jwt.PyJWTError, ValueError, TypeError):
        raise BadToken("The token is not valid.") from None
    return claims


_looking = threading.Lock()


def _keys(issuer: str) -> jwt.PyJWKClient:
    """Return the issuer's keys, discovered once per process. Raises IssuerUnavailable."""
    with _looking:  # one look-up, however many requests come first; failures are not cached
        return _discover(issuer)


@lru_cache(maxsize=4)
def _discover(issuer: str) -> jwt.PyJWKClient:
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        answer = requests.get(url, timeout=_TIMEOUT)
        answer.raise_for_status()
        document = answer.json()
        if document["issuer"] != issuer:
            raise IssuerUnavailable("The issuer's discovery document names another issuer.")
        return jwt.PyJWKClient(document["jwks_uri"], timeout=_TIMEOUT, cooldown_duration=COOLDOWN)
    except (
        requests.RequestException,
        jwt.PyJWKClientError,
        ValueError,
        KeyError,
        TypeError,
    ) as error:
        raise IssuerUnavailable("The issuer's discovery document cannot be read.") from error
