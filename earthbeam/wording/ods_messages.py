"""The ODS's messages about a run's records, from lightbeam's results file.

Messages that differ only in IDs and values are one group: 500 students missing from an ODS are one
thing to fix. A descriptor's URI is kept, since it says what to fix.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

MAX_BYTES = 4 * 1024 * 1024
"""The limit for a results file that a page reads. A larger one can be downloaded."""
MAX_LINES = 12
"""How many line numbers of a group are listed."""

_VALUES = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|uri://[^\s'\"]*|[\w-]*\d[\w-]*")
_GAP = "…"


@dataclass
class MessageGroup:
    """Messages of the same form. ``lines`` are the first line numbers in the resource's file."""

    status: int
    example: str
    count: int = 0
    messages: int = 0
    """How many different messages the group has."""
    lines: list[int] = field(default_factory=list)

    @property
    def words(self) -> str:
        """What the messages mean and what to do, if that is known."""
        return in_words(self.example)

    @property
    def more_lines(self) -> int:
        """How many lines are not listed."""
        return max(0, self.count - len(self.lines))


@dataclass(frozen=True)
class Sent:
    """The results for one resource's records."""

    processed: int
    skipped: int
    refused: int
    groups: tuple[MessageGroup, ...]

    @property
    def sent(self) -> int:
        return max(0, self.processed - self.skipped - self.refused)


def read_results(content: bytes) -> dict[str, Sent]:
    """Return the resources of a results file. Raises ValueError if it is not one."""
    try:
        resources = json.loads(content)["resources"]
        return {str(name): _resource(counts) for name, counts in resources.items()}
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError("not a results file of lightbeam's") from error


_WORDS = (
    (
        re.compile(r"descriptor value '([^']*)' does not exist", re.IGNORECASE),
        "The ODS does not know the descriptor {0}. Have it added to the ODS, or map the value to "
        "one that the ODS has.",
    ),
    (
        re.compile(r"the referenced '?student'? .*does not exist", re.IGNORECASE),
        "The student is not in the ODS.",
    ),
    (
        re.compile(
            r"the referenced '?([\w ]+?)'? (?:item|resource|entity).*does not exist", re.IGNORECASE
        ),
        "The ODS does not have the {0} that this record is part of.",
    ),
    (
        re.compile(r"(\w+) must be between \d+ and (\d+) characters", re.IGNORECASE),
        "{0} is longer than {1} characters.",
    ),
    (re.compile(r"(\w+) is required", re.IGNORECASE), "{0} is missing."),
    (
        re.compile(
            r"access to the (?:requested )?(?:resource|data).*(?:denied|authorized)", re.IGNORECASE
        ),
        "The ODS connection's client may not write this. Have its claim set or its education "
        "organizations corrected.",
    ),
    (re.compile(r"lost on its way", re.IGNORECASE), "The ODS did not answer. Send it again."),
)


def in_words(message: str) -> str:
    """Return what an ODS's message means and what to do, or "" if it is not a known one."""
    for pattern, words in _WORDS:
        if (found := pattern.search(message)) is not None:
            return words.format(*found.groups())
    return ""


def shape(message: str) -> str:
    """Return ``message`` with a gap for each ID and value."""
    return _VALUES.sub(_gap, " ".join(message.split()))


def _gap(match: re.Match[str]) -> str:
    text = match.group()
    if text.startswith("uri://") or text[1:].startswith("uri://"):
        return text
    return f"{text[0]}{_GAP}{text[0]}" if text[0] in "'\"" else _GAP


def _resource(counts: Any) -> Sent:
    processed, skipped = int(counts["records_processed"]), int(counts["records_skipped"])
    successes = counts.get("successes")
    if successes is None:
        refused = int(counts["records_failed"])
    else:
        # lightbeam counts records that were lost only in the total.
        refused = processed - skipped - sum(int(each["count"]) for each in successes)
    return Sent(processed, skipped, max(0, refused), _groups(counts.get("failures") or []))


def _groups(failures: list[Any]) -> tuple[MessageGroup, ...]:
    groups: dict[tuple[int, str], MessageGroup] = {}
    lines: dict[tuple[int, str], set[int]] = {}
    for failure in failures:
        message = " ".join(str(failure["message"]).split())
        key = int(failure["status_code"]), shape(message)
        group = groups.setdefault(key, MessageGroup(key[0], message))
        numbers = [int(line) for line in failure.get("line_numbers") or []]
        group.count += int(failure.get("count") or len(numbers))
        group.messages += 1
        lines.setdefault(key, set()).update(numbers)
    for key, group in groups.items():
        group.lines = sorted(lines[key])[:MAX_LINES]
    return tuple(sorted(groups.values(), key=lambda group: (-group.count, group.example)))
