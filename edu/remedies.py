"""What to do about each of EDU's failures, the likely cause first."""

from edu.errors import EduError

NEW_KEY = (
    "Make a new key pair (openssl genrsa 2048 | openssl pkcs8 -topk8 -nocrypt), give the user its "
    "public key, and store the base64 of the private key's PEM."
)
EMPTY = "EDU has loaded nothing yet, or the credentials name another schema than EDU's staging one."
SHAPE = "Compare the tables' columns with EDU's documentation: a column may have another type."
CONTEXT = {
    "database": "Fix the credentials' database, or GRANT USAGE ON DATABASE … TO ROLE … there.",
    "schema": "Fix the credentials' schema, or GRANT USAGE ON SCHEMA … TO ROLE … there.",
    "warehouse": "Name a warehouse in the credentials, or GRANT USAGE ON WAREHOUSE … TO ROLE … "
    "there, or give the user a DEFAULT_WAREHOUSE.",
    "role": "Fix the credentials' role, or GRANT ROLE … TO USER … there.",
}

_BY_CODE = {
    "edu_not_configured": "Set ENVLABEL to the prefix of this deployment's AWS secrets.",
    "edu_credential_lookup_failed": "AWS could not be reached, or it had an error. Check the "
    "region and the network, and try again.",
    "edu_credentials_denied": "AccessDenied or DecryptionFailure: allow this app's role "
    "secretsmanager:GetSecretValue on the secret, and kms:Decrypt on its key. Otherwise: the "
    "secret may be scheduled for deletion, or the app's own AWS credentials are not valid.",
    "edu_credentials_malformed": "Store the secret again, as text: a JSON object.",
    "edu_key_unreadable": "The key is stored as the base64 of an unencrypted PEM: "
    "base64 -w0 rsa_key.p8. Store it again like that.",
    "edu_login_rejected": "Most often the user has another public key: compare RSA_PUBLIC_KEY_FP "
    "of DESC USER … in Snowflake with the private key's fingerprint. Otherwise the user's name, "
    "the role or the account is wrong, the user is disabled, or a network policy bars this app.",
    "edu_connect_failed": "The account in the credentials is wrong (a host of that name does not "
    "answer), or this machine may not reach port 443 of *.snowflakecomputing.com, or Snowflake is "
    "down: see status.snowflake.com.",
}
_BY_NUMBER = {
    606: ("No warehouse is active.", CONTEXT["warehouse"]),
    604: (
        "The query was cancelled, as it took too long.",
        "The warehouse is too small or too busy: look at its queue in Snowflake.",
    ),
    904: (
        "A column is missing.",
        "EDU's staging tables are from another version. Update EDU, or ask Runway's developers.",
    ),
    2003: (
        "It does not exist, or the role may not see it.",
        "GRANT SELECT ON ALL TABLES (and FUTURE TABLES) IN SCHEMA … TO ROLE …; views likewise, if "
        "EDU builds views. Or the credentials name another schema than EDU's staging one.",
    ),
}


def store(source: str) -> str:
    """Return what to store, and where, if nothing is stored."""
    if source.startswith("AWS"):
        return (
            f"Store an {source}: a JSON object with username, account, database, schema, "
            "privateKey and optionally warehouse, role. Is the partner's code right?"
        )
    return "Set EDU_SNOWFLAKE_USERNAME and the others; .env.example explains them."


def of(error: EduError) -> str:
    """Return the remedy for one of our own errors, or "" if only a retry helps."""
    return _BY_CODE.get(error.code, "")


def of_query(number: int | None) -> tuple[str, str]:
    """Return finding and remedy for Snowflake's number of a refused query, or ``("", …)``."""
    return _BY_NUMBER.get(
        number or 0,
        ("", f"Look for the query in Snowflake's query history (error {number or 'unknown'})."),
    )
