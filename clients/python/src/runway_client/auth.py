"""Access tokens from the issuer, by the client credentials grant (RFC 6749, section 4.4)."""

import threading
import time
from collections.abc import Generator

import httpx

from runway_client.errors import Refused

_EARLY = 30.0
"""Seconds before a token expires from which on it is not used any more."""


class ClientCredentials(httpx.Auth):
    """Fetches a token when one is needed, and again once it has expired or is refused.

    Threads may share it. The secret never shows in a ``repr``.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        audience: str,
        scope: str | None = None,
    ) -> None:
        self._url = token_url
        self._client = (client_id, client_secret)
        self._fields = {"grant_type": "client_credentials", "audience": audience}
        if scope:
            self._fields["scope"] = scope
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def __repr__(self) -> str:
        return f"ClientCredentials({self._url!r}, {self._client[0]!r})"

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """See httpx.Auth. Raises Refused if the issuer gives no token."""
        token = self._token if time.monotonic() < self._until else (yield from self._fetch())
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"Bearer {(yield from self._fetch())}"
            yield request

    def _fetch(self) -> Generator[httpx.Request, httpx.Response, str]:
        request = httpx.Request("POST", self._url, data=self._fields)
        basic = httpx.BasicAuth(*self._client)
        response = yield next(basic.auth_flow(request))
        response.read()
        try:
            answer = response.json()
            token, seconds = str(answer["access_token"]), float(answer.get("expires_in", 60))
        except (ValueError, KeyError, TypeError):
            raise Refused(
                response.status_code, "The issuer gave no token: check the client's secret.", {}
            ) from None
        with self._lock:
            self._token, self._until = token, time.monotonic() + seconds - _EARLY
        return token
