"""Delete records from the ODS, and count what is gone."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.lightbeam.commands import Lightbeam
from earthbeam.executor.lightbeam.sending import Answered, Counts
from earthbeam.executor.processes import running
from earthbeam.executor.workspace.folders import is_plain_file

logger = logging.getLogger(__name__)

AGAIN_PAUSES = (2.0, 5.0, 10.0)
"""Seconds before each retry, as long as it makes progress."""
_RESULTS_NAME = "lb-delete-results.json"


def delete(
    lightbeam: Lightbeam,
    data: Path,
    records: Mapping[str, int],
    on_progress: Callable[[int], None] = lambda records: None,
) -> dict[str, Counts]:
    """Delete the ``records`` (how many of each resource) that lie in ``data`` as JSONL.

    The counts have as skipped those that the ODS did not have, and as failed those that are still
    there. ``on_progress`` is called with the number of records the ODS has answered
    about. Raises StepFailed(lightbeam_delete) if the ODS could not be reached.
    """
    if not records:
        return {}
    deleted, gone = dict.fromkeys(records, 0), dict.fromkeys(records, 0)
    for pause in (*AGAIN_PAUSES, None):
        before = sum(gone.values())
        heard = Answered(on_progress, before)
        for resource, answers in _delete_once(lightbeam, data, records, heard).items():
            deleted[resource] += answers["deleted"]
            # What is missing may be what was deleted the last time.
            gone[resource] = answers["deleted"] + max(gone[resource], answers["missing"])
        left = sum(records.values()) - sum(gone.values())
        if not left or pause is None or sum(gone.values()) == before:
            break
        logger.warning("%d records are not deleted; again in %.0f s", left, pause)
        running.wait(pause)
    return {
        resource: Counts(of, gone[resource] - deleted[resource], of - gone[resource])
        for resource, of in records.items()
    }


def _delete_once(
    lightbeam: Lightbeam, data: Path, records: Mapping[str, int], heard: Callable[[str], bool]
) -> dict[str, dict[str, int]]:
    path = lightbeam.folder / _RESULTS_NAME
    path.unlink(missing_ok=True)
    done = lightbeam.run(
        *("delete", "-s", ",".join(records), "--results-file", str(path)),
        data=data,
        stop_when=heard,
    )
    if not is_plain_file(path):
        raise StepFailed(
            "lightbeam_delete",
            "The ODS could not be reached, or refused the connection's credentials.",
            stacktrace=done.tail,
        )
    results: dict[str, dict[str, int]] = json.loads(path.read_text())
    return results
