"""The executor's log: lines on standard output, with secrets and student IDs masked.

The launcher keeps this output as the run's log. Bundles and tools print what they like, so every
line is masked here, and stack traces are masked before they are reported.
"""

import base64
import json
import logging
import re
import sys
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"
CHILD_LINE = "%s | %s"
"""The format of a line of a child's output: its label, then the line."""
_SHORTEST = 4
"""Shorter texts are not masked: they occur everywhere, and identify nobody."""

# One "word" of a line. IDs consist of these characters, however they are quoted or separated.
_WORD = re.compile(r"[^\s,;:|'\"`()\[\]{}<>=/\\]+")


class Redactor:
    """Masks what was added to it: secrets anywhere in a text, IDs only as whole words."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._ids: set[str] = set()

    def add_secrets(self, *secrets: str | None) -> None:
        """Mask these texts wherever they occur, also as encoded in JSON, a URL, or base64."""
        for secret in secrets:
            if secret and len(secret) >= _SHORTEST:
                self._secrets |= _spellings(secret)

    def add_ids(self, ids: Iterable[str]) -> None:
        """Mask these IDs where they occur as whole words."""
        self._ids.update(value for value in ids if len(value) >= _SHORTEST)

    def add_names(self, texts: Iterable[str]) -> None:
        """Mask the words of these names, and dates, where they occur as whole words."""
        for text in texts:
            self._ids.update(word for word in _WORD.findall(text) if len(word) >= _SHORTEST)

    def redact(self, text: str) -> str:
        """Return ``text`` with everything masked that was added so far."""
        text = self.redact_secrets(text)
        if not self._ids:
            return text
        return _WORD.sub(lambda word: MASK if self._knows(word.group()) else word.group(), text)

    def redact_secrets(self, text: str) -> str:
        """Return ``text`` with the secrets masked."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text

    def _knows(self, word: str) -> bool:
        return word in self._ids or word.strip(".") in self._ids


def _spellings(secret: str) -> set[str]:
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
        encoded,
    }


class _ErrorsLater(logging.Filter):
    """Holds back earthmover's output from its first error on, which quotes the cells it fails on.

    The run's failure logs all of it, once the input's words can be masked (masking.py).
    """

    _ERROR = re.compile(r"\b(ERROR|CRITICAL|Traceback)\b")

    def __init__(self) -> None:
        super().__init__()
        self._failing: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg != CHILD_LINE or not isinstance(record.args, tuple):
            return True
        label, line = str(record.args[0]), str(record.args[1])
        if label.startswith("earthmover") and self._ERROR.search(line):
            self._failing.add(label)
        return label not in self._failing


class _RedactingFormatter(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.redact(super().format(record))


def set_up(redactor: Redactor) -> None:
    """Send the log of the executor and its libraries to standard output, masked, line by line."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_RedactingFormatter(redactor))
    handler.addFilter(_ErrorsLater())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("earthbeam.executor").setLevel(logging.INFO)
