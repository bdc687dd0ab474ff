"""lightbeam's configuration: written here, with a few plain values from the bundle's own.

lightbeam expands environment variables in its whole configuration, including the ODS's secret. So a
bundle's file is read as data, before any of the bundle's code has run, and only the values below
are taken, each checked. Everything else, above all URLs and credentials, is ours.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from earthbeam.executor.environment import MOST_REQUESTS_AT_ONCE
from earthbeam.executor.job import Ods

_LONGEST_FILE = 256 * 1024
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,59}")
_MODES = ("shared_instance", "sandbox", "district_specific", "year_specific")


@dataclass(frozen=True)
class BundleSettings:
    """A bundle's settings for sending its records. Defaults are lightbeam's own."""

    namespace: str = "ed-fi"
    namespace_overrides: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Namespace → the resources that are in it."""
    mode: str | None = "year_specific"
    pool_size: int = 8
    timeout: float = 60
    num_retries: int = 10
    backoff_factor: float = 1.5
    retry_statuses: tuple[int, ...] = (429, 500, 501, 503, 504)


def read(path: Path, requests_at_once: int | None = None) -> BundleSettings:
    """Return the bundle's settings in ``path``, without missing, odd, or non-literal values.

    A file that cannot be read counts as empty, since lightbeam needs nothing from it.
    ``requests_at_once`` replaces the bundle's pool size.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= _LONGEST_FILE else ""
        given = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        given = None
    top = _mapping(given)
    api, connection = _mapping(top.get("edfi_api")), _mapping(top.get("connection"))
    values: dict[str, Any] = {
        "namespace": _name(top.get("namespace")),
        "namespace_overrides": _overrides(top.get("namespace_overrides")),
        "mode": api.get("mode") if api.get("mode") in _MODES else None,
        "pool_size": requests_at_once
        or _number(connection.get("pool_size"), 1, MOST_REQUESTS_AT_ONCE),
        "timeout": _number(connection.get("timeout"), 1, 6000, whole=False),
        "num_retries": _number(connection.get("num_retries"), 1, 50),
        "backoff_factor": _number(connection.get("backoff_factor"), 1, 10, whole=False),
        "retry_statuses": _statuses(connection.get("retry_statuses")),
    }
    settings = {name: value for name, value in values.items() if value}
    if "mode" in api and api["mode"] is None:
        settings["mode"] = None
    return BundleSettings(**settings)


def write(path: Path, settings: BundleSettings, ods: Ods, page_size: int | None) -> None:
    """Write the configuration that ``variables`` completes. It contains no credentials and no URL.

    JSON is YAML, and lightbeam expands each variable once, so no value can be more than itself.
    """
    configuration: dict[str, Any] = {
        "state_dir": "${STATE_DIR}",
        "data_dir": "${DATA_DIR}",
        "namespace": settings.namespace,
        "edfi_api": {
            "base_url": "${EDFI_API_BASE_URL}",
            "version": 3,
            "mode": settings.mode,
            "client_id": "${EDFI_API_CLIENT_ID}",
            "client_secret": "${EDFI_API_CLIENT_SECRET}",
        },
        "connection": {
            "pool_size": settings.pool_size,
            "timeout": settings.timeout,
            "num_retries": settings.num_retries,
            "backoff_factor": settings.backoff_factor,
            "retry_statuses": list(settings.retry_statuses),
            "verify_ssl": True,
        },
        "force_delete": True,  # it asks a person otherwise; only a withdrawal deletes
        "log_level": "INFO",
        "show_stacktrace": False,
    }
    if ods.api_year.isdecimal():
        configuration["edfi_api"]["year"] = int(ods.api_year)
    if settings.namespace_overrides:
        configuration["namespace_overrides"] = {
            name: list(resources) for name, resources in settings.namespace_overrides.items()
        }
    if page_size is not None:
        configuration["fetch"] = {"page_size": page_size}
    path.write_text(json.dumps(configuration, indent=1))


def variables(ods: Ods, data: Path, state: Path) -> dict[str, str]:
    """Return the variables that complete what ``write`` has written."""
    return {
        "DATA_DIR": str(data),
        "STATE_DIR": str(state),
        "EDFI_API_BASE_URL": ods.url,
        "EDFI_API_CLIENT_ID": ods.client_id,
        "EDFI_API_CLIENT_SECRET": ods.client_secret,
    }


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def _overrides(value: Any) -> dict[str, tuple[str, ...]]:
    """Return those whose names, including their resources', are plain."""
    return {
        name: tuple(resources)
        for name, resources in _mapping(value).items()
        if _name(name)
        and isinstance(resources, list)
        and all(_name(resource) for resource in resources)
    }


def _number(value: Any, least: float, most: float, *, whole: bool = True) -> float | None:
    """Return a number, limited to its range."""
    kinds = int if whole else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool) or value != value:
        return None
    return min(max(value, least), most)


def _statuses(value: Any) -> tuple[int, ...]:
    statuses = value if isinstance(value, list) else []
    return tuple(s for s in statuses if isinstance(s, int) and 400 <= s <= 599)
