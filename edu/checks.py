"""System checks that find configuration mistakes for EDU at start, not at the first job."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from edu.credentials import REQUIRED


@register()
def check_edu_settings(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Check edu.E001, no ENVLABEL outside development, and edu.W001, incomplete variables in it."""
    if settings.RUNWAY_ENV != "development":
        if settings.ENVLABEL:
            return []
        return [
            Error(
                "ENVLABEL is not set, so EDU's credentials cannot be found.",
                hint="Set ENVLABEL to the prefix of this deployment's AWS secrets; they are named "
                "ENVLABEL-edu-connection-info-PARTNER. For a local machine set "
                "RUNWAY_ENV=development instead.",
                id="edu.E001",
            )
        ]
    given = settings.EDU_SNOWFLAKE or {}
    missing = [name for name in REQUIRED if not given.get(name)]
    if not any(given.values()) or not missing:
        return []
    variables = ", ".join(f"EDU_SNOWFLAKE_{name.upper()}" for name in missing)
    return [
        Warning(
            "EDU's development variables are incomplete, so EDU counts as not available.",
            hint=f"Set {variables}, or unset all variables that begin with EDU_SNOWFLAKE_.",
            id="edu.W001",
        )
    ]
