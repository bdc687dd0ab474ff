"""Have earthmover's column operations and destinations work on whole partitions.

dask would process every column of a frame again for each column that an operation adds or changes,
and earthmover renders templates row by row. Here a partition is processed with pandas, by
earthmover's own code, except that a template is rendered for all of its rows (rendering.py).
"""

import warnings
import weakref
from collections.abc import Callable
from typing import Any

import earthmover.util  # sets dask up, which must be before dask.dataframe is imported

# isort: split
import dask.dataframe
import jinja2
import pandas
from earthmover.nodes.destination import FileDestination
from earthmover.operations.column import (
    AddColumnsOperation,
    CombineColumnsOperation,
    DateFormatOperation,
    ModifyColumnsOperation,
    RenameColumnsOperation,
)

from earthbeam.executor.earthmover.rendering import (
    WHOLE_ROW,
    Usage,
    keeps_types,
    render_rows,
    usage_of,
)

FEW_ROWS = 100
"""Up to this many rows, rendering them one by one takes less time than a look at the template."""

_sources: "weakref.WeakKeyDictionary[jinja2.Template, str]" = weakref.WeakKeyDictionary()
_usages: "weakref.WeakKeyDictionary[jinja2.Template, Usage]" = weakref.WeakKeyDictionary()


class _Partition(pandas.DataFrame):
    """A partition that earthmover's column operations can treat as a dask frame.

    Its ``apply`` accepts ``meta``, and renders a template for all rows at once.
    """

    def apply(self, func: Any, axis: Any = 0, meta: Any = None, **kwargs: Any) -> Any:
        if self.empty:
            return pandas.Series(dtype=object)
        if func is earthmover.util.render_jinja_template:
            template = kwargs["template"]
            if template not in _sources:  # an expectation's, which has no macros
                remember(template, kwargs["template_str"])
            column = _rendered(self, template, _render_column)
            if column is not None:
                return column
        return super().apply(func, axis=axis, **kwargs)


class _DestinationPartition(pandas.DataFrame):
    """A partition whose ``apply`` renders a destination's template for all rows at once."""

    def apply(self, func: Any, *, jinja_template: jinja2.Template, axis: Any) -> Any:
        column = _rendered(self, jinja_template, _render_line, func.__self__.cast_output_dtype)
        if column is not None:
            return column
        return super().apply(func, jinja_template=jinja_template, axis=axis)


def _render_column(template: jinja2.Template, row: dict[str, Any], whole: bool) -> str:
    if whole:
        row[WHOLE_ROW] = dict(row)
    return template.render(row)


def _render_line(template: jinja2.Template, row: dict[str, Any], whole: bool) -> str:
    if whole:
        row[WHOLE_ROW] = row  # a template may take itself out of it
    return template.render(row) + "\n"


def _rendered(
    frame: pandas.DataFrame,
    template: jinja2.Template,
    render: Callable[[jinja2.Template, dict[str, Any], bool], str],
    cast: Callable[[Any], Any] = lambda value: value,
) -> pandas.Series | None:
    """Return a rendered column. None if earthmover must render it itself, as when it fails."""
    if len(frame) <= FEW_ROWS or not keeps_types(frame) or template not in _sources:
        return None
    usage = _usage(template)
    whole = usage.names is None
    try:
        lines = render_rows(frame, usage, lambda row: render(template, row, whole), cast)
    except Exception:  # noqa: BLE001  earthmover renders it again, and reports its own error
        return None
    return pandas.Series(lines, index=frame.index, dtype=object)


def _usage(template: jinja2.Template) -> Usage:
    if template not in _usages:
        _usages[template] = usage_of(_sources[template], template.environment)
    return _usages[template]


def remember(template: jinja2.Template, source: str) -> None:
    """Have partitions render ``template`` for all rows at once."""
    _sources[template] = source


def render_by_partition() -> None:
    """Have destinations and expectations render whole partitions.

    Keeps the source of each template for that.
    """
    build = earthmover.util.build_jinja_template

    def build_and_remember(template_string: str, macros: str = "", base_dir: str = "./") -> Any:
        template = build(template_string, macros, base_dir)
        remember(template, macros.strip() + template_string)  # together, as earthmover builds it
        return template

    earthmover.util.build_jinja_template = build_and_remember
    execute = FileDestination.execute

    def execute_by_partition(destination: FileDestination, **kwargs: Any) -> None:
        source = destination.upstream_sources[destination.source]
        rows = source.data
        source.data = _DestinationRows(rows)
        try:
            execute(destination, **kwargs)
        finally:
            source.data = rows

    FileDestination.execute = execute_by_partition
    frame: Any = dask.dataframe.core.DataFrame
    apply = frame.apply

    def apply_by_partition(rows: Any, func: Any, axis: Any = 0, **kwargs: Any) -> Any:
        if func is not earthmover.util.render_jinja_template:
            return apply(rows, func, axis=axis, **kwargs)
        meta = kwargs.pop("meta")
        return rows.map_partitions(
            lambda rows: _Partition(rows).apply(func, axis=axis, **kwargs), meta=meta
        )

    frame.apply = apply_by_partition


class _DestinationRows:
    """A dask frame as a destination uses it, with partitions that render all rows at once."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)

    def map_partitions(self, function: Any, *, meta: Any) -> Any:
        return self._rows.map_partitions(
            lambda frame: function(_DestinationPartition(frame)), meta=meta
        )


def compute_columns_by_partition() -> None:
    for kind in (
        AddColumnsOperation,
        CombineColumnsOperation,
        ModifyColumnsOperation,
        DateFormatOperation,
        RenameColumnsOperation,
    ):
        kind.execute = _by_partition(kind.execute)
    # Columns are added one by one on purpose: to copy the frame each time costs more.
    warnings.simplefilter("ignore", pandas.errors.PerformanceWarning)
    # Only dates use a dask function rather than a frame's own method; a partition needs pandas'.
    dask.dataframe.to_datetime = pandas.to_datetime


def _by_partition(execute: Any) -> Any:
    """Wrap an operation's ``execute`` to process all of its columns in one task per partition."""

    def execute_by_partition(operation: Any, data: Any, **kwargs: Any) -> Any:
        meta = data._meta.copy()
        if isinstance(operation, RenameColumnsOperation):
            meta = execute(operation, meta, **kwargs)
        for name in _columns_made(operation, meta):
            meta[name] = pandas.Series(dtype=object)

        def whole_partition(frame: Any) -> Any:
            copy = _Partition(frame.copy(deep=False))  # which gets columns, but never new cells
            return pandas.DataFrame(execute(operation, copy, **kwargs))

        return data.map_partitions(whole_partition, meta=meta)

    return execute_by_partition


def _columns_made(operation: Any, meta: Any) -> list[str]:
    """Return the columns that an operation adds or overwrites."""
    match operation:
        case AddColumnsOperation():
            return list(operation.columns_dict)
        case CombineColumnsOperation():
            return [operation.new_column]
        case ModifyColumnsOperation():
            return list(operation.match_wildcard_columns(meta, operation.columns_dict))
        case DateFormatOperation():
            wanted = operation.columns_list
            return list(operation.match_wildcard_columns(meta, wanted, raise_on_unmatched=True))
    return []
