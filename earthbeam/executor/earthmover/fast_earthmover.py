"""Child process: earthmover's own `run`, without its repeated work.

    python -m earthbeam.executor.earthmover.fast_earthmover run RESULTS_JSON [--matched CSV] -- -c …
    python -m earthbeam.executor.earthmover.fast_earthmover dump NODE CSV -- -c earthmover.yaml …

``run`` produces the same output as `earthmover run`. ``--matched`` replaces the source of
``$transformations.input`` with a file that has each row's student, as the student_ids package does
when a bundle is composed with it. ``dump`` writes the rows of one node: the rows to match, if they
are not the raw file's.

It differs from stock earthmover in these ways, each measured (docs/executor.md):

- dask names every task by hashing what it closes over, which for templates and earthmover's own
  objects falls back to pickling half of the loaded modules. Here those objects get a token that is
  unique to the object, through dask's extension point ``normalize_token``.
- Each destination recomputes all nodes above it. Here every node is computed once and kept, if the
  input is small enough to be held in memory.
- Adding, changing, or renaming columns makes dask process every column of the frame again for each
  one. Here an operation processes a whole partition with pandas, using its own code. dask also no
  longer describes every column of each frame for notebooks.
- Stock earthmover renders templates row by row. Here a template is rendered for all rows of a
  partition (by_partition.py). If that fails, earthmover renders them, and reports its own error.
- A large input is processed in parts, by as many forks as there are cores (parts.py), as far as the
  bundle treats each row by itself (row_by_row.py).
- With `--results-file`, stock earthmover recomputes the whole graph for each node to count its
  rows. Here each destination's records are counted from its file, into a file of that format.
"""

import argparse
import itertools
import json
import os
import sys
import types
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import earthmover.__main__ as earthmover_main  # sets dask up before dask.dataframe is imported

# isort: split
import dask.dataframe
import jinja2
import networkx
from dask.base import normalize_token
from earthmover.earthmover import Earthmover
from earthmover.error_handler import ErrorHandler
from earthmover.nodes.node import Node
from earthmover.operations.operation import Operation
from earthmover.yaml_parser import YamlMapping

from earthbeam.executor.earthmover.by_partition import (
    compute_columns_by_partition,
    render_by_partition,
)
from earthbeam.executor.earthmover.parts import (
    PART_BYTES,
    PROGRESS,
    Cores,
    PartFailed,
    process,
    split,
)
from earthbeam.executor.earthmover.row_by_row import Scope, scopes

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


def leave_out_descriptions() -> None:
    """Keep dask from describing each column of each frame for notebooks."""
    frame = dask.dataframe.core
    frame.DataFrame.__init__ = frame._Frame.__init__


class FastEarthmover(Earthmover):
    """Earthmover that computes each node once, and keeps the matched student's column."""

    matched: Path | None = None
    """A file with the rows to transform and their students, in place of the raw input."""
    cores: Cores | None = None
    """For forks that work on parts of the input. None if no other program runs at the same time."""
    part_bytes = PART_BYTES
    keeps_nodes = False
    """Whether each node is computed once and held in memory, or again for what needs it."""

    def inject_cli_overrides(self, configs: Any, prefix: str | None = None) -> Any:
        configs = super().inject_cli_overrides(configs, prefix)
        if prefix is None:
            if self.matched is not None:
                _read_input_from(self.matched, configs)
            _let_student_through(configs)
        return configs

    def execute(self, graph: Any) -> None:
        name = _MATCHED if self.matched else "input"
        size = Path(self.user_configs["sources"][name]["file"]).stat().st_size
        whole = graph
        if size > self.part_bytes and f"$sources.{name}" in graph:
            source = graph.ref(f"$sources.{name}")
            in_parts, whole = self._execute_constants(graph, source)
            if in_parts:
                self._execute_in_parts(in_parts, source)
        self.keeps_nodes = size <= KEEP_NODES_BELOW_BYTES
        if whole:
            super().execute(whole)

    def _execute_constants(self, graph: Any, source: Any) -> tuple[Any, Any]:
        """Execute what does not depend on the input.

        Returns the graph to execute in parts, and the rest, to be executed on the whole input.
        """
        scope = scopes(graph, {source.full_name})
        self.keeps_nodes = True
        super().execute(graph.subgraph([name for name in graph if scope[name] is Scope.CONSTANT]))

        def needed_by(kind: Scope) -> Any:
            names: set[str] = set()
            for destination in self.destinations:
                if scope[destination.full_name] is kind:
                    names |= networkx.ancestors(graph, destination.full_name)
                    names.add(destination.full_name)
            return graph.subgraph([name for name in names if scope[name] is not Scope.CONSTANT])

        return needed_by(Scope.ROW), needed_by(Scope.WHOLE)

    def _execute_in_parts(self, graph: Any, source: Any) -> None:
        output = Path(self.state_configs["output_dir"])
        head_rows = 1 if self.matched else max(1, int(source.config.get("header_rows", 1)))
        file = Path(source.file)

        def make(part: Path, folder: Path) -> None:
            source.file = str(part)
            for node in graph.get_node_data().values():
                if node.type == "destination":
                    node.file = str(folder / Path(node.file).name)
            super(FastEarthmover, self).execute(graph)

        def report(rows: int) -> None:
            sys.stdout.write(f"{PROGRESS}{max(0, rows - head_rows)}\n")
            sys.stdout.flush()

        output.mkdir(parents=True, exist_ok=True)
        report(0)
        rows = split(file, head_rows, self.part_bytes)
        try:
            process(rows, file.name, make, output, self.cores or Cores(os.cpu_count() or 1), report)
        except PartFailed as failed:
            if failed.exit_code < 0:  # say so to who waits for this process
                os.kill(os.getpid(), -failed.exit_code)
            sys.exit(failed.exit_code)


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


def compute_nodes_once() -> None:
    """Have nodes keep what they computed, if their earthmover says so."""
    post_execute = Node.post_execute

    def post_execute_and_keep(node: Node, **kwargs: Any) -> None:
        if node.type != "destination" and node.earthmover.keeps_nodes:
            node.data = node.data.persist()
        post_execute(node, **kwargs)

    Node.post_execute = post_execute_and_keep


class NodeDump(Earthmover):
    """Earthmover that writes the rows of one node instead of its destinations."""

    keeps_nodes = False
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
            counts[f"$destinations.{file.stem}"] = sum(not line.isspace() for line in lines)
    return counts


def _run_earthmover(kind: type[Earthmover], arguments: list[str]) -> Any:
    """Run earthmover's own entry point with ``kind`` in place of its Earthmover."""
    use_identity_tokens()
    compute_columns_by_partition()
    leave_out_descriptions()
    compute_nodes_once()
    render_by_partition()
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


def run(results_file: Path, arguments: list[str]) -> None:
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
    run_parser.add_argument("--part-bytes", type=int, default=PART_BYTES)
    dump_parser = commands.add_parser("dump")
    dump_parser.add_argument("node")
    dump_parser.add_argument("target", type=Path)
    options = parser.parse_args(own)
    if options.command == "run":
        FastEarthmover.matched, FastEarthmover.part_bytes = options.matched, options.part_bytes
        run(options.results, arguments)
    else:
        dump(options.node, options.target, arguments)


if __name__ == "__main__":
    main()
