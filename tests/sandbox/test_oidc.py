import base64
import hashlib
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests

from runway.sandbox.oidc import Machine, Person, SandboxOidc

BACK = "http://127.0.0.1:9/back"
VERIFIER = "v" * 50
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)


@pytest.fixture
def issuer():
    with SandboxOidc(
        [Person("p1", "ann@example.org")],
        machines={"loader": Machine("hush", ("read:jobs", "partner:ea"), {"azp": "loader"})},
    ) as issuer:
        yield issuer


def discovered(issuer):
    return requests.get(f"{issuer.url}/.well-known/openid-configuration", timeout=10).json()


def decoded(issuer, token, audience=None):
    keys = jwt.PyJWKClient(discovered(issuer)["jwks_uri"])
    return jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token).key,
        algorithms=["RS256"],
        audience=audience,
        issuer=issuer.url,
    )


def signed_in(issuer, **changes):
    form = {
        "client_id": issuer.client_id,
        "response_type": "code",
        "redirect_uri": BACK,
        "state": "s",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "subject": "p1",
    }
    page = requests.get(f"{issuer.url}/authorize", params=form, timeout=10).text
    assert "Sign in as ann@example.org" in page
    answer = requests.post(
        f"{issuer.url}/authorize", data=form | changes, allow_redirects=False, timeout=10
    )
    return {
        name: value[0]
        for name, value in parse_qs(urlsplit(answer.headers["Location"]).query).items()
    }


def exchanged(issuer, code, **changes):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        "client_id": issuer.client_id,
        "client_secret": issuer.client_secret,
    }
    return requests.post(f"{issuer.url}/token", data=form | changes, timeout=10)


def test_a_person_signs_in_and_the_id_token_verifies(issuer):
    back = signed_in(issuer)
    assert back["state"] == "s"
    tokens = exchanged(issuer, back["code"]).json()
    claims = decoded(issuer, tokens["id_token"], issuer.client_id)
    assert (claims["sub"], claims["email"], claims["nonce"]) == ("p1", "ann@example.org", "n")
    userinfo = requests.get(
        discovered(issuer)["userinfo_endpoint"],
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
        timeout=10,
    )
    assert userinfo.json()["email_verified"] is True


def test_a_code_works_once_and_only_for_whom_it_was_made(issuer):
    code = signed_in(issuer)["code"]
    assert exchanged(issuer, code, code_verifier="other").status_code == 400
    assert exchanged(issuer, code).json() == {"error": "invalid_grant"}
    code = signed_in(issuer)["code"]
    assert exchanged(issuer, code, client_secret="guess").status_code == 401


def test_cancelling_says_so(issuer):
    assert signed_in(issuer, subject="") == {"state": "s", "error": "access_denied"}


def test_a_machine_gets_a_signed_token_with_the_scopes_it_asked_for(issuer):
    form = {"grant_type": "client_credentials", "scope": "read:jobs", "audience": "api"}
    answer = requests.post(f"{issuer.url}/token", data=form, auth=("loader", "hush"), timeout=10)
    claims = decoded(issuer, answer.json()["access_token"], "api")
    assert (claims["client_id"], claims["azp"], claims["scope"]) == (
        "loader",
        "loader",
        "read:jobs",
    )


@pytest.mark.parametrize(
    ("changes", "auth", "error"),
    [
        ({}, ("loader", "guess"), "invalid_client"),
        ({"scope": "create:jobs"}, ("loader", "hush"), "invalid_scope"),
        ({"grant_type": "password"}, ("loader", "hush"), "unsupported_grant_type"),
    ],
)
def test_a_machine_is_refused(issuer, changes, auth, error):
    form = {"grant_type": "client_credentials"} | changes
    answer = requests.post(f"{issuer.url}/token", data=form, auth=auth, timeout=10)
    assert answer.json() == {"error": error}


def test_rotated_keys_sign_while_the_old_ones_still_verify_until_dropped(issuer):
    old = issuer.access_token("loader")
    issuer.rotate_keys()
    assert decoded(issuer, old)
    assert decoded(issuer, issuer.access_token("loader"))
    issuer.rotate_keys(keep_old=False)
    with pytest.raises(jwt.PyJWKClientError):
        decoded(issuer, old)


def test_a_path_can_be_broken_and_requests_are_counted(issuer):
    issuer.broken = {"/jwks"}
    assert requests.get(f"{issuer.url}/jwks", timeout=10).status_code == 500
    assert issuer.asked["/jwks"] == 1


@pytest.mark.slow
def test_it_serves_as_a_program():
    with subprocess.Popen(
        (sys.executable, "-m", "runway.sandbox.oidc"), stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        found = requests.get(f"{url}/.well-known/openid-configuration", timeout=10).json()
        program.terminate()
    assert found["issuer"] == url
