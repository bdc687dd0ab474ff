"""Sending a set to the ODS, and what lightbeam says came of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthbeam.executor import lightbeam
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import Job, Ods
from earthbeam.executor.workspace import Workspace

RESULTS_NAME = "lb-send-results.json"
_ALL_SKIPPED = 99


@dataclass
class Counts:
    """Records of one resource: the contract's summary."""

    processed: int = 0
    skipped: int = 0
    failed: int = 0

    def body(self) -> dict[str, int]:
        return {
            "records_processed": self.processed,
            "records_skipped": self.skipped,
            "records_failed": self.failed,
        }


def send(job: Job, ods: Ods, output: Path, workspace: Workspace) -> dict[str, Counts]:
    """Send the JSONL files in ``output`` to the ODS; returns the counts of each resource.

    Records that the ODS refuses are counted, and fail nothing. Raises StepFailed(lightbeam_send)
    when it refused all of them, or could not be reached.
    """
    results = workspace.artifacts / RESULTS_NAME
    done = lightbeam.run(("send", "--results-file", str(results)), job, ods, workspace, data=output)
    if done.exit_code not in (0, _ALL_SKIPPED):
        raise StepFailed(
            "lightbeam_send",
            "The ODS took none of the records."
            if results.exists()
            else "The ODS could not be reached, or refused the connection's credentials.",
            stacktrace=done.tail,
        )
    if not results.exists():
        raise StepFailed("artifact_not_found", name=RESULTS_NAME, path=f"output/{RESULTS_NAME}")
    summary = _counts(json.loads(results.read_text()))
    if all(counts.failed == counts.processed - counts.skipped > 0 for counts in summary.values()):
        raise StepFailed(
            "lightbeam_send", "The ODS took none of the records.", stacktrace=done.tail
        )
    return summary


def _counts(results: dict[str, Any]) -> dict[str, Counts]:
    """Each resource's counts; what lightbeam lost sight of (a reset connection) has failed."""
    summary = {}
    for resource, counts in results["resources"].items():
        processed, skipped = counts["records_processed"], counts["records_skipped"]
        sent = sum(success["count"] for success in counts.get("successes", []))
        summary[resource] = Counts(processed, skipped, processed - skipped - sent)
    return summary
