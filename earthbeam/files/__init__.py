"""Storage of jobs' files: one small interface for both the app and the executor.

A location is a URL such as ``file:///srv/runway/ea/grand_bend/2526/ID`` or
``s3://BUCKET/ea/grand_bend/2526/ID``. The parts below the base are URL-quoted names. They are used
literally, never unquoted.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from earthbeam.files.directory import DirectoryStore
from earthbeam.files.store import BadLocation, FileStore, bucket_and_prefix, checked_key, fault

if TYPE_CHECKING:
    from earthbeam.files.s3 import S3Store

__all__ = [
    "BadLocation",
    "DirectoryStore",
    "FileStore",
    "check_location",
    "checked_key",
    "directory_of",
    "fault",
    "is_s3",
    "open_store",
    "s3_store",
]


def open_store(location: str) -> FileStore:
    """Return the store for a location, without connecting. Raises BadLocation if unsupported."""
    check_location(location)
    return s3_store(location) if is_s3(location) else DirectoryStore(directory_of(location))


def s3_store(location: str) -> "S3Store":
    """Return the store for a location on S3, which can also create links. Raises BadLocation."""
    from earthbeam.files.s3 import S3Store  # boto3 is slow to import, and often not needed

    return S3Store(*bucket_and_prefix(location))


def directory_of(location: str) -> Path:
    """Return the directory of a ``file://`` location."""
    return Path(location.removeprefix("file://"))


def check_location(location: str) -> None:
    """Raise BadLocation if no storage supports the location."""
    if is_s3(location):
        bucket_and_prefix(location)
    elif not location.startswith("file:///"):
        kind = location.split(":")[0]
        raise BadLocation(
            f"{kind!r} storage is not supported; use file:///DIRECTORY or s3://BUCKET"
        )


def is_s3(location: str) -> bool:
    """Whether a location is on S3, where access requires AWS credentials."""
    return location.startswith("s3://")
