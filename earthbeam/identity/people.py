"""A person by name and birth date, as a file's row or a roster knows them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from earthbeam.identity.dates import Date, read, text_of
from earthbeam.identity.names import Words, words

PARTS = ("firstName", "middleName", "lastSurname", "birthDate")
"""What is known of a person, under Ed-Fi's names."""


class Person(NamedTuple):
    """Names as normalized words, and the birth date. Parts that are unknown are empty or None."""

    first: Words = ()
    last: Words = ()
    birth: Date | None = None
    record: Mapping[str, Any] = {}
    """The parts as they were written, under Ed-Fi's names, with anything else beside them."""

    @property
    def is_known(self) -> bool:
        """Whether there is anything to compare."""
        return bool(self.first or self.last or self.birth)

    def shown(self) -> dict[str, str]:
        """Return the parts as they were written, for people to read."""
        return {
            part: value
            for part in PARTS
            if isinstance(value := self.record.get(part), str) and value.strip()
        }


UNKNOWN_PERSON = Person()


def from_record(record: Any) -> Person:
    """Return the person in an Ed-Fi ``students`` record, or in a roster line's ``student``.

    Anything that is missing or not text is unknown.
    """
    if not isinstance(record, dict):
        return UNKNOWN_PERSON
    first, last = record.get("firstName"), record.get("lastSurname")
    birth = record.get("birthDate")
    return Person(
        words(first) if isinstance(first, str) else (),
        words(last) if isinstance(last, str) else (),
        read(birth) if isinstance(birth, str) else None,
        record,
    )


def of_parts(first: str, middle: str, last: str, birth: Date | None) -> Person:
    """Return a person from the texts of a file, and a birth date that is already read."""
    texts = (first, middle, last, text_of(birth) if birth else "")
    record = {part: text.strip() for part, text in zip(PARTS, texts, strict=True)}
    return Person(words(first), words(last), birth, record)
