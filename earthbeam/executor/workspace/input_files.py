"""Fetch input files, and choose their local names.

The names come from people, and bundles insert them unchanged into YAML that is also Jinja: a name
may break the one, run as the other, or be taken for a pattern of many files.
"""

from collections.abc import Mapping
from pathlib import Path

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.workspace.folders import is_plain_file
from earthbeam.files import FileStore
from earthbeam.plain_text import is_letter_or_digit

LONGEST_NAME = 200
"""In bytes. File systems accept 255, and some tools append to a name."""

_SIGNS = " ._-+()"
"""What a name keeps besides letters and digits.

YAML, Jinja, earthmover's parameters, and file patterns give none of these a special meaning.
"""


def download(store: FileStore, names: Mapping[str, str], folder: Path) -> None:
    """Fetch the files ``names`` (key to stored name) to their local paths below ``folder``.

    Raises StepFailed(input_s3_download).
    """
    for key, name in names.items():
        target = local_path(folder, key, name)
        target.parent.mkdir(exist_ok=True)
        try:
            store.download(f"input/{name}", target)
        except (OSError, ValueError) as error:
            # Without permission to list, S3 answers "denied" for missing files.
            gone = isinstance(error, FileNotFoundError | PermissionError | ValueError)
            raise StepFailed(
                "input_s3_download",
                "An input file is not there, or may not be read: submit the job again with its"
                " files."
                if gone
                else "An input file could not be fetched from where the files lie"
                f" ({type(error).__name__}): run the job again.",
                name=key,
                path=f"input/{name}",
            ) from error


def check(names: Mapping[str, str], folder: Path) -> None:
    """Verify that ``folder`` has the files as plain files, since bundles' code may have run.

    Raises StepFailed(input_s3_download).
    """
    for key, name in names.items():
        path = local_path(folder, key, name)
        if not is_plain_file(path) or path.resolve() != path:
            raise StepFailed(
                "input_s3_download",
                "An input file is no longer as it was fetched: something that the bundle runs has"
                " replaced or removed it.",
                name=key,
                path=f"input/{name}",
            )


def local_path(folder: Path, key: str, stored_name: str) -> Path:
    """Return the local path of the input file ``key`` below ``folder``.

    Each key has its own folder, lower-case on purpose, so that two files may have the same name.
    """
    return folder / key.lower() / local_name(key, stored_name)


def local_name(key: str, stored_name: str) -> str:
    """Return an input file's local name: the user's own, since bundles parse it.

    ``/`` becomes ``__``, and everything but letters, digits, blanks, and ``._-+()`` becomes ``_``.
    Raises StepFailed(input_s3_download) for a name that is too long, since cutting it might change
    what bundles read from it.
    """
    name = stored_name.removeprefix(f"{key}__").replace("/", "__")
    name = "".join(map(_harmless, name)).strip(" ")
    if len(name.encode()) > LONGEST_NAME:
        raise StepFailed(
            "input_s3_download",
            f"The name of an input file is longer than {LONGEST_NAME} bytes: rename the file and"
            " submit the job again.",
            name=key,
            path=f"input/{stored_name[:LONGEST_NAME]}…",
        )
    return name if name.strip(".") else "unnamed"


def _harmless(character: str) -> str:
    return character if is_letter_or_digit(character) or character in _SIGNS else "_"
