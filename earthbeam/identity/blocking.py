"""Keys that two descriptions of one person are likely to share, so that few pairs are compared."""

from collections.abc import Iterator

from earthbeam.identity.names import core
from earthbeam.identity.people import Person

Key = tuple[object, ...]


def keys(person: Person, *, of_row: bool = False) -> Iterator[Key]:
    """Yield a person's keys.

    ``of_row``: for the side that is looked for. It also yields keys with day and month, or first
    and last name, swapped.
    """
    last = person.last[0] if len(person.last) == 1 else "".join(core(person.last))
    first = person.first[0] if person.first else ""
    birth = person.birth
    if last and first:
        yield from _of_names(last, first)
        if of_row:
            yield from _of_names(first, last)
    if birth:
        yield birth
        if of_row:
            yield birth[0], birth[2], birth[1]
        # One name's beginning, and two parts of the date.
        for kind, name in (("last", last[:2]), ("first", first[:2])):
            if name:
                yield kind, name, birth[0], birth[1], 0
                yield kind, name, birth[0], 0, birth[2]
                yield kind, name, 0, birth[1], birth[2]
    # Half of a roster may share a name. So a name alone is a key only of rows with nothing else.
    if last and not (of_row and (first or birth)):
        yield "last", last
    if first and not (of_row and (last or birth)):
        yield "first", first


def _of_names(last: str, first: str) -> Iterator[Key]:
    yield "names", last[:4], first[:1]
    yield "names", last[:1], first[:4]
