import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

PRODUCTION = {
    "SECRET_KEY": "s" * 60,
    "EXECUTOR_JWT_KEY": "j" * 60,
    "ENCRYPTION_KEYS": "ZGV2ZWxvcG1lbnQtb25seS1kZXZlbG9wbWVudC1vbmw=",
    "DATABASE_URL": "postgres:///unused",
    "ALLOWED_HOSTS": "runway.example.org",
    "APP_URL": "https://runway.example.org/",
    "FILES_BASE": "file:///srv/runway",
}


def load_settings(variables, show="settings.RUNWAY_ENV"):
    return subprocess.run(
        (sys.executable, "-c", f"from runway import settings; print({show})"),
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
    )


def test_production_is_the_default_and_starts_with_what_it_needs():
    done = load_settings(PRODUCTION, "settings.RUNWAY_ENV, settings.DEBUG, settings.APP_URL")
    assert done.stdout.strip() == "production False https://runway.example.org", done.stderr


@pytest.mark.parametrize(("query", "seconds"), [("", 10), ("?connect_timeout=3", 3)])
def test_a_lost_database_is_not_waited_for_without_a_limit(query, seconds):
    variables = PRODUCTION | {"DATABASE_URL": f"postgres:///unused{query}"}
    shown = load_settings(variables, "settings.DATABASES['default']['OPTIONS']['connect_timeout']")
    assert shown.stdout.strip() == str(seconds)


def test_left_empty_what_protects_production_stays_on():
    empty = {"REQUIRE_SECOND_FACTOR": "", "SECURE_SSL_REDIRECT": ""}
    show = "settings.REQUIRE_SECOND_FACTOR, settings.SECURE_SSL_REDIRECT"
    assert load_settings(PRODUCTION | empty, show).stdout.strip() == "True True"
    refused = load_settings(PRODUCTION | {"REQUIRE_SECOND_FACTOR": "no"}, show)
    assert "REQUIRE_SECOND_FACTOR must be true or false" in refused.stderr


@pytest.mark.parametrize("name", PRODUCTION)
def test_production_refuses_to_start_without(name):
    done = load_settings({key: value for key, value in PRODUCTION.items() if key != name})
    assert done.returncode != 0
    assert f"Set the environment variable {name}" in done.stderr


def test_edus_development_variables_are_not_read_in_production():
    variables = PRODUCTION | {"EDU_SNOWFLAKE_USERNAME": "somebody"}
    assert load_settings(variables, "settings.EDU_SNOWFLAKE").stdout.strip() == "None"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is not JSON"),
        ("{}", "must be a list"),
        ('[{"id": "a"}]', "entry 1 needs name"),
        (
            '[{"id": "A b", "name": "A", "issuer": "i", "client_id": "c", "client_secret": "s"}]',
            "id",
        ),
        ('[{"id": "a", "trusted": true}]', "unknown fields: trusted"),
    ],
)
def test_issuers_that_cannot_be_read_are_refused_without_their_secrets(text, complaint):
    done = load_settings(PRODUCTION | {"OIDC_ISSUERS": text})
    assert done.returncode != 0
    assert "OIDC_ISSUERS" in done.stderr
    assert complaint in done.stderr


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"PROXY_COUNT": "2"}, "0"),
        ({"BEHIND_TLS_PROXY": "true"}, "1"),
        ({"BEHIND_TLS_PROXY": "true", "PROXY_COUNT": "2"}, "2"),
    ],
)
def test_forwarded_addresses_are_believed_only_behind_a_proxy(variables, count):
    assert load_settings(PRODUCTION | variables, "settings.PROXY_COUNT").stdout.strip() == count


def test_an_unknown_environment_is_refused():
    done = load_settings(PRODUCTION | {"RUNWAY_ENV": "staging"})
    assert "RUNWAY_ENV must be 'production' or 'development'" in done.stderr


def test_a_number_that_is_none_is_refused_by_name():
    done = load_settings(PRODUCTION | {"EXECUTOR_TIMEOUT_SECONDS": "an hour"})
    assert "EXECUTOR_TIMEOUT_SECONDS must be a whole number above 0" in done.stderr
