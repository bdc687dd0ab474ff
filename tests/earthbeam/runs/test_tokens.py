import base64
import json
import time
import uuid

import jwt
import pytest

from earthbeam.models import Run
from earthbeam.runs import tokens

RUN = Run(id=uuid.UUID("6f1c1f0e-8f6c-4a53-9a1e-0d6f3c1b2a4d"))


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def signed(settings, **changes):
    claims = {"runId": str(RUN.id), "type": "access", "exp": int(time.time()) + 60} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, settings.EXECUTOR_JWT_KEY, algorithm="HS256")


@pytest.mark.parametrize(
    ("issue", "kind", "seconds"),
    [(tokens.init_token, "init", 300), (tokens.access_token, "access", 86400)],
)
def test_a_token_says_run_type_and_end(issue, kind, seconds):
    claims = claims_of(issue(RUN))
    assert claims["runId"] == str(RUN.id)
    assert claims["type"] == kind
    assert abs(claims["exp"] - time.time() - seconds) < 5
    assert tokens.read(issue(RUN), kind) == (RUN.id, "")


def test_a_token_says_for_which_size_of_executor_it_is():
    large = Run(id=RUN.id, executor_size="large")
    assert tokens.read(tokens.access_token(large), "access") == (RUN.id, "large")


def test_a_token_of_the_contracts_claims_alone_is_for_any_executor(settings):
    assert tokens.read(signed(settings), "access") == (RUN.id, None)


def test_a_token_of_one_type_is_no_token_of_the_other():
    with pytest.raises(tokens.BadToken, match="type access"):
        tokens.read(tokens.init_token(RUN), "access")
    with pytest.raises(tokens.BadToken, match="type init"):
        tokens.read(tokens.access_token(RUN), "init")


def test_an_expired_token_says_so(settings):
    with pytest.raises(tokens.BadToken, match="expired"):
        tokens.read(signed(settings, exp=int(time.time()) - 1), "access")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"runId": None},
        {"type": None},
        {"runId": "not-an-id"},
        {"runId": 7},
        {"runId": ["6f1c1f0e-8f6c-4a53-9a1e-0d6f3c1b2a4d"]},
        {"exp": "tomorrow"},
    ],
)
def test_a_token_with_a_missing_or_odd_claim_is_refused(settings, changes):
    with pytest.raises(tokens.BadToken, match="not valid"):
        tokens.read(signed(settings, **changes), "access")


def test_a_type_that_is_no_text_is_refused(settings):
    with pytest.raises(tokens.BadToken):
        tokens.read(signed(settings, type=["access"]), "access")


def test_a_token_signed_with_another_key_is_refused():
    forged = jwt.encode(claims_of(tokens.access_token(RUN)), "k" * 64, algorithm="HS256")
    with pytest.raises(tokens.BadToken, match="not valid"):
        tokens.read(forged, "access")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_our_key_with_another_algorithm_is_refused(settings, algorithm):
    claims = claims_of(tokens.access_token(RUN))
    other = jwt.encode(claims, settings.EXECUTOR_JWT_KEY, algorithm=algorithm)
    with pytest.raises(tokens.BadToken, match="not valid"):
        tokens.read(other, "access")


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE"])
def test_an_unsigned_token_is_refused(algorithm):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    header, claims = {"alg": algorithm, "typ": "JWT"}, claims_of(tokens.access_token(RUN))
    with pytest.raises(tokens.BadToken, match="not valid"):
        tokens.read(f"{part(header)}.{part(claims)}.", "access")


@pytest.mark.parametrize("text", ["", "x", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "\0", "." * 1000])
def test_what_is_no_token_is_refused_without_being_repeated(text):
    with pytest.raises(tokens.BadToken) as caught:
        tokens.read(text, "access")
    assert str(caught.value) == "The token is not valid."
