"""Authenticate executors by the token of their run.

The order is fixed: 401 without a usable token, 403 with a token of another run than the one in the
path, and only then a response that depends on whether the run exists (404).

Views inherit both checks from ``views.RunView``.
"""

from typing import Any, ClassVar, cast

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from earthbeam.runs import tokens


class _TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer TOKEN``. Sets ``request.auth`` to the token's Bearer."""

    kind: ClassVar[tokens.TokenType]

    def authenticate(self, request: Request) -> tuple[Any, tokens.Bearer]:
        scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AuthenticationFailed("Send the run's token as Authorization: Bearer TOKEN.")
        try:
            return None, tokens.read(token.strip(), self.kind)
        except tokens.BadToken as error:
            raise AuthenticationFailed(str(error)) from None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="executor"'


class InitTokenAuthentication(_TokenAuthentication):
    """For the handshake only."""

    kind = "init"


class AccessTokenAuthentication(_TokenAuthentication):
    """For everything after the handshake."""

    kind = "access"


class TokenIsForRunInPath(BasePermission):
    """The token's run must be the ``run_id`` of the path."""

    message = "This token is for another run."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return str(cast(tokens.Bearer, request.auth).run_id) == view.kwargs["run_id"]
