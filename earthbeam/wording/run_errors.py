"""Why a run failed, in words for people: what happened and what to do next.

The codes and their payloads' fields are in the contract's list of error codes (executor-facing
API), plus the app's own ``failed_to_start_executor``. An unknown code, or a payload that does not
follow the contract, still gets words.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class ErrorWords:
    """``title`` names the error, ``what`` says what happened, ``next_step`` what to do.

    ``detail`` is the run's own message, if it is fit for people. ``takes_another_file`` is whether
    a replacement file helps.
    """

    title: str
    what: str
    next_step: str
    detail: str = ""
    takes_another_file: bool = False


Payload = Mapping[str, Any]

_TELL = "contact Runway support and include a link to this page."
_AGAIN = f"Run the job again. If it fails the same way, {_TELL}"

# Sentences about internals are of no use to an admin, so they stay in the technical details.
_INTERNAL = re.compile(
    r"earthmover|lightbeam|executor|traceback|\bexit|\bstatus \d|\berrno|\bprocess|\bthe app\b"
    r"|\bkilled\b|payload|appUrls|\b[A-Za-z]+(Error|Exception|Interrupt)\b|https?://",
    re.IGNORECASE,
)
_CANCELLED = re.compile(r"Cancelled by (.+)\.")
_LONGEST = 400


NEEDS_ROSTER = ("insufficient_matches", "missing_ods_roster")
"""Errors of a run that EDU's roster might have prevented."""


def words(code: str, payload: Payload, *, to_ods: bool, edu_problem: str = "") -> ErrorWords:
    """The words for an error ``code`` with its ``payload``.

    ``to_ods``: whether the job goes to an ODS; of one that does not, no words speak of it.
    ``edu_problem``: a sentence that says why EDU could not be used although it should have been.
    """
    said = _words(code, payload, to_ods)
    if not edu_problem or code not in NEEDS_ROSTER:
        return said
    return replace(
        said,
        what=f"{said.what} Cross-year matching is on, but EDU was unavailable: {edu_problem}",
        next_step="Run the job again when EDU is available. If it fails the same way: "
        + said.next_step,
    )


def _words(code: str, payload: Payload, to_ods: bool) -> ErrorWords:
    own = _WORDS.get(code)
    if own is None:
        return ErrorWords(
            "The run failed",
            f"It reported the error “{_short(code, 50)}”, which this page does not know.",
            _AGAIN,
            _detail(payload),
        )
    return own(payload, to_ods)


def known_codes() -> list[str]:
    """Return the codes that have their own words."""
    return list(_WORDS)


def cancelled_by(payload: Payload) -> str:
    """Who cancelled the run (jobs.cancel_run words its error so); empty if no one did."""
    match = _CANCELLED.fullmatch(_text(payload, "message", 200))
    return match[1] if match else ""


def _unknown(payload: Payload, to_ods: bool) -> ErrorWords:
    if by := cancelled_by(payload):
        return ErrorWords(
            "The run was cancelled",
            f"{by} cancelled it before it was done.",
            "If you still need the results, run the job again. Otherwise mark it as resolved.",
        )
    if payload.get("out_of_memory") is True:
        return ErrorWords(
            "The file was too large for one run",
            "The run needed more memory than is available.",
            "Split the file into several smaller ones and submit those. If it is not large, "
            + _TELL,
        )
    if "disk space" in str(payload.get("message", "")):
        return ErrorWords(
            "There was not enough disk space",
            "The run had no space left for its files.",
            "Run the job again later. If it fails the same way, split the file into smaller ones, "
            f"or {_TELL}",
        )
    return ErrorWords(
        "Something unexpected went wrong",
        "The run ended for a reason that Runway does not recognize.",
        _AGAIN,
        _detail(payload),
    )


def _executor_timeout(payload: Payload, to_ods: bool) -> ErrorWords:
    limit = _duration(payload.get("timeout_seconds"))
    return ErrorWords(
        "The run took too long",
        f"It was not finished within {limit or 'the time limit for a run'}, so Runway ended it.",
        "Run the job again at a less busy time. If it takes too long again, split the file into "
        "smaller files.",
    )


def _invalid_job(payload: Payload, to_ods: bool) -> ErrorWords:
    detail = _detail(payload)
    return ErrorWords(
        "The job cannot run as it is",
        "Something it needs is missing or no longer usable"
        + (". See the details below." if detail else "."),
        "Have that fixed, then run the job again. If there is nothing to fix, "
        f"submit the file as a new job, or {_TELL}",
        detail,
    )


def _lightbeam_fetch(payload: Payload, to_ods: bool) -> ErrorWords:
    resource = _text(payload, "resource")
    return ErrorWords(
        "Runway could not read the ODS's roster" if to_ods else "The roster could not be read",
        "Runway matches rows to the district's students, and could not read them"
        + (" from the ODS" if to_ods else "")
        + (f" (resource “{resource}”)." if resource else "."),
        "Have a partner admin test the ODS connection: its address, its key and secret, and "
        "whether the key is allowed to read this resource. Then run the job again."
        if to_ods
        else _AGAIN,
    )


def _missing_ods_roster(payload: Payload, to_ods: bool) -> ErrorWords:
    if to_ods:
        return ErrorWords(
            "The ODS has no students for this school year",
            "Runway matches rows to the students in the ODS, and it has none.",
            "Load the district's roster for this school year into the ODS first, then run the job "
            "again.",
        )
    return ErrorWords(
        "There is no roster for this district and school year",
        "Runway matches rows to the students in a roster, and found none that it can read.",
        "Have a partner admin turn on cross-year matching, or have the roster file uploaded. "
        "Then run the job again.",
    )


def _lightbeam_send(payload: Payload, to_ods: bool) -> ErrorWords:
    if not to_ods:
        return ErrorWords(
            "The results could not be sent", "The results were produced, but not sent.", _AGAIN
        )
    return ErrorWords(
        "The results could not be sent to the ODS",
        "The results were produced, but the ODS could not be reached or accepted none of them.",
        "Read the ODS's messages, if there are any. Have a partner admin test the ODS connection "
        "and check that the ODS is running. Then run the job again.",
    )


def _lightbeam_delete(payload: Payload, to_ods: bool) -> ErrorWords:
    left, total = payload.get("records"), payload.get("total")
    what = "Some records were not deleted."
    if isinstance(left, int) and isinstance(total, int):
        what = f"{left:,} of {total:,} records were not deleted."
    return ErrorWords(
        "The job could not be withdrawn completely",
        what,
        "Have a partner admin test the ODS connection, and check that its client may delete "
        "student assessments. Then withdraw the job again: records that are deleted already do no "
        "harm."
        if to_ods
        else "Withdraw the job again.",
    )


def _input_s3_download(payload: Payload, to_ods: bool) -> ErrorWords:
    file = _file(payload)
    return ErrorWords(
        "An input file could not be read",
        f"The file{f' “{file}”' if file else ''} is missing from Runway's file storage, or could "
        "not be read.",
        "Run the job again. If it fails the same way, submit the file as a new job.",
    )


def _bundle_git_pull(payload: Payload, to_ods: bool) -> ErrorWords:
    return ErrorWords(
        "The assessment's definition could not be fetched",
        "Runway reads each assessment's definition from a shared repository. It could not reach "
        "the repository or did not find the assessment there.",
        f"Run the job again in a few minutes. If it fails the same way, {_TELL}",
    )


def _artifact_not_found(payload: Payload, to_ods: bool) -> ErrorWords:
    file = _file(payload)
    if payload.get("stored"):
        return ErrorWords(
            "What an earlier run stored is missing",
            f"The file{f' “{file}”' if file else ''} is no longer stored, or a later run has "
            "replaced it.",
            "Run the job again, which makes it anew.",
        )
    return ErrorWords(
        "A result is missing",
        f"The run should have produced {f'the file “{file}”' if file else 'a file'}, but did not.",
        _AGAIN,
    )


def _artifact_empty(payload: Payload, to_ods: bool) -> ErrorWords:
    file = _file(payload)
    if file in ("output", ""):
        return ErrorWords(
            "The file produced no results",
            "Its rows were read and matched, but the assessment produced no records from them.",
            "Check the parameters, such as the year or the form, and that the file is an export of "
            "this assessment. Then submit it as a new job.",
            takes_another_file=True,
        )
    return ErrorWords(
        "A result is empty", f"The run produced the file “{file}” with nothing in it.", _AGAIN
    )


def _artifact_s3_upload(payload: Payload, to_ods: bool) -> ErrorWords:
    file = _file(payload)
    return ErrorWords(
        "A result could not be stored",
        f"The run produced {f'the file “{file}”' if file else 'a file'}, but could not store it.",
        _AGAIN,
    )


def _earthmover_deps(payload: Payload, to_ods: bool) -> ErrorWords:
    return ErrorWords(
        "The assessment could not be prepared",
        "The assessment's definition, or something it depends on, could not be read.",
        f"Your file is not the cause. Run the job again. If it fails the same way, {_TELL}",
    )


def _earthmover_run(payload: Payload, to_ods: bool) -> ErrorWords:
    what = "Its content does not look like this assessment's files."
    if rows := _numbers(payload.get("rows")):
        what = f"Too many of its rows cannot be read as such, beginning with {rows}."
    return ErrorWords(
        "The file could not be read as this assessment",
        what,
        "Check that it is this assessment's own export, unchanged, with its header row, and that "
        "the parameters are correct. Then submit the correct file as a new job.",
        _detail(payload),
        takes_another_file=True,
    )


def _cross_year_roster_fetch(payload: Payload, to_ods: bool) -> ErrorWords:
    return ErrorWords(
        "The roster of all years could not be fetched",
        "Runway looks up rows in EDU's roster of all years. EDU did not deliver all of it, or has "
        "no students for this district.",
        "Run the job again. If it fails the same way, have a partner admin test the EDU connection "
        "on the partner's page.",
    )


def _insufficient_matches(payload: Payload, to_ods: bool) -> ErrorWords:
    column, kind = _text(payload, "id_name"), _text(payload, "id_type")
    rate, needed = _percent(payload.get("match_rate")), _percent(payload.get("match_threshold"))
    pair = f"column “{column}”" if column else ""
    pair += f" read as “{kind}” ID" if column and kind else ""
    what = "Most rows do not match a student in the district."
    if _number(payload.get("match_rate")) == 0:
        what, pair = "No row matches a student.", ""
    elif rate:
        what = f"Only {rate} of the rows match a student"
        what += f" ({'at least ' + needed + ' must' if needed else 'more must'})."
    if pair:
        what += f" The best match was the {pair}."
    repaired, advice = _of_damage(payload)
    if repaired:
        what = f"{repaired} {what}"
    if missing := _names(payload.get("missing_id_columns")):
        what += f" This assessment can also use IDs from {missing}, which the file does not have."
    return ErrorWords(
        "Too few rows match a student",
        what,
        advice
        or "Check that the file is for this district and this school year, and that the column has "
        "the same kind of IDs as the roster. Then submit the correct file as a new job.",
        takes_another_file=True,
    )


# Damage to IDs, and how a file is loaded without it. Lost digits cannot be restored.
_DAMAGE = {
    "leading_zeros": "leading zeros were restored",
    "decimals": "decimals were removed from the IDs",
    "separators": "thousands separators were removed from the IDs",
    "formula": "the IDs were not written as formulas",
    "apostrophe": "apostrophes were removed from the IDs",
    "full_width": "full-width digits in the IDs were ordinary ones",
    "case": "uppercase and lowercase letters in the IDs were as in the roster",
    "punctuation": "hyphens and blanks in the IDs were as in the roster",
    "scientific": "the IDs were not written in scientific notation",
}
_UNDONE = {
    "leading_zeros": "with leading zeros restored",
    "decimals": "without the decimals",
    "separators": "without the thousands separators",
    "formula": "with plain IDs instead of formulas",
    "apostrophe": "without the apostrophes",
    "full_width": "with ordinary digits",
    "case": "with letters as in the roster",
    "punctuation": "with hyphens and blanks as in the roster",
}


def repair_offered(code: str, payload: Payload) -> tuple[str, str] | None:
    """Return the kind of damage to undo in the whole file, and the words for a button."""
    damage = _damage(payload) if code == "insufficient_matches" else None
    if damage is None or damage[0] not in _UNDONE:
        return None
    return damage[0], f"Load the file {_UNDONE[damage[0]]}"


def _damage(payload: Payload) -> tuple[str, float] | None:
    """Return the kind of damage that explains most rows, and how many."""
    given = payload.get("repairs")
    for each in given if isinstance(given, list) else []:
        if isinstance(each, dict) and isinstance(each.get("kind"), str):
            rows = _number(each.get("rows"))
            if each["kind"] in _DAMAGE and rows and rows >= 1:
                return each["kind"], rows
    return None


def _of_damage(payload: Payload) -> tuple[str, str]:
    """Return what a repair of the IDs would give, and what to do; empty if there is no damage."""
    damage = _damage(payload)
    if damage is None:
        return "", ""
    kind, rows = damage
    total = _number(payload.get("input_rows"))
    of = f" of {total:,.0f}" if total and total >= rows else ""
    if kind not in _UNDONE:
        return (
            f"{rows:,.0f}{of} rows have an ID in scientific notation, whose last digits are lost.",
            "The digits cannot be restored. Get the original export, do not save it in a "
            "spreadsheet program, and submit it as a new job.",
        )
    return (
        f"{rows:,.0f}{of} rows would match if {_DAMAGE[kind]}.",
        "A spreadsheet program has most likely changed the IDs. If the rows are about this "
        f"district's students, load the file {_UNDONE[kind]}. Otherwise, submit the original "
        "export as a new job.",
    )


def _identity_mismatch(payload: Payload, to_ods: bool) -> ErrorWords:
    rate, column = _percent(payload.get("rate")), _text(payload, "column")
    return ErrorWords(
        "The file seems to be about other students",
        f"{rate or 'Many'} of the rows have an ID"
        + (f" in the column “{column}”" if column else "")
        + " that leads to a student with another name and another birth date. "
        + ("Nothing was sent to the ODS." if to_ods else "It left no results for EDU."),
        "Check that the file is for this district and this school year, and that the IDs are of "
        "the kind that the roster has. Then submit the correct file as a new job.",
        takes_another_file=True,
    )


def _failed_to_start(payload: Payload, to_ods: bool) -> ErrorWords:
    return ErrorWords(
        "The run could not be started",
        "The file was not processed.",
        f"Run the job again in a few minutes. If it cannot be started then, {_TELL}",
        _detail(payload),
    )


_WORDS: dict[str, Callable[[Payload, bool], ErrorWords]] = {
    "unknown": _unknown,
    "executor_timeout": _executor_timeout,
    "invalid_job": _invalid_job,
    "lightbeam_fetch": _lightbeam_fetch,
    "missing_ods_roster": _missing_ods_roster,
    "lightbeam_send": _lightbeam_send,
    "lightbeam_delete": _lightbeam_delete,
    "input_s3_download": _input_s3_download,
    "bundle_git_pull": _bundle_git_pull,
    "artifact_not_found": _artifact_not_found,
    "artifact_empty": _artifact_empty,
    "artifact_s3_upload": _artifact_s3_upload,
    "earthmover_deps": _earthmover_deps,
    "earthmover_run": _earthmover_run,
    "cross_year_roster_fetch": _cross_year_roster_fetch,
    "insufficient_matches": _insufficient_matches,
    "identity_mismatch": _identity_mismatch,
    "failed_to_start_executor": _failed_to_start,
}


def _detail(payload: Payload) -> str:
    message = _text(payload, "message", _LONGEST)
    return "" if _INTERNAL.search(message) else message


def _text(payload: Payload, name: str, longest: int = 100) -> str:
    value = payload.get(name)
    return _short(value, longest) if isinstance(value, str) else ""


def _numbers(value: Any) -> str:
    """Return a list of row numbers in words, or "" for anything else."""
    numbers = [each for each in value[:10] if type(each) is int] if isinstance(value, list) else []
    if not numbers:
        return ""
    listed = ", ".join(f"{each:,}" for each in numbers)
    return f"row {listed}" if len(numbers) == 1 else f"rows {listed}"


def _names(value: Any) -> str:
    """Return a list of names in words, or "" for anything else."""
    if not isinstance(value, list):
        return ""
    names = [f"“{_short(each, 100)}”" for each in value[:10] if isinstance(each, str)]
    return " or ".join(names)


def _short(text: str, longest: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[:longest]}…"


def _file(payload: Payload) -> str:
    """Return the file's name as people know it, without its folder and the key before it."""
    name, path = _text(payload, "name"), _text(payload, "path", 300)
    return path.rstrip("/").rsplit("/", 1)[-1].removeprefix(f"{name}__") or name


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e9 else None  # no NaN either


def _percent(value: Any) -> str:
    """Format a rate, rounded down so that one below a threshold never seems to reach it."""
    rate = _number(value)
    if rate is None or not 0 <= rate <= 1:
        return ""
    tenths = math.floor(rate * 1000 + 1e-9)
    return f"{tenths // 10}%" if tenths % 10 == 0 else f"{tenths / 10}%"


def _duration(value: Any) -> str:
    seconds = _number(value)
    if seconds is None or seconds < 1:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"
