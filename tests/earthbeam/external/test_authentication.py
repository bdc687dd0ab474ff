import threading

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from earthbeam.external import issuer as issuer_module
from tests import factories
from tests.earthbeam.external.conftest import AUDIENCE, ApiClient

CALLS = [
    ("post", "jobs", "create:jobs"),
    ("get", "jobs", "read:jobs"),
    ("get", "jobs/00000000-0000-0000-0000-000000000000", "read:jobs"),
    ("post", "jobs/00000000-0000-0000-0000-000000000000/start", "create:jobs"),
    ("post", "jobs/00000000-0000-0000-0000-000000000000/cancel", "create:jobs"),
    ("get", "jobs/00000000-0000-0000-0000-000000000000/open-rows", "read:jobs:students"),
    ("post", "jobs/00000000-0000-0000-0000-000000000000/decisions", "decide:students"),
    ("get", "output-sets", "read:jobs"),
    ("get", "runs", "read:jobs"),
    (
        "post",
        "output-sets/00000000-0000-0000-0000-000000000000/download-links",
        "read:jobs:output-files",
    ),
    ("post", "token/verify", "create:jobs"),
]
SCOPES = {scope for _, _, scope in CALLS}


@pytest.fixture(autouse=True)
def partner(db):
    return factories.make_partner()


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
def test_every_call_needs_an_issuer_a_token_and_its_scope(
    client_with, settings, method, path, scope
):
    def answer(client):
        return getattr(client, method)(path)

    assert answer(ApiClient()).status_code == 401
    assert answer(ApiClient("nonsense")).status_code == 401
    others = client_with(scope=" ".join(SCOPES - {scope}))
    refused = answer(others)
    assert refused.status_code == 403
    assert scope in refused.json()["detail"]
    assert answer(client_with(scope=scope)).status_code not in (401, 403, 503)
    settings.OAUTH2_ISSUER = None
    for client in (ApiClient(), others):
        assert answer(client).status_code == 503


def verify(token):
    return ApiClient(token).post("token/verify")


def test_a_token_says_which_partners_it_is_good_for(client_with):
    factories.make_partner("tx")
    client = client_with(partners="tx ea gone", client_id="loader", client_name="District loader")
    answer = client.post("token/verify")
    assert answer.json() == {
        "client": "loader",
        "clientName": "District loader",
        "scopes": sorted(SCOPES),
        "partners": ["ea", "tx"],
    }


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"audience": "https://elsewhere.example.org"}, "audience"),
        ({"audience": None}, "not valid"),
        ({"lifetime": -120}, "expired"),
        ({"iss": "https://elsewhere.example.org"}, "issuer"),
        ({"client_id": None, "sub": "x"}, "names no client"),
        ({"client_id": 7, "sub": "x"}, "names no client"),
    ],
)
def test_a_token_that_is_not_for_us_is_refused_and_says_why(client_with, claims, why):
    answer = client_with(**claims).post("token/verify")
    assert answer.status_code == 401
    assert why in answer.json()["detail"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_scopes_may_stand_in_a_list_and_the_client_in_azp(issuer):
    token = issuer.access_token(
        scope=["create:jobs", "partner:ea", 7],
        audience=[AUDIENCE],
        client_id=None,
        sub="x",
        azp="loader",
    )
    assert verify(token).json()["client"] == "loader"
    token = issuer.access_token(audience=AUDIENCE, scp=["create:jobs", "partner:ea"])
    assert verify(token).json()["partners"] == ["ea"]


def test_tokens_that_others_signed_are_refused(issuer):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = issuer.access_token(scope="create:jobs", audience=AUDIENCE)
    claims = jwt.decode(good, options={"verify_signature": False})
    kid = jwt.get_unverified_header(good)["kid"]
    for forged in (
        jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid}),
        jwt.encode(claims, key, algorithm="RS256", headers={"kid": "unknown"}),
        jwt.encode(claims, key, algorithm="RS256"),
        jwt.encode(claims, "x" * 64, algorithm="HS256", headers={"kid": kid}),
        jwt.encode(claims, "", algorithm="none"),
        good[:-6] + "AAAAAA",
    ):
        assert verify(forged).status_code == 401
    assert verify(good).status_code == 200


def test_keys_may_be_rotated_at_any_time(issuer, monkeypatch):
    monkeypatch.setattr(issuer_module, "COOLDOWN", 0.0)
    issuer_module._discover.cache_clear()

    def token():
        return issuer.access_token(scope="create:jobs", audience=AUDIENCE)

    old = token()
    assert verify(old).status_code == 200
    issuer.rotate_keys()
    assert verify(token()).status_code == 200
    assert verify(old).status_code == 200
    issuer.rotate_keys(keep_old=False)
    assert verify(token()).status_code == 200
    assert verify(old).status_code == 401


def test_unknown_keys_do_not_make_us_hammer_the_issuer(issuer):
    good = issuer.access_token(scope="create:jobs", audience=AUDIENCE)
    assert verify(good).status_code == 200
    before = issuer.asked["/jwks"]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for number in range(20):
        verify(jwt.encode({}, key, algorithm="RS256", headers={"kid": f"made up {number}"}))
    assert issuer.asked["/jwks"] - before <= 1


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks"])
def test_an_issuer_that_is_away_is_503_until_it_is_back(issuer, path):
    token = issuer.access_token(scope="create:jobs", audience=AUDIENCE)
    issuer.broken.add(path)
    answer = verify(token)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    issuer.broken.clear()
    assert verify(token).status_code == 200
    # What is known stays known while the issuer is away.
    issuer.broken.update(["/.well-known/openid-configuration", "/jwks"])
    assert verify(token).status_code == 200


def test_a_burst_of_first_callers_discovers_the_issuer_once(issuer):
    token = issuer.access_token(scope="create:jobs", audience=AUDIENCE)
    before = issuer.asked.copy()
    threads = [threading.Thread(target=issuer_module.claims_of, args=(token,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = issuer.asked - before
    assert asked == {"/.well-known/openid-configuration": 1, "/jwks": 1}


def test_a_token_that_names_no_client_may_read(client_with):
    factories.make_partner()
    client = client_with(client_id=None, sub="x")
    assert client.get("output-sets", {"partner": "ea"}).json() == []
    assert client.post("jobs", {}).status_code == 401
