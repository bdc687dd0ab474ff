"""Fetch rosters: this year's from the ODS, all years' from EDU, or a file."""

import json
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from earthbeam.executor.errors import StepFailed, is_no_space
from earthbeam.executor.lightbeam.commands import Lightbeam
from earthbeam.executor.processes import running
from earthbeam.executor.reporting.app_client import AppClient, BrokenRoster
from earthbeam.executor.workspace.folders import Workspace, is_plain_file, remove
from earthbeam.files import open_store

logger = logging.getLogger(__name__)

RESOURCE = "studentEducationOrganizationAssociations"
ROSTER_NAME = f"{RESOURCE}.jsonl"
CROSS_YEAR_ROSTER_NAME = "cross_year_roster.jsonl"
STUDENTS = "students"
PAGE_SIZE = 500
"""Students per page: the most that an Ed-Fi ODS returns."""

STREAM_PAUSES = (2.0, 10.0, 30.0)
"""Seconds before each retry of a broken roster stream.

An app that is unavailable for half a minute does not fail a run.
"""

QUEUE_PAUSE = 15.0
LONGEST_QUEUE = 15 * 60.0
"""Seconds between tries, and in total, while other runs use all of the app's streams."""

FETCH_PAUSES = (2.0, 5.0)
"""Seconds before each retry of the ODS's roster. One broken connection ends the fetch."""

_REFUSED = "OAuth token could not be obtained"
_KEPT_KEYS = ("studentIdentificationCodes", "educationOrganizationReference", "studentReference")
_FAILED_PAGES_MAX = 3
_THROTTLED_PAGES_MAX = 1000


class _EndlessRetries:
    """Detects that lightbeam keeps requesting a page that fails, without a pause, until the end."""

    def __init__(self) -> None:
        self.failed = self.throttled = 0

    def __call__(self, line: str) -> bool:
        if "Unable to load records for" in line:
            throttled = "429 API response" in line  # temporary, unlike the others
            self.throttled += throttled
            self.failed += not throttled
        return (
            self.failed > _FAILED_PAGES_MAX
            or self.throttled > _THROTTLED_PAGES_MAX
            or "Unable to load counts for" in line
        )


def fetch_ods_roster(lightbeam: Lightbeam, workspace: Workspace, target: Path) -> Path:
    """Fetch this year's roster with lightbeam, keeping the keys that matching needs, to ``target``.

    Does not use lightbeam's ``-k``, which takes a page's keys from its first student, and would
    lose the codes of a whole page if its first student has none. Retries a broken connection, but
    not a page that keeps failing. Raises StepFailed: lightbeam_fetch, or missing_ods_roster if the
    ODS has no students.
    """
    folder = workspace.folder("roster")
    fetched = folder / ROSTER_NAME
    for pause in (*FETCH_PAUSES, None):
        try:
            done = lightbeam.run(
                *("fetch", "-s", RESOURCE),
                data=folder,
                page_size=PAGE_SIZE,
                stop_when=_EndlessRetries(),
            )
        except running.StoppedEarly as stopped:
            raise _fetch_failed(stopped.tail) from None
        if done.exit_code == 0:
            break
        failure = _fetch_failed(done.tail)
        if pause is None or _REFUSED in done.tail or is_no_space(failure):
            raise failure
        logger.warning("the roster could not be fetched; again in %.0f s", pause)
        running.wait(pause)
    if not is_plain_file(fetched) or keep_keys(fetched, target) == 0:
        raise StepFailed(
            "missing_ods_roster",
            "The ODS has no student education organization associations for this year:"
            " load the district's roster into it first.",
        )
    fetched.unlink()
    return target


def fetch_ods_students(lightbeam: Lightbeam, workspace: Workspace) -> Path | None:
    """Fetch the ODS's students with their names and birth dates.

    Returns None if the ODS does not give them, since no run fails for want of names. The file lies
    in a folder of its own: remove it before a bundle's code runs.
    """
    folder = workspace.fresh_folder("students")
    try:
        done = lightbeam.run(
            *("fetch", "-s", STUDENTS),
            data=folder,
            page_size=PAGE_SIZE,
            stop_when=_EndlessRetries(),
        )
        fetched = done.exit_code == 0
    except running.StoppedEarly:
        fetched = False
    students = folder / f"{STUDENTS}.jsonl"
    if fetched and is_plain_file(students):
        return students
    logger.warning("The ODS's client may not read students: their names cannot be compared")
    remove(folder)
    return None


def _fetch_failed(tail: str) -> StepFailed:
    return StepFailed(
        "lightbeam_fetch",
        "The roster could not be fetched from the ODS: check its URL and credentials, and that the"
        " client may read studentEducationOrganizationAssociations.",
        resource=RESOURCE,
        stacktrace=tail,
    )


def keep_keys(fetched: Path, roster: Path) -> int:
    """Write the roster's lines with the keys that matching needs. Returns the number of lines."""
    students = 0
    with fetched.open("rb") as lines, roster.open("wb") as kept:
        for line in lines:
            record, by_orjson = _decode(line)
            record.setdefault("studentIdentificationCodes", [])
            wanted = {key: record[key] for key in _KEPT_KEYS if key in record}
            kept.write(_encode(wanted, by_orjson))
            students += 1
    return students


# orjson takes a fifth of the time. What it cannot read or write exactly, such as half a surrogate
# pair or an integer of more than 64 bits, is left to the standard library.
_LONG_NUMBER = re.compile(rb"[:,[]\s*-?\d{19}")


def _decode(line: bytes) -> tuple[dict[str, Any], bool]:
    """Return a record, and whether orjson could read it."""
    if not _LONG_NUMBER.search(line):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(line), True
    return json.loads(line), False


def _encode(record: dict[str, Any], by_orjson: bool) -> bytes:
    if by_orjson:  # which would write null for an infinite number
        with suppress(TypeError):
            return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    return (json.dumps(record, separators=(",", ":")) + "\n").encode()


def stream_edu_roster(
    app: AppClient,
    url: str,
    target: Path,
    on_progress: Callable[[int], None] = lambda students: None,
    *,
    with_names: bool = False,
) -> Path:
    """Stream the roster of all years from EDU, through the app, to ``target``.

    ``with_names`` asks for names and birth dates, and does without if they are not to be had.

    Retries a broken stream three times. While the app has no free stream, waits in addition to
    that. Does not retry after a refusal. ``on_progress`` is called with the number of students so
    far. Raises StepFailed(cross_year_roster_fetch) if it stays broken, or if EDU has no students.
    """
    pauses, queued = iter(STREAM_PAUSES), 0.0
    while True:
        try:
            asked = f"{url}?with=names" if with_names else url
            app.download_roster(asked, target, on_progress)
            break
        except BrokenRoster as error:
            if with_names and error.no_names:
                logger.warning("EDU does not give students' names: they cannot be compared")
                with_names = False
                continue
            in_queue = error.busy and queued < LONGEST_QUEUE
            pause = QUEUE_PAUSE if in_queue else next(pauses, None)
            if pause is None or error.final:
                raise StepFailed(
                    "cross_year_roster_fetch",
                    f"The roster of all years could not be fetched from EDU: {error}.",
                ) from None
            seconds = error.retry_after or pause
            queued += seconds if in_queue else 0
            logger.warning("EDU's roster: %s; again in %.0f s", error, seconds)
            running.wait(seconds)
    if target.stat().st_size == 0:
        target.unlink()
        raise StepFailed(
            "cross_year_roster_fetch",
            "EDU knows no students of this district: check that its tenant code is the one in EDU.",
        )
    return target


def download_roster_file(location: str, target: Path) -> Path:
    """Download the roster file to ``target``. Raises StepFailed(missing_ods_roster)."""
    folder, _, name = location.rpartition("/")
    try:
        open_store(folder).download(name, target)
    except (FileNotFoundError, PermissionError):
        # Without permission to list, S3 answers "denied" for missing files.
        raise StepFailed(
            "missing_ods_roster",
            "There is no roster file for this district and year, or it may not be read.",
        ) from None
    except OSError as error:
        raise StepFailed(
            "missing_ods_roster",
            "The roster file could not be fetched from where the files lie"
            f" ({type(error).__name__}): run the job again.",
        ) from error
    if target.stat().st_size == 0:
        raise StepFailed("missing_ods_roster", "The roster file of this district is empty.")
    return target
