"""manage.py check_edu: what it says, what it exits with, and what it never shows."""

import base64
import io
import json
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.core.management import CommandError, call_command

from edu.diagnosis import TABLES, check_everything
from edu.roster import ROSTER_SQL
from runway import aws
from runway.sandbox.edu import Association, SandboxEdu, encode_key, generate_key
from runway.sandbox.population import OTHER_TENANT, TENANT
from tests.aws import Answering
from tests.edu.conftest import use_edu

pytestmark = pytest.mark.slow


@dataclass
class Outcome:
    status: int
    output: str
    error: str

    @property
    def titles(self):
        """The steps in order, the failed one in capitals."""
        lines = [line for line in self.output.splitlines() if line[:2] in ("ok", "FA")]
        return [
            line[7:20].strip().upper() if line.startswith("FAILED") else line[7:20].strip()
            for line in lines
        ]


def check(*arguments) -> Outcome:
    output = io.StringIO()
    try:
        call_command("check_edu", "ea", *arguments, stdout=output, no_color=True)
    except CommandError as error:
        return Outcome(error.returncode, output.getvalue(), str(error))
    return Outcome(0, output.getvalue(), "")


@pytest.fixture
def edu(settings, sandbox_edu):
    """The sandbox's EDU in the settings; a call changes its credentials."""

    def change(**changes):
        use_edu(settings, sandbox_edu.environment(), **changes)

    change()
    return change


@pytest.fixture
def faulty(settings, snowflake, key):
    """The EDU that fails on demand, in the settings."""
    use_edu(
        settings,
        {},
        **{"username": "u", "account": "a", "database": "d", "schema": "s"},
        **{"private_key": encode_key(key), "host": "127.0.0.1", "protocol": "http"},
        port=str(snowflake.port),
    )
    return snowflake


def encoded(key):
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return base64.b64encode(pem).decode()


def test_an_edu_that_works_is_told_step_by_step(edu):
    done = check()
    assert done.status == 0, done
    assert done.titles == [
        *("Credentials", "Private key", "Connection", "Session"),
        *("Tables", "Names", "Tenants", "Sample", "Rows"),
    ]
    for text in (
        "EDU_SNOWFLAKE_* variables: complete",
        "RSA, 2048 bits; its public key is SHA256:",
        "database EDU_SANDBOX, schema STAGING, warehouse RUNWAY_WH, role RUNWAY",
        "2 tenants, school years ending 2021 to 2026",
        "id types: Local, State",
        f"{TENANT}: 960",
        f"{OTHER_TENANT}: 180",
        "everything works",
    ):
        assert text in done.output


def test_a_quick_check_counts_nothing(edu):
    done = check("--quick")
    assert (done.status, done.titles[-1]) == (0, "Names")


def test_neither_the_key_nor_a_student_is_shown(edu, sandbox_edu, caplog):
    told = check().output + caplog.text
    assert encode_key(sandbox_edu.key)[:40] not in told
    assert "604822" not in told
    assert "604000" not in told


def test_rows_are_counted_as_the_roster_delivers_them(edu):
    [rows] = [step for step in check_everything("ea") if step.title == "Rows"]
    assert list(rows.details) == [f"{OTHER_TENANT}: 180", f"{TENANT}: 960"]


def test_a_tenant_that_edu_does_not_hold_is_named_with_those_it_does(edu):
    assert check("--tenant", TENANT).status == 0
    done = check("--tenant", "Grand_Bend")
    assert (done.status, done.titles[-1]) == (1, "TENANTS")
    assert "no students of tenant Grand_Bend" in done.error
    assert f"EDU has: {OTHER_TENANT}, {TENANT}" in done.output


def test_without_anything_stored_it_says_what_to_set(settings):
    use_edu(settings, {})
    done = check()
    assert (done.status, done.titles) == (1, ["CREDENTIALS"])
    assert "Set EDU_SNOWFLAKE_USERNAME" in done.output


def test_missing_values_are_named(edu):
    edu(schema="", account=None)
    done = check()
    assert (done.status, done.titles) == (1, ["CREDENTIALS"])
    assert "there is no account, schema" in done.error


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hunter2!", "not base64"),
        (
            encoded(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # noqa: S505
            "1024 bits",
        ),
        (encoded(ec.generate_private_key(ec.SECP256R1())), "not an RSA key"),
    ],
)
def test_a_key_that_is_of_no_use_is_said_before_edu_is_asked(edu, text, says):
    edu(private_key=text, port="1")
    done = check()
    assert (done.status, done.titles) == (1, ["Credentials", "PRIVATE KEY"])
    assert says in done.error
    assert "hunter2" not in done.output


def test_a_key_that_edu_does_not_know_is_told_with_its_fingerprint(edu):
    edu(private_key=encode_key(generate_key()))
    done = check()
    assert (done.status, done.titles[-1]) == (1, "CONNECTION")
    assert "RSA_PUBLIC_KEY_FP" in done.output
    assert "SHA256:" in done.output


def test_an_edu_out_of_reach_may_pass_later(edu, monkeypatch):
    monkeypatch.setattr("edu.connect.LOGIN_TIMEOUT", 1)
    edu(port="1")
    done = check()
    assert (done.status, done.titles[-1]) == (3, "CONNECTION")
    assert "443" in done.output


@pytest.mark.parametrize(("name", "grant"), [("warehouse", "WAREHOUSE"), ("role", "ROLE")])
def test_a_session_with_another_warehouse_or_role_is_told(edu, name, grant):
    edu(**{name: "ELSEWHERE"})
    done = check()
    assert (done.status, done.titles[-1]) == (1, "SESSION")
    assert f"The {name} is" in done.error
    assert f"GRANT {'USAGE ON WAREHOUSE' if grant == 'WAREHOUSE' else 'ROLE'}" in done.output


def test_a_schema_without_the_tables_is_told(edu):
    edu(schema="ELSEWHERE")
    done = check()
    assert done.status == 1
    assert done.titles[-1] in ("SESSION", "TABLES")
    assert "schema" in done.error.lower()
    assert "GRANT" in done.output


@pytest.mark.parametrize("name", ["database", "schema"])
def test_a_session_that_cannot_be_asked_names_what_it_may_lack(faulty, name):
    faulty.on_query = lambda request: request.refuse("002003", "no") or True
    done = check()
    assert done.titles[-1] == "SESSION"
    assert f"{name} {name[0]!r}" in done.error
    assert f"GRANT USAGE ON {name.upper()}" in done.output


def test_an_empty_edu_is_told(settings):
    with SandboxEdu(seed=([], [])) as edu:
        use_edu(settings, edu.environment())
        done = check()
    assert (done.status, done.titles[-1]) == (1, "TENANTS")
    assert "no students at all" in done.error


def test_an_edu_without_names_passes_and_is_told_what_needs_them(settings):
    association = Association("grand_bend", 2026, "k1", "k1", "1", 7)
    with SandboxEdu(seed=([association], [])) as edu:
        use_edu(settings, edu.environment())
        done = check("--quick")
    assert (done.status, done.titles[-1]) == (0, "Names")
    assert "stg_ef3__students cannot be read, which only identity checks need" in done.output
    assert "GRANT" in done.output


@pytest.mark.parametrize(
    ("code", "says", "status"),
    [
        ("002003", "may not see it", 1),
        ("000606", "No warehouse is active", 1),
        ("000604", "took too long", 1),
        ("001234", "query history (error 1234)", 1),
        ("390112", "connection to EDU was lost", 3),
    ],
)
def test_a_refused_query_is_told_without_its_text(faulty, code, says, status):
    faulty.on_query = lambda request: request.refuse(code, "hunter2 of table X") or True
    done = check()
    assert (done.status, done.titles[-1]) == (status, "SESSION")
    assert says in done.output
    assert "hunter2" not in done.output + done.error


def test_lines_of_another_shape_are_told_without_what_they_hold(edu, monkeypatch):
    monkeypatch.setattr("edu.diagnosis.ROSTER_SQL", "select '{\"hunter2\":' || ? || '}' as line")
    done = check()
    assert (done.status, done.titles[-1]) == (1, "SAMPLE")
    assert "another shape" in done.error
    assert "Compare the tables' columns" in done.output
    assert "hunter2" not in done.output + done.error


def test_whatever_is_found_the_connection_is_closed(faulty):
    faulty.on_query = lambda request: request.refuse("002003", "no") or True
    check()
    assert (faulty.logins, faulty.sessions) == (1, set())


def test_credentials_of_aws_are_told_with_the_secrets_name(
    settings, sandbox_edu, aws_environment, fresh_aws_clients
):
    settings.RUNWAY_ENV, settings.ENVLABEL, settings.EDU_SNOWFLAKE = "production", "check", None
    done = check()
    assert (done.status, done.titles) == (1, ["CREDENTIALS"])
    assert "Store an AWS secret check-edu-connection-info-ea" in done.output
    aws.client("secretsmanager").create_secret(
        Name="check-edu-connection-info-ea", SecretString=json.dumps({"username": "hunter2"})
    )
    done = check()
    assert "there is no account, database, schema, private_key" in done.error
    assert "hunter2" not in done.output


@pytest.fixture
def in_production(settings, fresh_aws_clients, monkeypatch):
    settings.RUNWAY_ENV, settings.ENVLABEL, settings.EDU_SNOWFLAKE = "production", "check", None
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def test_an_aws_that_denies_is_told_with_the_permission_to_give(in_production, monkeypatch):
    with Answering({"__type": "AccessDeniedException", "Message": "hunter2"}, 400) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        done = check()
    assert (done.status, done.titles) == (1, ["CREDENTIALS"])
    assert "secretsmanager:GetSecretValue" in done.output
    assert "hunter2" not in done.output


def test_an_aws_that_is_unwell_may_pass_later(in_production, monkeypatch):
    with Answering({"__type": "ThrottlingException", "Message": "Rate exceeded"}, 400) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        done = check()
    assert (done.status, done.titles) == (3, ["CREDENTIALS"])
    assert "try again" in done.output


def test_a_secret_that_is_no_json_object_has_to_be_stored_anew(in_production, monkeypatch):
    with Answering({"Name": "check-edu-connection-info-ea", "SecretString": "hunter2"}) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        done = check()
    assert (done.status, done.titles) == (1, ["CREDENTIALS"])
    assert "Store the secret again" in done.output
    assert "hunter2" not in done.output + done.error


def test_the_tables_that_are_checked_are_those_that_the_roster_reads():
    assert {word for word in ROSTER_SQL.split() if word.startswith("stg_ef3__")} == set(TABLES)
