"""A run's records by resource for the job page, with the ODS's messages about them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from earthbeam import paths
from earthbeam.files import BadLocation, open_store
from earthbeam.models import Job, OutputSet
from earthbeam.stored_files import SEND_RESULTS
from earthbeam.wording.ods_messages import MAX_BYTES, Sent, read_results


@dataclass(frozen=True)
class ShownResource:
    """A resource's figures. None means that it is not known separately from the others."""

    name: str
    refused: int
    skipped: int
    sent: int | None
    for_edu: int | None
    processed: int
    groups: tuple[Any, ...] = ()


def stored_answers(job: Job) -> tuple[dict[str, Sent], str]:
    """Return the ODS's messages on the job's last run that sent to it, by resource.

    Also returns why they cannot be shown, or "".
    """
    try:
        store = open_store(paths.app_data_base_path(job))
        with store.open(f"output/{SEND_RESULTS}") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, BadLocation):
        return {}, "The ODS's messages cannot be read now. Try again later."
    if len(content) > MAX_BYTES:
        return {}, f"The ODS's answers are too many for this page: download {SEND_RESULTS}."
    try:
        return read_results(content), ""
    except ValueError:
        return {}, f"The ODS's answers could not be understood: download {SEND_RESULTS}."


def previewed_resources(sets: Iterable[OutputSet]) -> list[ShownResource]:
    """Return the records that a preview has made, by where they would go."""
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in sets:
        for name, records in (each.records or {}).items():
            counts[name][not each.sent_to_ods] += records
    return [
        ShownResource(name, 0, 0, ods, edu, ods + edu)
        for name, (ods, edu) in sorted(counts.items())
    ]


def shown_resource(
    name: str,
    counts: tuple[int, int, int],
    answer: Sent | None,
    *,
    known: bool,
    to_ods: bool,
    to_edu: bool,
) -> ShownResource:
    """Return a resource's figures for the job page.

    ``counts`` (processed, skipped, refused) in the summary cover both sets together. The ODS's
    answers, if they are ``known``, separate them.
    """
    processed, skipped, refused = counts
    sent: int | None = processed - skipped - refused
    for_edu: int | None = 0
    if not to_ods and not answer:
        sent, for_edu = 0, processed
    elif to_ods and to_edu and known:
        in_ods = answer.processed if answer else 0
        for_edu = max(0, processed - in_ods)
        sent = max(0, in_ods - skipped - refused)
    elif to_ods and to_edu:
        sent = for_edu = None
    groups = answer.groups if answer else ()
    return ShownResource(name, refused, skipped, sent, for_edu, processed, groups)
