import base64

import pytest

from edu.credentials import EduCredentials
from runway.sandbox.chunked_snowflake import ChunkedSnowflake
from runway.sandbox.edu import encode_key, generate_key


@pytest.fixture(scope="session")
def key():
    return generate_key()


@pytest.fixture
def snowflake():
    """A Snowflake that sends whatever tables a test gives it, and fails on demand."""
    with ChunkedSnowflake() as server:
        yield server


@pytest.fixture
def snowflake_credentials(snowflake, key):
    return credentials_for(key, port=snowflake.port)


def use_edu(settings, environment, **changes):
    """Have the settings lead to an EDU by its variables, with ``changes`` to what they hold."""
    values = {
        name.removeprefix("EDU_SNOWFLAKE_").lower(): value for name, value in environment.items()
    }
    settings.RUNWAY_ENV, settings.ENVLABEL = "development", None
    settings.EDU_SNOWFLAKE = values | changes


def credentials_for(key, **values):
    """Credentials for a stand-in, as the look-up would build them."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    pem = base64.b64decode(encode_key(key))
    der = load_pem_private_key(pem, None).private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    defaults = {"username": "u", "account": "a", "database": "D", "schema": "S"}
    local = {"host": "127.0.0.1", "protocol": "http"}
    return EduCredentials(**{**defaults, **local, **values, "private_key": der})


def sandbox_credentials(edu, key=None):
    """Credentials for the sandbox's EDU, with its own key unless another is given."""
    values = {**edu.credentials(), "port": edu.port}
    return credentials_for(key or edu.key, **values)
