"""Send a set to the ODS, and read lightbeam's results."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.lightbeam.commands import Lightbeam
from earthbeam.executor.processes import running
from earthbeam.executor.workspace.folders import Workspace, is_plain_file

logger = logging.getLogger(__name__)

RESULTS_NAME = "lb-send-results.json"
AGAIN_PAUSES = (2.0, 5.0, 10.0, 15.0, 30.0)
"""Seconds before each retry of what the ODS put off."""
_ALL_SKIPPED = 99


@dataclass
class Counts:
    """Counts of one resource's records, for the contract's summary."""

    processed: int = 0
    skipped: int = 0
    failed: int = 0

    def body(self) -> dict[str, int]:
        return {
            "records_processed": self.processed,
            "records_skipped": self.skipped,
            "records_failed": self.failed,
        }


def send(
    lightbeam: Lightbeam,
    output: Path,
    workspace: Workspace,
    redact: Callable[[str], str],
    on_progress: Callable[[int], None] = lambda records: None,
) -> dict[str, Counts]:
    """Send the JSONL files in ``output`` to the ODS, and return the counts of each resource.

    Records that the ODS put off (429, 5xx) or that were lost are sent again, as long as that makes
    progress. Records that it refuses are counted, but are not an error. ``redact`` removes secrets
    from what is stored. ``on_progress`` is called with the number of records the ODS has answered.
    Raises StepFailed(lightbeam_send) if the ODS accepted none or could not be reached.
    """
    done, results = _send_once(lightbeam, output, heard=_Answered(on_progress))
    if results is None:
        raise StepFailed(
            "lightbeam_send",
            "The ODS could not be reached, or refused the connection's credentials.",
            stacktrace=done.tail,
        )
    if done.exit_code not in (0, 1, _ALL_SKIPPED):
        raise StepFailed("lightbeam_send", "lightbeam broke off.", stacktrace=done.tail)
    latest, in_vain = results, 0
    for pause in AGAIN_PAUSES:
        if not (codes := _worth_another_try(latest)):
            break
        logger.warning("the ODS put records off, or lost them; again in %.0f s", pause)
        running.wait(pause)
        again = ("-r", ",".join(map(str, codes)))
        _, more = _send_once(lightbeam, output, *again)
        in_vain = 0 if more and _sent(more) else in_vain + 1
        if more is None or in_vain > 1:
            break
        results, latest = _together(results, more), more
    # Users download this, and a response or a lightbeam error may quote the secret.
    workspace.draft(RESULTS_NAME).write_text(redact(json.dumps(results, indent=4)))
    workspace.publish(RESULTS_NAME)
    summary = _counts(results)
    if not _sent(results) and any(counts.failed for counts in summary.values()):
        raise StepFailed(
            "lightbeam_send", "The ODS took none of the records.", stacktrace=done.tail
        )
    return summary


def _send_once(
    lightbeam: Lightbeam,
    output: Path,
    *options: str,
    heard: Callable[[str], bool] = lambda line: False,
) -> tuple[running.Completed, dict[str, Any] | None]:
    """Run lightbeam once, and return its results if it wrote any."""
    path = lightbeam.folder / RESULTS_NAME
    path.unlink(missing_ok=True)
    done = lightbeam.run(
        *("send", "--results-file", str(path), *options), data=output, stop_when=heard
    )
    return done, json.loads(path.read_text()) if is_plain_file(path) else None


class _Answered:
    """Reads lightbeam's counts of the ODS's answers, by status and resource. Stops nothing."""

    _COUNTS = re.compile(r"\(\.\.\. status counts: \{(.*)\}\)")
    _ONE = re.compile(r"\d+: (\d+)")

    def __init__(self, on_progress: Callable[[int], None]) -> None:
        self._on_progress = on_progress
        self._before = self._now = 0

    def __call__(self, line: str) -> bool:
        if match := self._COUNTS.search(line):
            self._now = sum(int(count) for count in self._ONE.findall(match[1]))
            self._on_progress(self._before + self._now)
        elif "finished processing endpoint" in line:
            self._before, self._now = self._before + self._now, 0
        return False


def _worth_another_try(results: dict[str, Any]) -> list[int]:
    """Return the statuses to send again; empty if nothing was put off or lost."""
    refused = {
        failure["status_code"]
        for counts in results["resources"].values()
        for failure in counts.get("failures", [])
    }
    put_off = any(status == 429 or status >= 500 for status in refused)
    lost = any(
        counts["records_failed"] < _failed(counts) for counts in results["resources"].values()
    )
    # Includes records that refer to what was put off (409).
    return sorted(refused | {429}) if put_off or lost else []


def _together(first: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Merge the results of sending and of resending into one."""
    resources = {}
    for name, counts in first["resources"].items():
        later = more["resources"].get(name, {})
        successes = [*counts.get("successes", []), *later.get("successes", [])]
        merged = counts | {"successes": successes, "failures": later.get("failures", [])}
        resources[name] = merged | {"records_failed": _failed(merged)}
    return more | {
        "started_at": first.get("started_at"),
        "resources": resources,
        "total_records_processed": sum(r["records_processed"] for r in resources.values()),
        "total_records_skipped": sum(r["records_skipped"] for r in resources.values()),
        "total_records_failed": sum(r["records_failed"] for r in resources.values()),
    }


def _sent(results: dict[str, Any]) -> int:
    return sum(
        success["count"]
        for counts in results["resources"].values()
        for success in counts.get("successes", [])
    )


def _failed(counts: dict[str, Any]) -> int:
    """Return how many records of a resource did not arrive: refused, or lost by lightbeam."""
    sent = sum(success["count"] for success in counts.get("successes", []))
    return int(counts["records_processed"] - counts["records_skipped"] - sent)


def _counts(results: dict[str, Any]) -> dict[str, Counts]:
    return {
        name: Counts(counts["records_processed"], counts["records_skipped"], _failed(counts))
        for name, counts in results["resources"].items()
    }
