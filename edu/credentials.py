"""A partner's EDU credentials: from an AWS secret, or from variables in development.

Nothing is cached, so a rotated secret needs no restart.
"""

import base64
import binascii
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings

from edu.errors import (
    CredentialLookupFailed,
    CredentialsDenied,
    CredentialsMalformed,
    KeyUnreadable,
    NotConfigured,
)
from runway import aws

logger = logging.getLogger(__name__)

REQUIRED = ("username", "account", "database", "schema", "private_key")
OPTIONAL = ("warehouse", "role")

# A web thread waits for the look-up, so it fails after three quick attempts.
_READ_TIMEOUT = 10.0
_ATTEMPTS = 3
# Errors that a person must fix. Others may pass: too many calls, AWS's own faults, a token being
# renewed.
_TO_BE_FIXED = {
    "AccessDeniedException",
    "DecryptionFailure",
    "InvalidParameterException",
    "InvalidRequestException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
    "ValidationException",
}


@dataclass(frozen=True)
class EduCredentials:
    """Credentials for a partner's EDU. The key never shows in ``repr``."""

    username: str
    account: str
    database: str
    schema: str
    private_key: bytes = field(repr=False)
    """PKCS#8 DER, as the connector expects."""
    warehouse: str | None = None
    role: str | None = None
    host: str | None = None
    port: int | None = None
    protocol: str | None = None
    """Like host and port, only for a local stand-in: Snowflake itself is found by its account."""


@dataclass(frozen=True)
class Given:
    """What is stored for a partner, not validated yet."""

    source: str
    """A description: the name of the AWS secret, or the variables."""
    values: Mapping[str, Any] | None = field(repr=False)
    """By the names of ``EduCredentials``. None if nothing is stored."""

    @property
    def missing(self) -> list[str]:
        """The names of the required values that are missing."""
        values = self.values or {}
        return [name for name in REQUIRED if not str(values.get(name) or "").strip()]


def lookup(partner_id: str) -> EduCredentials | None:
    """Return the partner's EDU credentials, or None if any required value is missing.

    Calls AWS except in development, so it takes tens of milliseconds, or up to half a minute if AWS
    has problems.

    Raises NotConfigured without ENVLABEL outside development, CredentialLookupFailed if AWS gives
    no answer (its subclasses if a retry cannot help), and KeyUnreadable if the key is invalid.
    """
    given = find(partner_id)
    if given.values is None:
        return None
    if given.missing:
        names = ", ".join(given.missing)
        logger.warning(
            "EDU credentials of partner %s: %s without %s", partner_id, given.source, names
        )
        return None
    return parse(partner_id, given)


def find(partner_id: str) -> Given:
    """Return where the partner's credentials are kept, and what is stored there.

    Raises NotConfigured and CredentialLookupFailed as ``lookup`` does.
    """
    if settings.RUNWAY_ENV == "development":
        given = settings.EDU_SNOWFLAKE or {}
        if any(given.values()) or not settings.ENVLABEL:
            return Given("EDU_SNOWFLAKE_* variables", given if any(given.values()) else None)
    if not settings.ENVLABEL:
        logger.error("EDU credentials of partner %s: ENVLABEL is not set", partner_id)
        raise NotConfigured
    name = f"{settings.ENVLABEL}-edu-connection-info-{partner_id}"
    secret = _aws_secret(partner_id, name)
    if secret is not None:
        renamed = {**secret, "private_key": secret.get("privateKey")}
        # Only these values: a secret must not choose another host.
        secret = {name: renamed.get(name) for name in REQUIRED + OPTIONAL}
    return Given(f"AWS secret {name}", secret)


def _aws_secret(partner_id: str, name: str) -> dict[str, Any] | None:
    """Return the secret's JSON object, or None if AWS reports that no such secret exists."""
    failure: type[CredentialLookupFailed]
    try:
        client = aws.client("secretsmanager", read_timeout=_READ_TIMEOUT, attempts=_ATTEMPTS)
        text = client.get_secret_value(SecretId=name).get("SecretString")
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        if code == "ResourceNotFoundException":
            return None
        reason = f"AWS answered {code}"
        failure = CredentialsDenied if code in _TO_BE_FIXED else CredentialLookupFailed
    except (BotoCoreError, ValueError) as error:
        # ValueError: an invalid endpoint URL. Only the type, since some errors quote their input.
        reason = f"AWS could not be asked ({type(error).__name__})"
        failure = CredentialLookupFailed
    else:
        secret = _json_object(text)
        if secret is not None:
            return secret
        reason = "the AWS secret is not the text of a JSON object"
        failure = CredentialsMalformed
    logger.error("EDU credentials of partner %s: look-up of %s: %s", partner_id, name, reason)
    # Raised outside the handlers, so that no context has what AWS sent.
    raise failure(f"EDU's credentials could not be looked up: {reason}.")


def _json_object(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text or "")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def parse(partner_id: str, given: Given) -> EduCredentials:
    """Parse credentials that have all required values. Raises KeyUnreadable."""
    values = given.values or {}
    texts = {name: str(value).strip() for name, value in values.items() if value is not None}
    port = texts.get("port")
    return EduCredentials(
        username=texts["username"],
        account=texts["account"],
        database=texts["database"],
        schema=texts["schema"],
        private_key=_der_key(partner_id, texts["private_key"]),
        warehouse=texts.get("warehouse") or None,
        role=texts.get("role") or None,
        host=texts.get("host") or None,
        port=int(port) if port else None,
        protocol=texts.get("protocol") or None,
    )


def _der_key(partner_id: str, text: str) -> bytes:
    """Return the DER of a key, given as the base64 of its PEM."""
    try:
        pem = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        reason = "it is not base64"
    else:
        try:
            key = load_pem_private_key(pem, password=None)
            return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        except TypeError:
            reason = "it is protected by a passphrase"
        except (ValueError, UnsupportedAlgorithm):
            reason = "what the base64 holds is not a PEM private key"
    logger.error("EDU credentials of partner %s: private key unreadable: %s", partner_id, reason)
    raise KeyUnreadable(f"EDU's private key is unreadable: {reason}.")
