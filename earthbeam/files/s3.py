"""Files in an S3 bucket.

Reading requires ``s3:GetObject`` and storing requires ``s3:PutObject`` on the files themselves;
executors have no other permissions. Only the app uses ``list`` and ``exists``, since it may also
list the bucket. Without that permission, S3 answers "access denied" for missing files.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from earthbeam.files.store import checked_key
from runway import aws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MB = 1024 * 1024
# Runs in the caller's thread, so that interrupting the caller interrupts the transfer.
_TRANSFER = TransferConfig(
    multipart_threshold=16 * _MB, multipart_chunksize=16 * _MB, use_threads=False
)


class StorageFault(OSError):
    """S3 could not be reached or failed. A later retry may help."""


class S3Store:
    """The keys of ``bucket`` that begin with ``prefix``, which is empty or ends in ``/``."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.bucket = bucket
        self.prefix = prefix

    def open(self, key: str) -> BinaryIO:
        """Open the file for reading. The caller closes it."""
        with self._faults_of(key):
            answer = self._s3.get_object(Bucket=self.bucket, Key=self._key(key))
        return cast(BinaryIO, io.BufferedReader(_Body(self, key, answer["Body"]), _MB))

    def download(self, key: str, target: Path) -> None:
        """Copy the file to ``target``, which appears only when it is complete."""
        with self._faults_of(key):
            self._s3.download_file(self.bucket, self._key(key), str(target), Config=_TRANSFER)

    def upload(self, source: Path, key: str) -> None:
        """Store the file ``source``. Readers see all of it or none."""
        with source.open("rb") as stream:
            self.save(stream, key)

    def save(self, stream: BinaryIO, key: str) -> int:
        """Store the content of ``stream``, all or nothing, and return its size in bytes.

        Exceptions of ``stream`` pass through. Parts of a large file may then remain, unseen, if the
        credentials do not allow aborting its upload. The bucket's lifecycle rule removes them.
        """
        counted = _Counted(stream)
        with self._faults_of(key):
            self._s3.upload_fileobj(
                cast(BinaryIO, counted), self.bucket, self._key(key), Config=_TRANSFER
            )
        return counted.bytes

    def delete(self, key: str) -> None:
        """Delete the file if it exists. Requires ``s3:DeleteObject``."""
        with self._faults_of(key):
            self._s3.delete_object(Bucket=self.bucket, Key=self._key(key))

    def clear(self) -> int:
        """Delete everything below the location, and count the files. Requires s3:DeleteObject."""
        keys = list(self.list())
        for key in keys:
            self.delete(key)
        return len(keys)

    def exists(self, key: str) -> bool:
        """Whether the file exists."""
        try:
            with self._faults_of(key):
                self._s3.head_object(Bucket=self.bucket, Key=self._key(key))
        except FileNotFoundError:
            return False
        return True

    def list(self, prefix: str = "", since: datetime | None = None) -> dict[str, int]:
        """Return the files in the folder ``prefix`` stored at ``since`` or later: key to bytes.

        S3 reports times in whole seconds, so files stored in the same second as ``since`` count.
        """
        folder = f"{self._key(prefix)}/" if prefix else self.prefix
        oldest = since.replace(microsecond=0) if since else None
        found = {}
        with self._faults_of(prefix):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=folder
            )
            for page in pages:
                for entry in page.get("Contents", []):
                    is_folder = entry["Key"].endswith("/")  # the AWS console creates these
                    if not is_folder and (oldest is None or entry["LastModified"] >= oldest):
                        found[entry["Key"].removeprefix(self.prefix)] = entry["Size"]
        return found

    def presigned(self, key: str, action: Literal["get_object", "put_object"], seconds: int) -> str:
        """Return a URL that lets anyone who has it read or write the file for a time."""
        with self._faults_of(key):
            params = {"Bucket": self.bucket, "Key": self._key(key)}
            if action == "get_object":
                params["ResponseCacheControl"] = "private, no-store"
            return self._s3.generate_presigned_url(action, Params=params, ExpiresIn=seconds)

    def _key(self, key: str) -> str:
        return self.prefix + checked_key(key)

    @property
    def _s3(self) -> "S3Client":
        try:
            client: S3Client = aws.client("s3")
        except ValueError as error:
            raise StorageFault(f"S3 cannot be asked: {error}") from None
        return client

    @contextmanager
    def _faults_of(self, key: str) -> Iterator[None]:
        """Turn AWS's errors into OSErrors that say what is wrong."""
        where = f"s3://{self.bucket}/{self.prefix}{key}"
        try:
            yield
        except ClientError as error:
            raise _as_os_error(error, where) from error
        except (BotoCoreError, Boto3Error) as error:
            raise StorageFault(f"S3 cannot be asked ({type(error).__name__}): {where}") from error


def _as_os_error(error: ClientError, where: str) -> OSError:
    code = error.response.get("Error", {}).get("Code", "unknown")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in ("NoSuchKey", "404"):
        return FileNotFoundError(f"there is no {where}")
    if status in (401, 403):
        return PermissionError(f"S3 denies access ({code}): {where}")
    return StorageFault(f"S3 answers {code}: {where}")


class _Counted:
    """Counts a stream's bytes. Has only the methods that the transfer needs."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self.bytes += len(block)
        return block


class _Body(io.RawIOBase):
    """The body of a response as a file that raises OSErrors."""

    def __init__(self, store: S3Store, key: str, body: Any) -> None:
        self._store, self._file_key, self._body = store, key, body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._store._faults_of(self._file_key):
            block = self._body.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._body.close()
        super().close()
