"""Find the nodes of earthmover's graph that may be computed for some rows of the input at a time.

A destination may be made in parts if everything between it and the input treats each row by
itself: the whole file's lines are then those of its parts, one after the other. What groups,
sorts, joins with other rows of the input, or counts them may not. In doubt, neither.
"""

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any

import networkx
from earthmover.nodes.node import Node
from earthmover.nodes.source import FileSource
from earthmover.nodes.transformation import Transformation
from earthmover.operations import column
from earthmover.operations.dataframe import JoinOperation
from earthmover.operations.operation import Operation
from earthmover.operations.row import FilterRowsOperation

_COLUMN_OPERATIONS = (
    column.AddColumnsOperation,
    column.ModifyColumnsOperation,
    column.DuplicateColumnsOperation,
    column.RenameColumnsOperation,
    column.DropColumnsOperation,
    column.KeepColumnsOperation,
    column.CombineColumnsOperation,
    column.DateFormatOperation,
    column.SnakeCaseColumnsOperation,
    column.LowercaseColumnsOperation,
    column.UppercaseColumnsOperation,
)
_JOINS = ("inner", "left")
"""With these, a joined row's place is that of its row on the left."""

_CALLED = re.compile(r"(\w+)\s*\(")
_CALLS_ON_A_ROW = frozenset(
    (
        *("and", "or", "not", "in", "isin", "isna", "isnull", "notna", "notnull", "contains"),
        *("startswith", "endswith", "match", "fullmatch", "lower", "upper", "strip", "len"),
    )
)
_WHOLE_FRAME = re.compile(r"@|\bindex\b|\[")


class Scope(Enum):
    """What a node's rows depend on."""

    CONSTANT = "not on the input"
    ROW = "each on one row of the input"
    WHOLE = "on the whole input"


def scopes(graph: Any, inputs: Iterable[str]) -> dict[str, Scope]:
    """Return the scope of every node of earthmover's ``graph``. ``inputs`` names input sources."""
    found: dict[str, Scope] = {}
    for name in networkx.topological_sort(graph):
        node = graph.ref(name)
        above = {source: found[source] for source in graph.predecessors(name)}
        if not above:
            found[name] = _scope_of_source(node) if name in inputs else Scope.CONSTANT
        elif all(scope is Scope.CONSTANT for scope in above.values()):
            found[name] = Scope.CONSTANT
        else:
            found[name] = Scope.ROW if _keeps_rows_apart(node, above) else Scope.WHOLE
    return found


def _scope_of_source(source: Node) -> Scope:
    is_text = isinstance(source, FileSource) and source.file_type in ("csv", "tsv")
    return Scope.ROW if is_text and not _looks_at_all_rows(source) else Scope.WHOLE


def _looks_at_all_rows(node: Node) -> bool:
    """Whether a node counts its rows, or makes something of the first one.

    An expectation looks at each row by itself. If one fails in a part, earthmover's message has the
    number of that part's rows.
    """
    header_or_footer = getattr(node, "header", None) or getattr(node, "footer", None)
    return bool(node.require_rows or node.debug or header_or_footer)


def _keeps_rows_apart(node: Node, above: dict[str, Scope]) -> bool:
    if above[node.source] is not Scope.ROW or _looks_at_all_rows(node):
        return False
    if not isinstance(node, Transformation):
        return True
    others = {scope for source, scope in above.items() if source != node.source}
    return others <= {Scope.CONSTANT} and all(
        _treats_rows_apart(operation, node.source) for operation in node.operations
    )


def _treats_rows_apart(operation: Operation, base: str) -> bool:
    match operation:
        case JoinOperation():
            return operation.join_type in _JOINS and base not in operation.sources
        case FilterRowsOperation():
            calls = set(_CALLED.findall(operation.query))
            return calls <= _CALLS_ON_A_ROW and not _WHOLE_FRAME.search(operation.query)
        case column.MapValuesOperation():
            # Numbers would change a column's type if all of its values were mapped.
            return all(isinstance(value, str) for value in operation.mapping.values())
    return isinstance(operation, _COLUMN_OPERATIONS)
