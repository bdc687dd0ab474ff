import pytest
from django.core.checks import run_checks

from edu.credentials import REQUIRED


def edu_messages():
    return [message for message in run_checks() if str(message.id).startswith("edu.")]


def test_production_without_envlabel_is_an_error_with_a_hint(settings):
    settings.RUNWAY_ENV, settings.ENVLABEL = "production", None
    [message] = edu_messages()
    assert message.id == "edu.E001"
    assert "ENVLABEL" in message.hint


def test_production_with_envlabel_is_fine(settings):
    settings.RUNWAY_ENV, settings.ENVLABEL = "production", "prod"
    assert edu_messages() == []


@pytest.mark.parametrize("variables", [None, dict.fromkeys(REQUIRED), dict.fromkeys(REQUIRED, "x")])
def test_development_with_all_variables_or_none_is_fine(settings, variables):
    settings.RUNWAY_ENV, settings.EDU_SNOWFLAKE = "development", variables
    assert edu_messages() == []


def test_development_with_some_variables_names_the_others(settings):
    settings.RUNWAY_ENV = "development"
    settings.EDU_SNOWFLAKE = {**dict.fromkeys(REQUIRED, "x"), "private_key": ""}
    [message] = edu_messages()
    assert message.id == "edu.W001"
    assert "EDU_SNOWFLAKE_PRIVATE_KEY" in message.hint
    assert "EDU_SNOWFLAKE_SCHEMA" not in message.hint
