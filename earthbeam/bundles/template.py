"""A bundle's template: the files and params that its registry entry asks for.

Real entries omit keys or set them to null, so all reading of entries is in this module.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

API_YEAR = "API_YEAR"
"""Many bundles declare it as a param, but the school year decides it, so nobody is asked."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_DESCRIPTOR_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_PATH = re.compile(r"assessments/[A-Za-z0-9][A-Za-z0-9._-]*")


class BadTemplate(ValueError):
    """A registry entry that cannot be used. The text names the part and what it needs."""


@dataclass(frozen=True)
class InputFile:
    """A file that a job passes to the bundle. ``key`` is the environment variable of its path."""

    key: str
    label: str
    required: bool
    file_types: tuple[str, ...]


@dataclass(frozen=True)
class InputParam:
    """A value that a job passes to the bundle. ``allowed`` is None if any text will do."""

    key: str
    label: str
    required: bool
    allowed: tuple[str, ...] | None


@dataclass(frozen=True)
class BundleTemplate:
    """A parsed registry entry. ``params`` leaves out those that the app fills in itself."""

    path: str
    display_name: str
    files: tuple[InputFile, ...]
    params: tuple[InputParam, ...]
    descriptor_types: tuple[str, ...] = ()
    """Seeds that a partner's own mappings may replace. Empty means any."""

    @classmethod
    def read(cls, entry: object) -> "BundleTemplate":
        """Parse a registry entry. Raises BadTemplate."""
        if not isinstance(entry, Mapping):
            raise BadTemplate("an entry must be an object")
        mappings = entry.get("descriptor_mapping_files") or []
        if not isinstance(mappings, list) or not all(isinstance(name, str) for name in mappings):
            raise BadTemplate("descriptor_mapping_files must be a list of names")
        path = _text(entry, "path")
        if not _PATH.fullmatch(path):
            raise BadTemplate(f"path must be assessments/NAME, not {path!r}")
        params = tuple(_param(item) for item in _items(entry, "input_params"))
        template = cls(
            path=path,
            display_name=_text(entry, "display_name"),
            files=tuple(_file(item) for item in _items(entry, "input_files")),
            params=tuple(param for param in params if param.key != API_YEAR),
            descriptor_types=tuple(dict.fromkeys(_descriptor_types(mappings))),
        )
        keys = [file.key for file in template.files] + [param.key for param in params]
        if len(keys) != len(set(keys)):
            raise BadTemplate("an env_var occurs twice")
        if not template.files:
            raise BadTemplate("input_files must name at least one file")
        return template


def _descriptor_types(names: list[str]) -> Iterator[str]:
    """Yield names without suffixes: real entries have .csv, and one a stray quote after it."""
    for name in names:
        if found := _DESCRIPTOR_TYPE.match(name.rpartition("/")[2]):
            yield found[0]


def _file(item: Mapping[str, Any]) -> InputFile:
    types = item.get("file_type") or []
    if isinstance(types, str):
        types = [types]
    return InputFile(
        key=_variable(item),
        label=_text(item, "display_name"),
        required=_flag(item, "is_required"),
        file_types=tuple(str(kind) for kind in types),
    )


def _param(item: Mapping[str, Any]) -> InputParam:
    allowed = item.get("allowed_values")
    if allowed is not None and not isinstance(allowed, list):
        raise BadTemplate("allowed_values must be a list or null")
    return InputParam(
        key=_variable(item),
        label=_text(item, "display_name"),
        required=_flag(item, "is_required"),
        allowed=tuple(str(value) for value in allowed) if allowed else None,
    )


def _items(entry: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = entry.get(name) or []
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise BadTemplate(f"{name} must be a list of objects")
    return items


def _variable(item: Mapping[str, Any]) -> str:
    key = _text(item, "env_var")
    if not _VARIABLE.fullmatch(key):
        raise BadTemplate(f"env_var must be a variable's name, not {key!r}")
    return key


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise BadTemplate(f"{name} must be a text of 1 to 200 characters")
    return value


def _flag(item: Mapping[str, Any], name: str) -> bool:
    value = item.get(name, False)
    if not isinstance(value, bool):
        raise BadTemplate(f"{name} must be true or false")
    return value
