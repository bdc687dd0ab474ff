"""The ODS stand-in's responses, without sockets: requests in, status and JSON out."""

import base64
import binascii
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from runway.sandbox.ods.faults import FaultCounter, Faults
from runway.sandbox.ods.resources import RESOURCES, dependencies, swagger
from runway.sandbox.ods.store import ROSTER, STUDENTS, Refused, Store, invalid, problem

MAX_LIMIT = 500
"""The largest page that Ed-Fi returns."""

_DATA = re.compile(r"/data/v3(?:/\d{4})?/ed-fi/(?P<resource>\w+)/?(?P<id>\w+)?")


class ConnectionReset(Exception):
    """The request gets no response; its connection is reset."""


@dataclass(frozen=True)
class Request:
    """An HTTP request. ``base_url`` is how its client reached the server."""

    method: str
    target: str
    authorization: str
    body: bytes
    base_url: str


@dataclass(frozen=True)
class Answer:
    """An HTTP response. A ``body`` of None is empty."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Api:
    """Responds like an Ed-Fi ODS / API 7, plus ``/sandbox/…`` to look inside and to set faults."""

    def __init__(self, store: Store, client_id: str, client_secret: str, faults: Faults) -> None:
        self.store = store
        self.faults = FaultCounter(faults)
        self._credentials = f"{client_id}:{client_secret}"
        self._tokens: set[str] = set()

    def answer(self, request: Request) -> Answer:
        """Return the response to a request. Raises ConnectionReset if a fault requires it."""
        path = urlsplit(request.target).path
        if data := _DATA.fullmatch(path):
            try:
                return self._data(request, data["resource"], data["id"])
            except Refused as refused:
                return Answer(refused.status, refused.body)
        if path.startswith("/sandbox/"):
            return self._sandbox(request, path.removeprefix("/sandbox/"))
        if (request.method, path) == ("POST", "/oauth/token"):
            return self._token(request)
        if request.method == "GET":
            return self._metadata(path, request.base_url)
        return _not_found()

    def _metadata(self, path: str, url: str) -> Answer:
        documents = f"{url}/metadata/data/v3"
        match path.rstrip("/"):
            case "":
                return Answer(200, _root(url))
            case "/metadata":
                kinds = ("Resources", "Descriptors")
                uris = {kind: f"{documents}/{kind.lower()}/swagger.json" for kind in kinds}
                return Answer(
                    200,
                    [
                        {"name": kind, "endpointUri": uri, "prefix": ""}
                        for kind, uri in uris.items()
                    ],
                )
            case "/metadata/data/v3/dependencies":
                return Answer(200, dependencies())
            case "/metadata/data/v3/resources/swagger.json":
                return Answer(200, swagger("resources", url))
            case "/metadata/data/v3/descriptors/swagger.json":
                return Answer(200, swagger("descriptors", url))
        return _not_found()

    def _token(self, request: Request) -> Answer:
        scheme, _, encoded = request.authorization.partition(" ")
        try:
            credentials = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            credentials = ""
        known = scheme.lower() == "basic" and credentials == self._credentials
        if not known or self.faults.faults.refuse_credentials:
            error = {"error": "invalid_client", "error_description": "The client is not known."}
            return Answer(401, error, {"WWW-Authenticate": "Basic"})
        token = secrets.token_hex(16)
        self._tokens.add(token)
        return Answer(200, {"access_token": token, "expires_in": 1800, "token_type": "bearer"})

    def _data(self, request: Request, name: str, record_id: str | None) -> Answer:
        self._authenticate(request.authorization)
        time.sleep(self.faults.faults.delay_seconds)
        match self.faults.data_request():
            case "reset":
                raise ConnectionReset
            case "throttle":
                return _throttled()
        if name not in RESOURCES:
            return _not_found()
        if request.method == "DELETE" and record_id is not None:
            return self._delete(name, record_id)
        if record_id is not None:
            return _not_found()
        if request.method == "GET":
            query = dict(parse_qsl(urlsplit(request.target).query))
            found = self.store.find(name, query)
            return self._page(name, query) if found is None else Answer(200, found)
        if self.faults.post_throttled():
            return _throttled()
        time.sleep(self.faults.faults.post_delay_seconds)
        if self.faults.post_refused(name):
            raise invalid({"$.sandbox": ["The sandbox was told to refuse this record."]})
        new = self.store.upsert(name, _json(request.body))
        return Answer(201 if new else 200)

    def _delete(self, name: str, record_id: str) -> Answer:
        if self.faults.delete_refused():
            detail = "The sandbox was told to refuse to delete this record."
            return Answer(403, problem(403, "security:authorization", "Denied", detail))
        return Answer(204) if self.store.delete(name, record_id) else _not_found()

    def _authenticate(self, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token in self._tokens:
            if not self.faults.token_expired(token):
                return
            self._tokens.discard(token)
        raise Refused(
            401,
            "security:authentication",
            "Authentication Failed",
            "The caller could not be authenticated.",
            errors=["The token is missing, unknown or expired."],
        )

    def _page(self, name: str, query: dict[str, str]) -> Answer:
        offset = _number(query, "offset", default=0, most=None)
        limit = _number(query, "limit", default=25, most=MAX_LIMIT)
        if name == STUDENTS and self.faults.faults.refuse_students:
            raise Refused(
                403,
                "security:authorization",
                "Authorization Denied",
                "Access to the resource is denied.",
            )
        if name == ROSTER and limit:
            status = self.faults.page_status(offset // limit + 1)
            if status == 429:
                return _throttled()
            if status is not None:
                detail = "The sandbox was told to fail here."
                return Answer(status, problem(status, "sandbox", "Sandbox", detail))
        records, total = self.store.page(name, offset, limit)
        if name == ROSTER and self.faults.faults.empty_roster:
            records, total = [], 0
        wanted = query.get("totalCount", "").lower() == "true"
        return Answer(200, records, {"Total-Count": str(total)} if wanted else {})

    def _sandbox(self, request: Request, path: str) -> Answer:
        """Handle calls that Ed-Fi does not have: what was received, and the faults."""
        kind, _, resource = path.partition("/")
        match (request.method, kind, resource):
            case ("GET", "received", ""):
                return Answer(200, self.store.counts())
            case ("GET", "received", name) if name in RESOURCES:
                return Answer(200, self.store.received(name))
            case ("POST", "faults", ""):
                try:
                    self.faults = FaultCounter(Faults.from_json(json.loads(request.body or b"{}")))
                except ValueError as error:
                    return Answer(400, {"message": str(error)})
                return Answer(204)
        return _not_found()


def _root(url: str) -> dict[str, Any]:
    return {
        "version": "7.2",
        "informationalVersion": "Runway sandbox, not an Ed-Fi product",
        "suite": "3",
        "dataModels": [{"name": "Ed-Fi", "version": "5.1.0"}],
        "urls": {
            "dependencies": f"{url}/metadata/data/v3/dependencies",
            "openApiMetadata": f"{url}/metadata/",
            "oauth": f"{url}/oauth/token",
            "dataManagementApi": f"{url}/data/v3/",
        },
    }


def _number(query: dict[str, str], name: str, *, default: int, most: int | None) -> int:
    text = query.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() else -1
    if number < 0 or (most is not None and number > most):
        rule = f"set to a value between 0 and {most}" if most else "zero or more"
        raise Refused(
            400,
            "bad-request:parameter",
            "Parameter Validation Failed",
            f"The {name} parameter was incorrect.",
            errors=[f"{name.capitalize()} must be omitted or {rule}."],
        )
    return number


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise invalid({"$": ["The request body is not JSON."]}) from error


def _throttled() -> Answer:
    body = problem(429, "too-many-requests", "Too Many Requests", "Try again later.")
    return Answer(429, body, {"Retry-After": "1"})


def _not_found() -> Answer:
    detail = "The specified data could not be found."
    return Answer(404, problem(404, "not-found", "Not Found", detail))
