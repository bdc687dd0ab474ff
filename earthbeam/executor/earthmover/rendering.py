"""Render a template for all rows of a partition, with the results of earthmover's row by row.

For each row and template, earthmover makes a pandas Series and two dicts of all columns. That is
most of the time of a large file. Here rows are made from the columns' lists, a template gets only
the variables that it names, and its results are kept by their values, so that a grade or a subject
is rendered a few times instead of once a row.

Results are kept only if the template is a pure function of its variables. That is decided by its
syntax tree (``usage_of``), and in doubt every row is rendered.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Any

import jinja2
import pandas
from jinja2 import nodes
from pandas.core.dtypes.cast import maybe_box_native

WHOLE_ROW = "__row_data__"
"""The variable with all of a row's columns."""

# These bring in other templates, which see every variable.
_OPAQUE = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
# Their result changes from call to call. A filter can also be named by a string: map("random").
_IMPURE = frozenset({"lipsum", "random"})

_SAMPLE = 500
"""Results are kept for more rows than this only if at least half of these were found again."""


@dataclass(frozen=True)
class Usage:
    """What a template reads."""

    names: frozenset[str] | None
    """At least the variables that it reads. None if it may read all of a row."""
    pure: bool
    """Whether it has the same result whenever the variables have the same values."""


def usage_of(source: str, environment: jinja2.Environment) -> Usage:
    """Return what the template ``source`` reads. Macros count only if it calls them."""
    tree = environment.parse(source)
    tree.body = _without_unused_macros(tree.body)
    names = frozenset(node.name for node in tree.find_all(nodes.Name))
    opaque = "self" in names or next(tree.find_all(_OPAQUE), None) is not None
    return Usage(
        names=None if opaque or WHOLE_ROW in names else names,
        pure=not opaque and _IMPURE.isdisjoint(_words(tree)) and not _reaches_into_python(tree),
    )


def _without_unused_macros(body: list[nodes.Node]) -> list[nodes.Node]:
    macros = {node.name: node for node in body if isinstance(node, nodes.Macro)}
    used: set[str] = set()
    unread = [node for node in body if not isinstance(node, nodes.Macro)]
    while unread:
        names = {name.name for node in unread for name in _names_in(node)}
        unread = [macros[name] for name in (names & macros.keys()) - used]
        used |= names
    return [node for node in body if not isinstance(node, nodes.Macro) or node.name in used]


def _names_in(node: nodes.Node) -> Iterator[nodes.Name]:
    if isinstance(node, nodes.Name):
        yield node
    yield from node.find_all(nodes.Name)


def _words(tree: nodes.Template) -> Iterator[str]:
    """Yield the names of variables and filters, and strings."""
    for variable in tree.find_all(nodes.Name):
        yield variable.name
    for used in tree.find_all(nodes.Filter):
        yield used.name
    for constant in tree.find_all(nodes.Const):
        if isinstance(constant.value, str):
            yield constant.value


def _reaches_into_python(tree: nodes.Template) -> bool:
    """Whether it names an attribute such as ``__class__``, which leads to anything."""
    attributes = (node.attr for node in tree.find_all(nodes.Getattr))
    return any(name.startswith("__") for name in (*attributes, *_words(tree)) if name != WHOLE_ROW)


def keeps_types(frame: pandas.DataFrame) -> bool:
    """Whether the values in a row's Series are those of the columns.

    pandas converts them to a type that all columns have in common. With a column of text or
    objects, that is ``object``, which keeps numbers as they are.
    """
    kinds = pandas.api.types
    others = [
        dtype
        for dtype in frame.dtypes
        if not (kinds.is_object_dtype(dtype) or isinstance(dtype, pandas.StringDtype))
    ]
    return len(others) < len(frame.columns) and all(
        dtype in ("int64", "float64", "bool") for dtype in others
    )


def render_rows(
    frame: pandas.DataFrame,
    usage: Usage,
    render: Callable[[dict[str, Any]], str],
    cast: Callable[[Any], Any] = lambda value: value,
) -> list[str]:
    """Return ``render`` of each row of ``frame``, for which ``keeps_types`` must hold.

    ``render`` gets the variables that the template reads, each value after ``cast``, which must
    return strings unchanged. Raises what ``render`` raises.
    """
    # Of columns with the same name, a row's dict has the last one.
    numbers = {name: number for number, name in enumerate(frame.columns)}
    columns = {
        name: _values(frame.iloc[:, number], cast)
        for name, number in numbers.items()
        if usage.names is None or name in usage.names
    }
    names = tuple(columns)
    rows = zip(*columns.values(), strict=True) if columns else repeat((), len(frame))

    def render_values(values: Sequence[Any]) -> str:
        return render(dict(zip(names, values, strict=True)))

    # Values of other types may be equal and look different: 1, 1.0, and True.
    if usage.pure and all(map(_is_text, columns.values())):
        return _render_and_keep(iter(rows), render_values)
    return [render_values(values) for values in rows]


def _values(column: Any, cast: Callable[[Any], Any]) -> list[Any]:
    values: list[Any] = column.tolist()
    if _is_text(values):
        return values
    return [cast(maybe_box_native(value)) for value in values]


def _is_text(values: Iterable[Any]) -> bool:
    return all(type(value) is str for value in values)


def _render_and_keep(
    rows: Iterator[tuple[str, ...]], render: Callable[[Sequence[str]], str]
) -> list[str]:
    kept: dict[tuple[str, ...], str] = {}

    def render_once(values: tuple[str, ...]) -> str:
        result = kept.get(values)
        if result is None:
            result = kept[values] = render(values)
        return result

    results = [render_once(values) for values in islice(rows, _SAMPLE)]
    found_again = len(results) - len(kept)
    rest = render_once if found_again * 2 >= len(results) else render
    results.extend(rest(values) for values in rows)
    return results
