"""Check whether an ODS can be reached with given credentials, the way lightbeam does.

It takes lightbeam's three steps: the root document names the token endpoint, the token is requested
with Basic authentication, and a page of the roster is read below ``data/v3/ed-fi``. Sending is not
tested, since that would leave data in the ODS.
"""

import base64
import json
import re
import unicodedata
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

import requests
import urllib3
from django.conf import settings
from requests.auth import HTTPBasicAuth

from partners import addresses
from partners.ods import advice, allowed_addresses, restricted_http
from partners.ods.advice import ROSTER
from partners.ods.restricted_http import Answer

MAX_SHOWN = 300
"""How many characters of a response a person sees."""

_NEEDED = ("oauth", "dependencies", "openApiMetadata")  # what lightbeam looks up


_KINDS = {
    "text/html": "a web page",
    "application/json": "JSON",
    "text/plain": "text",
    "application/xml": "XML",
    "text/xml": "XML",
}


@dataclass(frozen=True)
class OdsCheck:
    """A test's result. ``answer`` is the server's own, shortened and without secrets."""

    ok: bool
    finding: str
    remedy: str = ""
    answer: str = ""

    @property
    def message(self) -> str:
        """The whole result, one line each."""
        answer = f"The server answered: {self.answer}" if self.answer else ""
        return "\n".join(line for line in (self.finding, self.remedy, answer) if line)


NOTHING_THERE = OdsCheck(
    False,
    "No Ed-Fi API answers at this address.",
    "Check the ODS URL: the name, the port, and the path, such as /v7.2/api without /data/v3. If "
    "all are right, a firewall may keep Runway out, the ODS may not be running, or its certificate "
    "may not be trusted. Ask whoever runs the ODS.",
)


def check(url: str, client_id: str, client_secret: str) -> OdsCheck:
    """Test the credentials. Takes at most TOTAL_SECONDS of restricted_http.py, and never raises."""
    if reason := allowed_addresses.problem(url):
        return OdsCheck(False, "This address was not tried.", reason)
    attempt = _Attempt(url, client_id, client_secret)
    try:
        return restricted_http.within_time(attempt.run)
    except restricted_http.TookTooLong:
        return OdsCheck(
            False,
            f"The test did not end within {restricted_http.TOTAL_SECONDS:.0f} seconds.",
            "The ODS is slow or overloaded now, or something between holds answers back. "
            "Try again in a few minutes.",
        )


class _Failed(Exception):
    def __init__(self, finding: str, remedy: str, answer: Answer | None = None) -> None:
        super().__init__(finding)
        self.finding, self.remedy, self.answer = finding, remedy, answer


class _Attempt:
    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self._url = url
        self._base = url.rstrip("/")
        self._id, self._secret = client_id, client_secret
        self._token = ""
        self._is_edfi = False
        """Whether the server has proved to be an Ed-Fi API."""

    def run(self) -> OdsCheck:
        step = "the ODS's address"
        try:
            token_url = self._token_url()
            step = "the address at which it gives tokens"
            self._token = self._get_token(token_url)
            step = "its list of students"
            return self._read_roster()
        except _Failed as failed:
            if self._must_not_tell():
                return NOTHING_THERE
            shown = self._shown(failed.answer) if failed.answer else ""
            return OdsCheck(False, failed.finding, failed.remedy, shown)
        except addresses.ForbiddenAddress:
            return OdsCheck(
                False,
                "The server's name leads to an address that Runway does not connect to.",
                "Enter the ODS's own address. If the ODS is in a private network, whoever runs "
                "Runway can allow that network (ODS_NETWORKS).",
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            if self._must_not_tell():
                return NOTHING_THERE
            return OdsCheck(False, *advice.unreachable(error, step))

    def _must_not_tell(self) -> bool:
        """Whether to hide the server's response: it is in a private network, and no Ed-Fi API.

        An open port then looks like a closed one.
        """
        if self._is_edfi or settings.IN_DEVELOPMENT:
            return False
        parts = urlsplit(self._url)
        try:
            found = addresses.resolve(parts.hostname or "", parts.port or 443)
        except (OSError, ValueError):
            return False
        return not all(map(addresses.is_public, found))

    def _token_url(self) -> str:
        answer = restricted_http.get(self._url)
        if answer.is_redirect:
            raise _Failed(*advice.root_redirect(answer, self._url))
        if answer.status != HTTPStatus.OK:
            raise _Failed(*advice.root_problem(answer))
        urls = _object(answer.body).get("urls")
        named = {name: urls.get(name) for name in _NEEDED} if isinstance(urls, dict) else {}
        texts = {name: value for name, value in named.items() if isinstance(value, str) and value}
        if len(texts) != len(_NEEDED):
            raise _Failed(
                "The server at this address is not an Ed-Fi API.",
                "Enter the API's base address, the one whose page lists its urls, such as "
                "https://ods.example.org/v7.2/api. It does not end in /data/v3.",
                answer,
            )
        self._is_edfi = True
        return self._safe_token_url(texts["oauth"])

    def _safe_token_url(self, named: str) -> str:
        """Return the root document's token endpoint, which must be as safe as the ODS itself."""
        base, token = urlsplit(self._base), urlsplit(named)
        if base.scheme == "https" and token.scheme == "http" and base.hostname == token.hostname:
            # An ODS behind a proxy that ends TLS does not know that it is reached by https.
            token = token._replace(scheme="https", netloc=token.netloc.removesuffix(":80"))
        if token.scheme != "https" and (
            token.scheme != "http" or base.scheme != "http" or token.hostname != base.hostname
        ):
            raise _Failed(
                "The ODS names an unsafe address for signing in, so the credentials were not sent.",
                f"It names {_short(named)}. Ask whoever runs the ODS to have it name an https "
                "address.",
            )
        return urlunsplit(token)

    def _get_token(self, url: str) -> str:
        try:
            f"{self._id}{self._secret}".encode("latin-1")  # as lightbeam does, through requests
        except UnicodeEncodeError:
            raise _Failed(
                "The client ID or the secret holds a character that cannot be sent.",
                "Copy both again. A dash or a quotation mark may have been replaced by a similar "
                "character.",
            ) from None
        auth = HTTPBasicAuth(self._id, self._secret)
        answer = restricted_http.post_form(url, {"grant_type": "client_credentials"}, auth)
        if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise _Failed(*advice.token_problem(answer))
        token = _object(answer.body).get("access_token")
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise _Failed(
                "The ODS accepted the credentials but did not return a token.",
                "Ask whoever runs the ODS to look at its sign-in.",
                None,  # whatever it is, it may be a secret
            )
        return token

    def _read_roster(self) -> OdsCheck:
        url = f"{self._base}/data/v3/ed-fi/{ROSTER}?limit=1&totalCount=true"
        answer = restricted_http.get(url, restricted_http.BearerAuth(self._token))
        if answer.status != HTTPStatus.OK:
            raise _Failed(*advice.roster_problem(answer))
        if not isinstance(_parsed(answer.body), list):
            raise _Failed(
                "The ODS's list of students is not a list.",
                "Something else answers at that address. Check the ODS URL.",
                answer,
            )
        return _works(answer.headers.get("total-count", ""))

    def _shown(self, answer: Answer) -> str:
        """Return the server's response.

        For a server that is not an Ed-Fi API, or not the ODS's own, only the kind of response.
        """
        if not self._is_edfi or urlsplit(answer.url).hostname != urlsplit(self._url).hostname:
            return _described(answer)
        status = f"HTTP {answer.status} {answer.reason}".strip()
        where = f" to {answer.location}" if answer.location else ""
        text = answer.body[: 20 * MAX_SHOWN].decode("utf-8", errors="replace")
        for secret in _spellings(self._id, self._secret, self._token):
            text, where = text.replace(secret, "•••"), where.replace(secret, "•••")
        # Masked first, since a secret that is cut off would not be found.
        text = _short(text)
        return f"{status}{_short(where)}" + (f": {text}" if text else "")


def _described(answer: Answer) -> str:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    what = _KINDS.get(kind, "content of another kind" if answer.body else "nothing")
    return f"HTTP {answer.status}, with {what}"


def _works(total: str) -> OdsCheck:
    if total == "0":
        return OdsCheck(
            True,
            "Runway can reach the ODS, but finds no students.",
            "Jobs end with an error until it does: either no students are enrolled yet, or the "
            "key belongs to another district.",
        )
    count = f" It shows {int(total):,} student records." if re.fullmatch(r"\d{1,9}", total) else ""
    return OdsCheck(True, f"Runway can reach the ODS and read its students.{count}")


def _object(body: bytes) -> dict[str, Any]:
    value = _parsed(body)
    return value if isinstance(value, dict) else {}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _spellings(client_id: str, secret: str, token: str) -> list[str]:
    """Return the forms in which secrets may come back, the longest first."""
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    json_text = json.dumps(secret)[1:-1]
    found = {secret, json_text, quote(secret, safe=""), quote_plus(secret), basic, token}
    return sorted(found - {""}, key=len, reverse=True)


def _short(text: str) -> str:
    printable = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    text = " ".join(printable.split())
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
