"""Names in one form, and how much two of them have in common.

``O'Neil-García, Jr.`` and ``ONEIL GARCIA`` are the same name, and so are ``Van der Berg`` and
``Berg``. A name in another alphabet is compared as it is.
"""

import unicodedata
from functools import lru_cache
from typing import Literal

from rapidfuzz.distance import JaroWinkler

from earthbeam.identity.nicknames import ARE_NICKNAMES

Level = Literal["same", "close", "different"]
Words = tuple[str, ...]

_SUFFIXES = frozenset(("jr", "sr", "junior", "senior", "ii", "iii", "iv", "2nd", "3rd", "4th"))
_PARTICLES = frozenset(
    [
        "al",
        "af",
        "bin",
        "da",
        "das",
        "de",
        "degli",
        "dei",
        "del",
        "della",
        "den",
        "der",
        "di",
        "do",
        "dos",
        "du",
        "el",
        "la",
        "le",
        "los",
        "san",
        "santa",
        "st",
        "ten",
        "ter",
        "van",
        "vom",
        "von",
        "y",
        "zu",
    ]
)
_APOSTROPHES = dict.fromkeys(map(ord, "'`\N{ACUTE ACCENT}\u2018\u2019\u02bb\u02bc"))
# Letters that Unicode does not decompose.
_LETTERS = str.maketrans(
    {"ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "æ": "ae", "Æ": "ae", "œ": "oe",
     "Œ": "oe", "ð": "d", "Ð": "d", "þ": "th", "Þ": "th", "\N{LATIN SMALL LETTER DOTLESS I}": "i"}
)  # fmt: skip
_ACCENTS = range(0x300, 0x370)

_CLOSE = 0.88
"""Jaro-Winkler similarity from which two spellings may be one name (``Smith`` and ``Smyth``)."""


@lru_cache(maxsize=1 << 16)
def words(text: str) -> Words:
    """Return the words of a name: lower case, without accents, apostrophes, and suffixes."""
    if text.isascii() and text.isalpha():
        return (text.lower(),)
    plain = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES).translate(_LETTERS))
    letters = (" " if not (c.isalnum() or ord(c) in _ACCENTS) else c for c in plain.casefold())
    found = "".join(c for c in letters if ord(c) not in _ACCENTS).split()
    while len(found) > 1 and found[-1] in _SUFFIXES:
        found.pop()
    return tuple(found)


@lru_cache(maxsize=1 << 16)
def core(name: Words) -> Words:
    """Return a last name's words without particles, unless it has no others."""
    return tuple(word for word in name if word not in _PARTICLES) or name


def compare_last(one: Words, other: Words) -> Level | None:
    """Return how much two last names have in common, or None if one is missing."""
    if not one or not other:
        return None
    if one == other or "".join(one) == "".join(other):
        return "same"
    a, b = core(one), core(other)
    if "".join(a) == "".join(b) or sorted(a) == sorted(b):
        return "same"
    if set(a) < set(b) or set(b) < set(a):  # one part of a double name
        return "close"
    return _spelled(a, b)


def compare_first(one: Words, other: Words) -> Level | None:
    """Return how much two first names have in common, or None if one is missing.

    A nickname, an initial, and one of two first names are close to the full name.
    """
    if not one or not other:
        return None
    if one == other or "".join(one) == "".join(other):
        return "same"
    if set(one) < set(other) or set(other) < set(one):
        return "close"
    a, b = one[0], other[0]
    if (len(a) == 1 or len(b) == 1) and a[0] == b[0]:
        return "close"
    if (a, b) in ARE_NICKNAMES:
        return "close"
    return _spelled(one, other)


def _spelled(one: Words, other: Words) -> Level:
    similarity = JaroWinkler.similarity("".join(one), "".join(other), score_cutoff=_CLOSE)
    return "close" if similarity else "different"
