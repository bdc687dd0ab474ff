"""The interface that every file storage implements, and the rules for naming files."""

import re
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class BadLocation(ValueError):
    """A location or key that the file storage does not accept."""


class FileStore(Protocol):
    """Files below one location. Keys are relative paths with ``/``, without ``.`` or ``..`` parts.

    Reading or downloading a missing file raises FileNotFoundError. Every other failure of the
    storage (no permission, no network, no space) raises an OSError that says so.
    """

    def open(self, key: str) -> BinaryIO: ...
    def download(self, key: str, target: Path) -> None: ...
    def upload(self, source: Path, key: str) -> None: ...
    def save(self, stream: BinaryIO, key: str) -> int: ...
    def delete(self, key: str) -> None: ...
    def clear(self) -> int: ...
    def exists(self, key: str) -> bool: ...
    def list(self, prefix: str = "", since: datetime | None = None) -> dict[str, int]: ...


def fault(error: OSError) -> str:
    """Describe a storage failure for a log.

    Leaves out the file's name: a person chose it, and it may be a student's.
    """
    cause = f"from {type(error.__cause__).__name__}" if error.__cause__ else ""
    return " ".join(filter(None, [type(error).__name__, error.strerror, cause]))


def checked_key(key: str) -> str:
    """Return ``key`` if it is a relative path that cannot leave its location."""
    parts = key.split("/")
    if not key or "\0" in key or any(part in ("", ".", "..") for part in parts):
        raise BadLocation("a file's key must be a relative path without empty, . or .. parts")
    return key


def bucket_and_prefix(location: str) -> tuple[str, str]:
    """Return the bucket of ``s3://BUCKET/BASE`` and its keys' prefix: empty, or ``BASE/``.

    Raises BadLocation.
    """
    bucket, _, base = location.removeprefix("s3://").rstrip("/").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise BadLocation("s3:// must be followed by a bucket's name, as in s3://BUCKET")
    return bucket, f"{checked_key(base)}/" if base else ""
