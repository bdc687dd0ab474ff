"""Who is asking: an executor, by the token of its run.

The order is always the same: no usable token is 401, a token of another run than the one in the
path 403, and only then may an answer depend on whether there is such a run (404).

Views get both checks from ``views.RunView``.
"""

from typing import Any, ClassVar, cast

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from earthbeam.runs import tokens


class _TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer TOKEN``; leaves whom it speaks for in ``request.auth``."""

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
    """For the handshake alone."""

    kind = "init"


class AccessTokenAuthentication(_TokenAuthentication):
    """For everything after the handshake."""

    kind = "access"


class TokenIsForRunInPath(BasePermission):
    """The token's run is the ``run_id`` of the path."""

    message = "This token is for another run."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return str(cast(tokens.Bearer, request.auth).run_id) == view.kwargs["run_id"]
