"""Child process: earthmover's own `run`, without its repeated work.

    python -I fast_earthmover.py run RESULTS_JSON [--matched CSV] -- -c earthmover.yaml …
    python -I fast_earthmover.py dump NODE CSV -- -c earthmover.yaml …

``run`` produces the same output as `earthmover run`. ``--matched`` replaces the source of
``$transformations.input`` with a file that has each row's student, as the student_ids package does
when a bundle is composed with it. ``dump`` writes the rows of one node: the rows to match, if they
are not the raw file's.

It differs from stock earthmover in four ways, each measured (docs/executor.md):

- dask names every task by hashing what it closes over, which for templates and earthmover's own
  objects falls back to pickling half of the loaded modules. Here those objects get a token that is
  unique to the object, through dask's extension point ``normalize_token``.
- Each destination recomputes all nodes above it. Here every node is computed once and kept, if the
  input is small enough to be held in memory.
- Adding, changing, or renaming columns makes dask process every column of the frame again for each
  one. Here an operation processes a whole partition with pandas, using its own code. dask also no
  longer describes every column of each frame for notebooks.
- With `--results-file`, stock earthmover recomputes the whole graph for each node to count its
  rows. Here each destination's records are counted from its file, into a file of that format.
"""

import argparse
import itertools
import json
import sys
import types
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dask.dataframe
import earthmover.__main__ as earthmover_main
import jinja2
import networkx
import pandas
from dask.base import normalize_token
from earthmover.earthmover import Earthmover
from earthmover.error_handler import ErrorHandler
from earthmover.nodes.node import Node
from earthmover.operations.column import (
    AddColumnsOperation,
    DateFormatOperation,
    ModifyColumnsOperation,
    RenameColumnsOperation,
)
from earthmover.operations.operation import Operation
from earthmover.yaml_parser import YamlMapping

STUDENT_ID_COLUMN = "edFi_studentUniqueID"
_MATCHED = "matched_input"

KEEP_NODES_BELOW_BYTES = 64 * 1024 * 1024
"""Up to this input size, every node of the graph is held in memory. Above it, nodes stay lazy."""

_serial = itertools.count()
# Not id(): it is reused after an object is gone, and would merge different tasks.
_tokens: "weakref.WeakKeyDictionary[Any, str]" = weakref.WeakKeyDictionary()


def _identity_token(value: Any) -> str:
    token = _tokens.get(value)
    if token is None:
        token = _tokens[value] = f"{type(value).__name__}-{next(_serial)}"
    return token


def use_identity_tokens() -> None:
    for kind in (jinja2.Template, types.FunctionType, Node, Operation, ErrorHandler):
        normalize_token.register(kind, _identity_token)


class _Partition(pandas.DataFrame):
    """A partition that earthmover's column operations can treat as a dask frame.

    Its ``apply`` accepts ``meta``.
    """

    def apply(self, func: Any, axis: Any = 0, meta: Any = None, **kwargs: Any) -> Any:
        if self.empty:
            return pandas.Series(dtype=object)
        return super().apply(func, axis=axis, **kwargs)


def compute_columns_by_partition() -> None:
    for kind in (
        AddColumnsOperation,
        ModifyColumnsOperation,
        DateFormatOperation,
        RenameColumnsOperation,
    ):
        kind.execute = _by_partition(kind.execute)
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
            return pandas.DataFrame(execute(operation, _Partition(frame.copy()), **kwargs))

        return data.map_partitions(whole_partition, meta=meta)

    return execute_by_partition


def _columns_made(operation: Any, meta: Any) -> list[str]:
    """Return the columns that an operation adds or overwrites."""
    match operation:
        case AddColumnsOperation():
            return list(operation.columns_dict)
        case ModifyColumnsOperation():
            return list(operation.match_wildcard_columns(meta, operation.columns_dict))
        case DateFormatOperation():
            wanted = operation.columns_list
            return list(operation.match_wildcard_columns(meta, wanted, raise_on_unmatched=True))
    return []


def leave_out_descriptions() -> None:
    """Keep dask from describing each column of each frame for notebooks."""
    frame = dask.dataframe.core
    frame.DataFrame.__init__ = frame._Frame.__init__


class FastEarthmover(Earthmover):
    """Earthmover that computes each node once, and keeps the matched student's column."""

    matched: Path | None = None
    """A file with the rows to transform and their students, in place of the raw input."""

    def inject_cli_overrides(self, configs: Any, prefix: str | None = None) -> Any:
        configs = super().inject_cli_overrides(configs, prefix)
        if prefix is None:
            if self.matched is not None:
                _read_input_from(self.matched, configs)
            _let_student_through(configs)
        return configs

    def execute(self, graph: Any) -> None:
        size = Path(self.user_configs["sources"]["input"]["file"]).stat().st_size
        if size <= KEEP_NODES_BELOW_BYTES:
            _compute_nodes_once()
        super().execute(graph)


def _read_input_from(matched: Path, configs: Any) -> None:
    """Make ``$transformations.input`` read ``matched``, whatever it read before."""
    target = configs["transformations"]["input"]
    source = YamlMapping(target.__line__, target.__file__)
    source |= {"file": str(matched), "type": "csv", "header_rows": 1, "encoding": "utf-8"}
    configs["sources"][_MATCHED] = source
    target["source"] = f"$sources.{_MATCHED}"


def _let_student_through(configs: Any) -> None:
    """Keep the column that matching added, which a source that lists its columns would drop."""
    columns = configs["sources"].get("input", {}).get("columns")
    if columns and STUDENT_ID_COLUMN not in columns:
        columns.append(STUDENT_ID_COLUMN)


def _compute_nodes_once() -> None:
    post_execute = Node.post_execute

    def post_execute_and_keep(node: Node, **kwargs: Any) -> None:
        if node.type != "destination":
            node.data = node.data.persist()
        post_execute(node, **kwargs)

    Node.post_execute = post_execute_and_keep


class NodeDump(Earthmover):
    """Earthmover that writes the rows of one node instead of its destinations."""

    node = ""
    target = Path()

    def execute(self, graph: Any) -> None:
        above = networkx.ancestors(self.graph, self.node) | {self.node}
        super().execute(self.graph.subgraph(above))
        rows = self.graph.ref(self.node).data
        with self.target.open("w", encoding="utf-8", newline="") as file:
            for number, partition in enumerate(rows.partitions):
                partition.compute().to_csv(
                    file, index=False, header=number == 0, lineterminator="\r\n"
                )


def count_records(output: Path) -> dict[str, int]:
    """Count the records of each destination, with the keys of earthmover's results file."""
    counts = {}
    for file in sorted(path for path in output.glob("*.jsonl") if path.is_file()):
        with file.open("rb") as lines:
            counts[f"$destinations.{file.stem}"] = sum(1 for line in lines if line.strip())
    return counts


def _run_earthmover(kind: type[Earthmover], arguments: list[str]) -> Any:
    """Run earthmover's own entry point with ``kind`` in place of its Earthmover."""
    use_identity_tokens()
    compute_columns_by_partition()
    leave_out_descriptions()
    # The work is in Python, so threads would only take turns.
    dask.config.set(scheduler="synchronous")
    made: list[Any] = []

    def make(*args: Any, **kwargs: Any) -> Any:
        made.append(kind(*args, **kwargs))
        return made[0]

    earthmover_main.Earthmover = make
    sys.argv = ["earthmover", "run", *arguments]
    earthmover_main.main()
    return made[0]


def run(results_file: Path, matched: Path | None, arguments: list[str]) -> None:
    FastEarthmover.matched = matched
    started = datetime.now(UTC)
    earthmover = _run_earthmover(FastEarthmover, arguments)
    completed = datetime.now(UTC)
    results = earthmover.metadata | {
        "started_at": started.isoformat(timespec="microseconds"),
        "completed_at": completed.isoformat(timespec="microseconds"),
        "runtime_sec": (completed - started).total_seconds(),
        "row_counts": count_records(Path(earthmover.state_configs["output_dir"])),
    }
    results_file.write_text(json.dumps(results, indent=4))


def dump(node: str, target: Path, arguments: list[str]) -> None:
    NodeDump.node, NodeDump.target = node, target
    _run_earthmover(NodeDump, arguments)


def main() -> None:
    own, arguments = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_parser = commands.add_parser("run")
    run_parser.add_argument("results", type=Path)
    run_parser.add_argument("--matched", type=Path)
    dump_parser = commands.add_parser("dump")
    dump_parser.add_argument("node")
    dump_parser.add_argument("target", type=Path)
    options = parser.parse_args(own)
    if options.command == "run":
        run(options.results, options.matched, arguments)
    else:
        dump(options.node, options.target, arguments)


if __name__ == "__main__":
    main()
