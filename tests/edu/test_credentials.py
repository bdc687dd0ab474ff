import base64
import json
import logging
import socket
import threading
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography.hazmat.primitives import serialization

from edu.credentials import EduCredentials, lookup
from edu.errors import CredentialLookupFailed, EduError, KeyUnreadable, NotConfigured
from runway import aws as clients
from runway.sandbox.edu import encode_key

ENVLABEL = "test"


@pytest.fixture
def production(settings, fresh_aws_clients, monkeypatch):
    settings.RUNWAY_ENV = "production"
    settings.ENVLABEL = ENVLABEL
    settings.EDU_SNOWFLAKE = None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture
def aws(production, moto_url, monkeypatch):
    """Stores a partner's secret in moto; the client that the look-up makes finds it there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    client = clients.client("secretsmanager")
    stored = []

    def store(partner_id, **value):
        name = f"{ENVLABEL}-edu-connection-info-{partner_id}"
        stored.append(name)
        client.create_secret(Name=name, **value)
        return client

    yield store
    for name in stored:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def secret(key):
    return {
        "username": "RUNWAY",
        "account": "acme-east",
        "database": "EDU",
        "schema": "STG",
        "privateKey": encode_key(key),
    }


class Answering:
    """AWS as a server that gives every request the same answer."""

    def __init__(self, status, body, content_type="application/x-amz-json-1.1"):
        self.requests = 0
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                answering.requests += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def found() -> EduCredentials:
    credentials = lookup("ea")
    assert credentials is not None
    return credentials


def test_a_secret_becomes_credentials(aws, secret, key):
    aws("ea", SecretString=json.dumps({**secret, "warehouse": "WH", "role": "READER"}))
    credentials = found()
    assert (
        credentials.username,
        credentials.account,
        credentials.database,
        credentials.schema,
    ) == (
        "RUNWAY",
        "acme-east",
        "EDU",
        "STG",
    )
    assert (credentials.warehouse, credentials.role) == ("WH", "READER")
    loaded = serialization.load_der_private_key(credentials.private_key, None)
    assert loaded.public_key() == key.public_key()


def test_warehouse_and_role_may_be_left_out(aws, secret):
    aws("ea", SecretString=json.dumps(secret))
    assert (found().warehouse, found().role) == (None, None)


def test_a_secret_does_not_choose_another_host(aws, secret):
    aws("ea", SecretString=json.dumps({**secret, "host": "elsewhere.example", "protocol": "http"}))
    assert (found().host, found().protocol) == (None, None)


def test_a_rotated_secret_is_seen_at_once(aws, secret):
    client = aws("ea", SecretString=json.dumps(secret))
    assert found().username == "RUNWAY"
    client.put_secret_value(
        SecretId=f"{ENVLABEL}-edu-connection-info-ea",
        SecretString=json.dumps({**secret, "username": "RUNWAY2"}),
    )
    assert found().username == "RUNWAY2"


def test_credentials_never_show_the_key(aws, secret, caplog):
    aws("ea", SecretString=json.dumps(secret))
    with caplog.at_level(logging.DEBUG, logger="edu"):
        credentials = found()
    pem = base64.b64decode(secret["privateKey"]).decode()
    for text in (repr(credentials), str(credentials), f"{[credentials]}", caplog.text):
        assert "private_key" not in text
        assert pem.splitlines()[1] not in text


def test_no_secret_is_no_credentials(aws):
    assert lookup("nobody") is None


@pytest.mark.parametrize("name", ["username", "account", "database", "schema", "privateKey"])
@pytest.mark.parametrize("value", ["", "  ", None])
def test_a_missing_value_is_no_credentials_and_is_named_in_the_log(
    aws, secret, caplog, name, value
):
    aws("ea", SecretString=json.dumps({**secret, name: value}))
    assert lookup("ea") is None
    assert ("private_key" if name == "privateKey" else name) in caplog.text
    assert "acme-east" not in caplog.text


@pytest.mark.parametrize(
    "value",
    [
        {"SecretString": '{"username": "hunter2"'},
        {"SecretString": '["hunter2"]'},
        {"SecretString": "hunter2"},
        {"SecretBinary": b'{"username": "hunter2"}'},
    ],
)
def test_a_malformed_secret_is_loud_and_quotes_nothing(aws, caplog, value):
    aws("ea", **value)
    with pytest.raises(CredentialLookupFailed) as failure:
        lookup("ea")
    assert "not the text of a JSON object" in str(failure.value)
    assert "hunter2" not in str(failure.value) + caplog.text
    assert failure.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not base64!", "not base64"),
        (base64.b64encode(b"hunter2").decode(), "not a PEM private key"),
    ],
)
def test_an_unreadable_key_is_loud_and_quotes_nothing(aws, secret, caplog, text, reason):
    aws("ea", SecretString=json.dumps({**secret, "privateKey": text}))
    with pytest.raises(KeyUnreadable, match=reason):
        lookup("ea")
    assert reason in caplog.text
    assert "hunter2" not in caplog.text


def test_a_key_with_a_passphrase_says_so(aws, secret, key):
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    )
    aws("ea", SecretString=json.dumps({**secret, "privateKey": base64.b64encode(pem).decode()}))
    with pytest.raises(KeyUnreadable, match="passphrase"):
        lookup("ea")


@pytest.mark.parametrize("code", ["AccessDeniedException", "DecryptionFailure"])
def test_a_refusal_by_aws_does_not_look_like_no_credentials(production, monkeypatch, caplog, code):
    body = json.dumps({"__type": code, "Message": "hunter2"}).encode()
    with Answering(400, body) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        with pytest.raises(CredentialLookupFailed, match=code):
            lookup("ea")
    assert code in caplog.text
    assert "hunter2" not in caplog.text


def test_throttling_is_tried_again_and_then_raised(production, monkeypatch):
    body = json.dumps({"__type": "ThrottlingException", "Message": "Rate exceeded"}).encode()
    with Answering(400, body) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        with pytest.raises(CredentialLookupFailed, match="ThrottlingException"):
            lookup("ea")
        assert aws.requests == 3


def test_an_answer_that_is_no_json_is_raised_without_its_text(production, monkeypatch, caplog):
    with Answering(200, b"<html>hunter2</html>", "text/html") as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        with pytest.raises(CredentialLookupFailed) as failure:
            lookup("ea")
    assert "hunter2" not in str(failure.value) + caplog.text
    assert failure.value.__context__ is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense"])
def test_an_unreachable_or_nonsensical_aws_is_raised(production, monkeypatch, url):
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(CredentialLookupFailed):
        lookup("ea")


def test_an_aws_that_does_not_answer_is_given_up_in_time(production, monkeypatch, caplog):
    monkeypatch.setattr("edu.credentials._READ_TIMEOUT", 0.2)
    monkeypatch.setattr("edu.credentials._ATTEMPTS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(CredentialLookupFailed, match="ReadTimeoutError"):
            lookup("ea")
    assert "ReadTimeoutError" in caplog.text


@pytest.mark.parametrize("cut", [None, -1])
def test_no_traceback_of_a_failed_lookup_shows_the_secret(aws, secret, cut):
    aws("ea", SecretString=json.dumps({**secret, "privateKey": "hunter2!"})[:cut])
    with pytest.raises(EduError) as failure:
        lookup("ea")
    told = "".join(traceback.format_exception(failure.value))
    assert "hunter2" not in told
    assert "acme-east" not in told


def test_production_without_envlabel_is_an_error_of_configuration(production, settings):
    settings.ENVLABEL = None
    with pytest.raises(NotConfigured, match="ENVLABEL"):
        lookup("ea")


def test_production_ignores_the_development_variables(production, settings, secret):
    settings.ENVLABEL = None
    settings.EDU_SNOWFLAKE = {**secret, "private_key": secret["privateKey"]}
    with pytest.raises(NotConfigured):
        lookup("ea")


@pytest.fixture
def development(settings, secret):
    settings.RUNWAY_ENV = "development"
    settings.ENVLABEL = None
    values = {name: value for name, value in secret.items() if name != "privateKey"}
    settings.EDU_SNOWFLAKE = {**values, "private_key": secret["privateKey"], "role": ""}
    return settings


def test_development_takes_the_variables_and_a_local_host(development):
    development.EDU_SNOWFLAKE |= {"host": "127.0.0.1", "port": "8085", "protocol": "http"}
    credentials = found()
    assert (credentials.account, credentials.role) == ("acme-east", None)
    assert (credentials.host, credentials.port, credentials.protocol) == ("127.0.0.1", 8085, "http")


def test_development_without_any_variable_has_no_edu(development):
    development.EDU_SNOWFLAKE = None
    assert lookup("ea") is None
    development.EDU_SNOWFLAKE = {"username": None, "account": ""}
    assert lookup("ea") is None


def test_development_with_some_variables_names_the_missing_ones(development, caplog):
    development.EDU_SNOWFLAKE |= {"schema": None}
    assert lookup("ea") is None
    assert "schema" in caplog.text


def test_development_with_envlabel_only_asks_aws(development, aws, secret, settings):
    settings.RUNWAY_ENV = "development"
    settings.ENVLABEL = ENVLABEL
    settings.EDU_SNOWFLAKE = None
    aws("ea", SecretString=json.dumps(secret))
    assert found().account == "acme-east"
