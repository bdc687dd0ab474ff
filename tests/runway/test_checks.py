import os
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as tests_settings
from django.core.checks import WARNING, run_checks

from access.issuers import Issuer
from earthbeam.launchers import sandbox


def ids(deploy=False):
    """Of errors and warnings."""
    return {
        message.id
        for message in run_checks(include_deployment_checks=deploy)
        if message.id and message.id.startswith("runway.") and message.level >= WARNING
    }


@pytest.fixture
def in_a_region(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def test_the_development_fallbacks_pass():
    assert ids() == set()


def test_what_local_executors_run_in_is_said():
    [message] = [each for each in run_checks() if each.id == "runway.I001"]
    assert message.msg.startswith("Executors run in a bubblewrap sandbox") or (
        "without a sandbox" in message.msg
    )


def test_a_folder_of_files_that_others_can_read_is_warned_about(settings, tmp_path):
    settings.FILES_BASE, settings.IN_DEVELOPMENT = f"file://{tmp_path}", False
    for mode, warned in ((0o755, True), (0o700, False)):
        tmp_path.chmod(mode)
        assert ("runway.W006" in ids()) is warned


@pytest.mark.parametrize(
    ("name", "value", "id"),
    [
        ("ENCRYPTION_KEYS", ["short"], "runway.E001"),
        ("ENCRYPTION_KEYS", [Fernet.generate_key().decode(), ""], "runway.E001"),
        ("EXECUTOR_JWT_KEY", "x" * 31, "runway.E002"),
        ("APP_URL", "runway.test", "runway.E003"),
        ("APP_URL", "ftp://runway.test", "runway.E003"),
        ("APP_URL", "http://", "runway.E003"),
        ("EXECUTOR_APP_URL", "runway.test", "runway.E003"),
        ("FILES_BASE", "ftp://files", "runway.E004"),
        ("FILES_BASE", "/srv/files", "runway.E004"),
        ("FILES_BASE", "s3://", "runway.E004"),
        ("EXECUTOR_LAUNCHER", "rocket", "runway.E005"),
        ("ROSTER_STREAMS_MAX", 16, "runway.E006"),
        ("EDU_SNOWFLAKE", {"port": "abc"}, "runway.E013"),
        ("SUPPORT_CONTACT", "the help desk", "runway.E014"),
        ("SUPPORT_CONTACT", "javascript:alert(1)", "runway.E014"),
        ("EDU_SNOWFLAKE", {"port": "70000"}, "runway.E013"),
    ],
)
def test_a_mistake_is_found_and_its_hint_says_what_to_set(settings, name, value, id):
    settings.WEB_THREADS = 16
    setattr(settings, name, value)
    found = [message for message in run_checks() if message.id == id]
    assert found
    assert all(message.hint for message in found)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://login.test", set()),
        ("http://127.0.0.1:8000", set()),
        ("http://login.test", {"runway.E009"}),
        ("login.test", {"runway.E009"}),
    ],
)
def test_issuers_must_be_reached_safely(settings, url, found):
    settings.OIDC_ISSUERS = (Issuer("one", "One", url, "client", "secret"),)
    assert ids() == found


@pytest.mark.parametrize(
    ("launcher", "base", "development", "found"),
    [
        ("ecs", "s3://bucket", False, set()),
        ("ecs", "file:///srv/runway", False, {"runway.E007"}),
        ("local", "file:///srv/runway", False, set()),
        ("local", "s3://bucket", False, {"runway.E007"}),
        ("local", "s3://bucket", True, set()),
    ],
)
def test_executors_must_reach_the_files(settings, in_a_region, launcher, base, development, found):
    settings.EXECUTOR_LAUNCHER, settings.FILES_BASE = launcher, base
    settings.IN_DEVELOPMENT, settings.ENVLABEL = development, "test"
    settings.APP_URL = "https://runway.test"
    assert ids() == found


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("ENVLABEL", None, {"runway.E008"}),
        ("EXECUTOR_TIMEOUT_SECONDS", 43_201, {"runway.W003"}),
        ("EXECUTOR_TIMEOUT_SECONDS", 43_200, set()),
    ],
)
def test_what_ecs_needs(settings, in_a_region, name, value, found):
    settings.EXECUTOR_LAUNCHER, settings.FILES_BASE = "ecs", "s3://bucket"
    settings.ENVLABEL = "test"
    setattr(settings, name, value)
    assert ids() == found


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://runway.test", True),
        ("https://runway.test", False),
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000", False),
        ("http://[::1]:8000", False),
    ],
)
def test_plain_http_is_warned_about_in_production(settings, url, warned):
    settings.IN_DEVELOPMENT, settings.APP_URL = False, url
    assert ("runway.W001" in ids()) is warned
    settings.EXECUTOR_APP_URL = "https://inside.test"
    assert "runway.W001" not in ids()


def test_mail_without_a_sender_is_warned_about(settings):
    settings.EMAIL_URL, settings.DEFAULT_FROM_EMAIL = "smtp://mail.test", "runway@localhost"
    assert "runway.W008" in ids()
    settings.DEFAULT_FROM_EMAIL = "runway@example.org"
    assert "runway.W008" not in ids()


@pytest.mark.parametrize("behind", [True, False])
def test_nothing_that_buffers_in_front_is_warned_about_in_production(settings, behind):
    settings.IN_DEVELOPMENT, settings.BEHIND_TLS_PROXY = False, behind
    assert ("runway.W004" in ids(deploy=True)) is not behind


def test_deploying_in_development_mode_is_warned_about():
    assert ids(deploy=True) == {"runway.W002"}


@pytest.fixture
def production(tmp_path):
    """All that production needs, and nothing else."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tests_settings.BASE_DIR),
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "SECRET_KEY": "Q" * 20 + "7-production-9-" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ",
        "ALLOWED_HOSTS": "runway.test",
        "APP_URL": "https://runway.test",
        "EXECUTOR_JWT_KEY": "k" * 48,
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "FILES_BASE": f"file://{tmp_path}",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:9/runway",
        "BEHIND_TLS_PROXY": "true",
        "ENVLABEL": "test",
        "AWS_REGION": "us-east-1",
    }


def deploy_check(environment):
    return subprocess.run(
        (sys.executable, "-m", "django", "check", "--deploy", "--fail-level", "WARNING"),
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_production_with_everything_set_passes_the_deploy_check(production):
    done = deploy_check(production)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "ALLOWED_HOSTS", "EXECUTOR_JWT_KEY", "ENCRYPTION_KEYS", "DATABASE_URL"]
)
def test_production_does_not_start_without_what_it_needs(production, name):
    del production[name]
    done = deploy_check(production)
    assert done.returncode != 0
    assert name in done.stderr


@pytest.mark.parametrize(
    ("chosen", "found"), [("auto", {"runway.E010"}), ("none", {"runway.W005"})]
)
def test_local_executors_without_a_sandbox_are_an_error_or_somebodys_choice(
    settings, monkeypatch, chosen, found
):
    def unusable():
        raise sandbox.Unusable("there is none")

    monkeypatch.setattr(sandbox, "probe", unusable)
    settings.IN_DEVELOPMENT, settings.EXECUTOR_SANDBOX = False, chosen
    assert ids() & {"runway.E010", "runway.W005"} == found


@pytest.mark.parametrize(
    ("base", "envlabel", "development", "found"),
    [
        ("s3://files", None, True, {"runway.E012"}),
        ("file:///files", "prod", False, {"runway.W007"}),
        ("file:///files", None, False, set()),
        ("file:///files", None, True, set()),
    ],
)
def test_a_region_that_nobody_names_is_said(
    settings, monkeypatch, tmp_path, base, envlabel, development, found
):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    settings.FILES_BASE, settings.ENVLABEL, settings.IN_DEVELOPMENT = base, envlabel, development
    about_regions = {"runway.E012", "runway.W007"}
    assert ids() & about_regions == found
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert ids() & about_regions == set()
