"""The OIDC stand-in's responses, without sockets: people, machines, codes, keys, and tokens."""

import base64
import hashlib
import html
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

LIFETIME = 3600
"""The default validity of tokens, in seconds."""

CODE_LIFETIME = 60


@dataclass(frozen=True)
class Person:
    """A person who can sign in here.

    ``claims`` are in both the ID token and userinfo. ``userinfo`` overrides claims in userinfo
    only.
    """

    subject: str
    email: str
    email_verified: Any = True
    name: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)
    userinfo: Mapping[str, Any] = field(default_factory=dict)

    def all_claims(self) -> dict[str, Any]:
        known = {"email": self.email, "email_verified": self.email_verified, "name": self.name}
        return {"sub": self.subject, **known, **self.claims}


@dataclass(frozen=True)
class Machine:
    """A client that gets tokens by its secret, with allowed scopes and its tokens' extra claims."""

    secret: str
    scopes: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)


PEOPLE = (Person("0001", "admin@example.org", name="Sample Admin"),)
CLIENT_ID, CLIENT_SECRET = "runway", "sandbox-secret"
MACHINES = {
    "edu-loader": Machine(
        "sandbox-secret", ("create:jobs", "read:jobs", "read:jobs:output-files", "partner:demo")
    )
}


class Refused(Exception):
    """The response is an error of RFC 6749, section 5.2, or a plain page."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.status = status


class Issuer:
    """An issuer at ``url``, which has no trailing slash."""

    url = ""

    def __init__(
        self,
        people: Iterable[Person] = PEOPLE,
        *,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        machines: Mapping[str, Machine] = MACHINES,
    ) -> None:
        self.people = {person.subject: person for person in people}
        self.client_id, self.client_secret = client_id, client_secret
        self.machines = dict(machines)
        self._keys: list[tuple[str, rsa.RSAPrivateKey]] = []
        self._codes: dict[str, dict[str, Any]] = {}
        self._access: dict[str, str] = {}
        self.rotate_keys()

    def rotate_keys(self, *, keep_old: bool = True) -> str:
        """Sign with a new key from now on, and return its ID. Old keys stay published if kept."""
        key = secrets.token_hex(4), rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._keys = [key, *(self._keys if keep_old else [])]
        return key[0]

    def access_token(
        self,
        client_id: str = "edu-loader",
        *,
        scope: str = "",
        audience: str | list[str] | None = None,
        lifetime: float = LIFETIME,
        **claims: Any,
    ) -> str:
        """Return a machine's access token, as /token does. ``lifetime`` may be negative."""
        known = {"sub": client_id, "client_id": client_id, "scope": scope}
        if audience is not None:
            known["aud"] = audience  # type: ignore[assignment]
        return self.sign({**known, **claims}, lifetime)

    def sign(self, claims: Mapping[str, Any], lifetime: float = LIFETIME) -> str:
        """Sign a token with these claims and the standard ones, which they override."""
        now = int(time.time())
        kid, key = self._keys[0]
        known = {
            "iss": self.url,
            "iat": now,
            "exp": now + int(lifetime),
            "jti": secrets.token_hex(),
        }
        return jwt.encode({**known, **claims}, key, algorithm="RS256", headers={"kid": kid})

    # --- Responses by path ----------------------------------------------------------------------

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }

    def jwks(self) -> dict[str, Any]:
        keys = []
        for kid, key in self._keys:
            public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
            keys.append({**public, "kid": kid, "use": "sig", "alg": "RS256"})
        return {"keys": keys}

    def login_page(self, query: Mapping[str, str]) -> str:
        """Return the sign-in page, with a button for each person."""
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in query.items()
        )
        buttons = "".join(
            f'<p><button name="subject" value="{html.escape(person.subject)}">'
            f"Sign in as {html.escape(person.email)}</button></p>"
            for person in self.people.values()
        )
        return (
            '<!doctype html><html lang="en"><title>Sample issuer</title><h1>Sample issuer</h1>'
            f'<form method="post" action="/authorize">{hidden}{buttons}'
            '<p><button name="subject" value="">Cancel</button></p></form>'
        )

    def authorize(self, form: Mapping[str, str]) -> str:
        """Return the URL to which the browser takes its code. Raises Refused if it must not go."""
        if form.get("client_id") != self.client_id or form.get("response_type") != "code":
            raise Refused("unauthorized_client")
        back = {"state": form["state"]} if "state" in form else {}
        if form.get("subject"):
            code = secrets.token_urlsafe()
            self._codes[code] = {**form, "expires": time.monotonic() + CODE_LIFETIME}
            back["code"] = code
        else:
            back["error"] = "access_denied"
        return f"{form['redirect_uri']}?{urlencode(back)}"

    def token(self, form: Mapping[str, str], credentials: tuple[str, str]) -> dict[str, Any]:
        grant = form.get("grant_type")
        if grant == "authorization_code":
            return self._token_for_code(form, credentials)
        if grant == "client_credentials":
            return self._token_for_machine(form, credentials)
        raise Refused("unsupported_grant_type")

    def userinfo(self, token: str) -> dict[str, Any]:
        if token not in self._access:
            raise Refused("invalid_token", 401)
        person = self.people[self._access[token]]
        return {**person.all_claims(), **person.userinfo}

    def _token_for_code(
        self, form: Mapping[str, str], credentials: tuple[str, str]
    ) -> dict[str, Any]:
        if credentials != (self.client_id, self.client_secret):
            raise Refused("invalid_client", 401)
        asked = self._codes.pop(form.get("code", ""), None)  # a code works once
        if asked is None or asked["expires"] < time.monotonic():
            raise Refused("invalid_grant")
        if asked["redirect_uri"] != form.get("redirect_uri"):
            raise Refused("invalid_grant")
        if challenge := asked.get("code_challenge"):
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != challenge:
                raise Refused("invalid_grant")
        person = self.people[asked["subject"]]
        access = secrets.token_urlsafe()
        self._access[access] = person.subject
        nonce = {"nonce": asked["nonce"]} if "nonce" in asked else {}
        id_token = self.sign({"aud": self.client_id, **nonce, **person.all_claims()})
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "id_token": id_token,
        }

    def _token_for_machine(
        self, form: Mapping[str, str], credentials: tuple[str, str]
    ) -> dict[str, Any]:
        client_id, secret = credentials
        machine = self.machines.get(client_id)
        if machine is None or machine.secret != secret:
            raise Refused("invalid_client", 401)
        scopes = form["scope"].split() if form.get("scope") else list(machine.scopes)
        if not set(scopes) <= set(machine.scopes):
            raise Refused("invalid_scope")
        scope = " ".join(scopes)
        token = self.access_token(
            client_id, scope=scope, audience=form.get("audience"), **machine.claims
        )
        kind = {"token_type": "Bearer", "expires_in": LIFETIME}
        return {"access_token": token, "scope": scope, **kind}
