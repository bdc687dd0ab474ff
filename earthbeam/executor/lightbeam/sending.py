"""Send a set to the ODS, and read lightbeam's results."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.lightbeam.commands import Lightbeam
from earthbeam.executor.processes import running
from earthbeam.executor.workspace.folders import Workspace, is_plain_file
from earthbeam.stored_files import SEND_RESULTS

logger = logging.getLogger(__name__)

AGAIN_PAUSES = (2.0, 5.0, 10.0, 15.0, 30.0)
"""Seconds before each retry of what the ODS put off."""
_ALL_SKIPPED = 99
_LOST = 0
"""The status of records that got no answer (guarded_lightbeam.py)."""

Results = dict[str, Any]
"""What lightbeam writes about a send, by resource: counts, and each refusal's lines."""


class Sent(NamedTuple):
    """lightbeam's results, and the end of its log."""

    results: Results
    log: str


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
    on_progress: Callable[[int], None] = lambda records: None,
) -> Sent:
    """Send the JSONL files in ``output`` to the ODS.

    Records that the ODS put off (429, 5xx) or that were lost are sent again, as long as that makes
    progress. Records that it refuses are counted, but are not an error. ``on_progress`` is called
    with the number of records the ODS has answered. Raises StepFailed(lightbeam_send) if the ODS
    could not be reached.
    """
    done, results = _send_once(lightbeam, output, heard=Answered(on_progress))
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
        in_vain = 0 if more and sent(more) else in_vain + 1
        if more is None or in_vain > 1:
            break
        results, latest = together(results, more), more
    return Sent(results, done.tail)


def check_taken(sending: Sent) -> None:
    """Raise StepFailed(lightbeam_send) if the ODS took no record, and refused some."""
    refused = any(counts.failed for counts in counts_of(sending.results).values())
    if refused and not sent(sending.results):
        raise StepFailed(
            "lightbeam_send", "The ODS took none of the records.", stacktrace=sending.log
        )


def publish(results: Results, workspace: Workspace, redact: Callable[[str], str]) -> None:
    """Make the results an artifact, without the secrets that ``redact`` removes.

    Users download it, and a response or a lightbeam error may quote the secret.
    """
    workspace.draft(SEND_RESULTS).write_text(redact(json.dumps(results, indent=4)))
    workspace.publish(SEND_RESULTS)


def _send_once(
    lightbeam: Lightbeam,
    output: Path,
    *options: str,
    heard: Callable[[str], bool] = lambda line: False,
) -> tuple[running.Completed, Results | None]:
    """Run lightbeam once, and return its results if it wrote any."""
    path = lightbeam.folder / SEND_RESULTS
    path.unlink(missing_ok=True)
    done = lightbeam.run(
        *("send", "--results-file", str(path), *options), data=output, stop_when=heard
    )
    return done, json.loads(path.read_text()) if is_plain_file(path) else None


class Answered:
    """Reads lightbeam's counts of the ODS's answers, by status and resource. Stops nothing.

    ``on_progress`` is called with their number so far, and those ``before``.
    """

    _COUNTS = re.compile(r"\(\.\.\. status counts: \{(.*)\}\)")
    _ONE = re.compile(r"\d+: (\d+)")

    def __init__(self, on_progress: Callable[[int], None], before: int = 0) -> None:
        self._on_progress = on_progress
        self._before, self._now = before, 0

    def __call__(self, line: str) -> bool:
        if match := self._COUNTS.search(line):
            self._now = sum(int(count) for count in self._ONE.findall(match[1]))
            self._on_progress(self._before + self._now)
        elif "finished processing endpoint" in line:
            self._before, self._now = self._before + self._now, 0
        return False


def _worth_another_try(results: Results) -> list[int]:
    """Return the statuses to send again; empty if nothing was put off or lost."""
    refused = {
        failure["status_code"]
        for counts in results["resources"].values()
        for failure in counts.get("failures", [])
    }
    put_off = any(status in (_LOST, 429) or status >= 500 for status in refused)
    lost = any(
        counts["records_failed"] < failed(counts) for counts in results["resources"].values()
    )
    # Includes records that refer to what was put off (409).
    return sorted(refused | {429}) if put_off or lost else []


def together(first: Results, more: Results) -> Results:
    """Merge the results of sending and of resending into one."""
    resources = {}
    for name, counts in first["resources"].items():
        later = more["resources"].get(name, {})
        successes = [*counts.get("successes", []), *later.get("successes", [])]
        merged = counts | {"successes": successes, "failures": later.get("failures", [])}
        resources[name] = merged | {"records_failed": failed(merged)}
    return more | {
        "started_at": first.get("started_at"),
        "resources": resources,
        "total_records_processed": sum(r["records_processed"] for r in resources.values()),
        "total_records_skipped": sum(r["records_skipped"] for r in resources.values()),
        "total_records_failed": sum(r["records_failed"] for r in resources.values()),
    }


def sent(results: Results) -> int:
    """Return how many records the ODS took."""
    return sum(
        success["count"]
        for counts in results["resources"].values()
        for success in counts.get("successes", [])
    )


def failed(counts: dict[str, Any]) -> int:
    """Return how many records of a resource did not arrive: refused, or lost by lightbeam."""
    arrived = sum(success["count"] for success in counts.get("successes", []))
    return int(counts["records_processed"] - counts["records_skipped"] - arrived)


def counts_of(results: Results) -> dict[str, Counts]:
    """Return each resource's counts."""
    return {
        name: Counts(counts["records_processed"], counts["records_skipped"], failed(counts))
        for name, counts in results["resources"].items()
    }
