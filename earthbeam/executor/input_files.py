"""Where input files lie here, and under which names.

The names come from people, and bundles put them, as they are, into YAML that is Jinja at the same
time: a name may break the one, run as the other, or be taken for a pattern of many files.
"""

import re
from pathlib import Path

from earthbeam.executor.errors import StepFailed

LONGEST_NAME = 200
"""Bytes of a file's name: file systems take 255, and some tools append to it."""

# What YAML, Jinja, earthmover's parameters or file patterns read as more than a character.
_MEANINGFUL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\"'#$*:;<>?\[\\\]`{|}]")


def local_path(folder: Path, key: str, stored_name: str) -> Path:
    """Where the input file ``key`` is put below ``folder``.

    Each key has a folder of its own, lower-case on purpose, so that two files may have one name.
    """
    return folder / key.lower() / local_name(key, stored_name)


def local_name(key: str, stored_name: str) -> str:
    """An input file's name here: as its user named it, since bundles read facts from it.

    ``/`` becomes ``__``, and a character with a meaning to the tools ``_``. Raises
    StepFailed(input_s3_download) for a name that is too long: cutting it might change the facts.
    """
    name = stored_name.removeprefix(f"{key}__").replace("/", "__")
    name = _MEANINGFUL.sub("_", name).strip(" ")
    if len(name.encode()) > LONGEST_NAME:
        raise StepFailed(
            "input_s3_download",
            f"The name of an input file is longer than {LONGEST_NAME} bytes: rename the file and"
            " submit the job again.",
            name=key,
            path=f"input/{stored_name[:LONGEST_NAME]}…",
        )
    return name if name.strip(".") else "unnamed"
