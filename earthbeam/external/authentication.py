"""Authorize clients by their access token's scopes and partners.

The order is fixed: 503 without an issuer, 401 without a usable token, 403 without the scope, and
404 for what belongs to another partner.
"""

from typing import Any

from rest_framework import status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, NotFound
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView
from structlog.contextvars import bind_contextvars

from earthbeam.external import issuer
from earthbeam.external.clients import (
    CREATE_JOBS,
    DECIDE_STUDENTS,
    READ_STUDENTS,
    Client,
    client_of,
)
from partners.models import Partner

_BY_NAME = (CREATE_JOBS, READ_STUDENTS, DECIDE_STUDENTS)
"""What only a client with a name may do: others must be able to tell later who did it."""


class Unavailable(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"


class IssuerUnavailable(Unavailable):
    """The client may retry after ``wait`` seconds, sent as Retry-After."""

    wait = 10


class ClientAuthentication(BaseAuthentication):
    """``Authorization: Bearer TOKEN``. Sets ``request.user`` to the Client."""

    def authenticate(self, request: Request) -> tuple[Any, str]:
        scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
        try:
            if scheme.lower() != "bearer" or not token:
                issuer.configured()
                raise AuthenticationFailed("Send an access token as Authorization: Bearer TOKEN.")
            client = client_of(issuer.claims_of(token.strip()))
        except issuer.IssuerNotConfigured:
            raise Unavailable("This API is not set up: it has no issuer of tokens.") from None
        except issuer.IssuerUnavailable as error:
            raise IssuerUnavailable(f"{error} Try again later.") from None
        except issuer.BadToken as error:
            raise AuthenticationFailed(str(error)) from None
        bind_contextvars(client=client.id)
        return client, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="runway"'


class HasScope(BasePermission):
    """The token must have the view's ``scope``."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        scope: str = view.scope  # type: ignore[attr-defined]
        if scope in _BY_NAME and not caller(request).id:
            raise AuthenticationFailed("The token names no client: it has no client_id or azp.")
        self.message = f"This call needs the scope {scope}, which the token does not have."
        return scope in caller(request).scopes


def caller(request: Request) -> Client:
    """Return the client whose token came with ``request``."""
    client: Client = request.user  # type: ignore[assignment]
    return client


def partner_named(code: str, client: Client) -> Partner:
    """Return the partner ``code`` if the client's token covers it. Raises NotFound."""
    partner = Partner.objects.filter(pk=code).first() if code in client.partners else None
    if partner is None:
        raise NotFound(f"There is no partner {code!r} for this token.")
    return partner
