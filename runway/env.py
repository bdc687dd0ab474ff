"""Read environment variables: strict in production, with local fallbacks in development."""

import os
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from partners import addresses

env = environ.Env()

DOTENV = Path(__file__).resolve().parent.parent / ".env"

PRODUCTION, DEVELOPMENT = "production", "development"


def environment() -> str:
    """Return ``RUNWAY_ENV``. It defaults to production, so that forgetting it is safe."""
    value = os.environ.get("RUNWAY_ENV", PRODUCTION)
    if value not in (PRODUCTION, DEVELOPMENT):
        raise ImproperlyConfigured(
            f"RUNWAY_ENV must be {PRODUCTION!r} or {DEVELOPMENT!r}, not {value!r}."
        )
    return value


def required(name: str, development: str) -> str:
    """Return the variable ``name``, required in production. ``development`` is its local default.

    Raises ImproperlyConfigured, which names the variable, if production leaves it unset or empty.
    """
    value = os.environ.get(name, "")
    if value:
        return value
    if environment() == DEVELOPMENT:
        return development
    raise ImproperlyConfigured(
        f"Set the environment variable {name}: see .env.example for what it means. "
        f"(RUNWAY_ENV=development allows a local fallback.)"
    )


def optional(name: str) -> str | None:
    """Return the variable ``name``, or None if it is unset or empty."""
    return os.environ.get(name) or None


def flag(name: str, default: bool) -> bool:
    """Return the variable ``name``, ``true`` or ``false``. Empty counts as unset."""
    raw = (os.environ.get(name) or str(default)).lower()
    if raw not in ("true", "false"):
        raise ImproperlyConfigured(f"{name} must be true or false, not {raw!r}.")
    return raw == "true"


def positive_int(name: str, default: int) -> int:
    """Return the variable ``name`` as a whole number above 0."""
    raw = os.environ.get(name) or str(default)
    if not raw.isdecimal() or int(raw) < 1:
        raise ImproperlyConfigured(f"{name} must be a whole number above 0, not {raw!r}.")
    return int(raw)


def networks(name: str, default: str) -> tuple[addresses.Network, ...]:
    """Return the variable ``name`` as networks, such as ``10.0.0.0/8,fc00::/7``."""
    raw = os.environ.get(name) or default
    try:
        return addresses.networks(raw) if raw else ()
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} must be networks such as 10.0.0.0/8, separated by commas: {error}."
        ) from None


def load_dotenv() -> None:
    """Read ``.env`` beside manage.py, if it exists. Variables that are already set take precedence.

    Called by entry points, not by settings, since the tests and the executor must not read the
    file.
    """
    if DOTENV.exists():
        env.read_env(str(DOTENV))
