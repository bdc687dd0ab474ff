"""Keep student data out of error reports: earthmover's errors quote the cells they fail on.

The text alone does not show which words are a student's. So its words are looked up in the input
files when there is a text to report. Text from the bundle's own code stays readable.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from earthbeam.delimited import BadFile, detect_encoding
from earthbeam.executor.bundle.source import source_of
from earthbeam.executor.reporting.log import MASK

_WORD = re.compile(r"\w+")
_QUOTED = re.compile(r"(?<!\w)(?:'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`)(?!\w)")
_SHORTEST_NUMBER = 5


def mask_words_of(inputs: Iterable[Path], bundle: Path, text: str) -> str:
    """Return ``text`` without words that occur in the ``inputs``, unless they are the ``bundle``'s.

    Quoted text is masked as a whole if any word of it is in an input. Elsewhere only words that may
    identify somebody are masked: those with a capital letter, and long numbers.
    """
    theirs = _words_in(inputs, set(_WORD.findall(text)))
    if not theirs:
        return text
    source = source_of(bundle)
    theirs -= set(_WORD.findall(source))

    def quoted(match: re.Match[str]) -> str:
        inner = match.group()[1:-1]
        if inner in source or theirs.isdisjoint(_WORD.findall(inner)):
            return match.group()
        return f"{match.group()[0]}{MASK}{match.group()[-1]}"

    def bare(match: re.Match[str]) -> str:
        word = match.group()
        return MASK if word in theirs and _may_identify(word) else word

    return _WORD.sub(bare, _QUOTED.sub(quoted, text))


def _may_identify(word: str) -> bool:
    if word.isdecimal():
        return len(word) >= _SHORTEST_NUMBER
    return len(word) > 1 and word != word.lower()


def _words_in(inputs: Iterable[Path], wanted: set[str]) -> set[str]:
    """Return which of the ``wanted`` words occur in the files."""
    found: set[str] = set()
    for path in inputs:
        try:
            encoding = detect_encoding(path)
        except BadFile:
            continue
        with path.open(encoding=encoding, errors="replace") as lines:
            for line in lines:
                found |= wanted.intersection(_WORD.findall(line))
                if len(found) == len(wanted):
                    return found
    return found
