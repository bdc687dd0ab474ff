"""Child process: earthmover's own `run`, without the work that it repeats.

    python -I fast_earthmover.py RESULTS_JSON -c earthmover.yaml run …

The outputs are stock earthmover's. Three things differ, each measured (docs/executor.md):

- dask names every task by hashing what it closes over, which for templates and earthmover's own
  objects falls back to pickling half of the loaded modules. Here those objects get a token that is
  unique to the object, by dask's extension point ``normalize_token``.
- Each destination recomputes all nodes above it. Here every node is computed once and kept, as long
  as the input is small enough to be held in memory.
- With `--results-file` stock earthmover recomputes the whole graph for each node, to count its
  rows. Here each destination's records are counted from its file, into a file of that shape.
"""

import itertools
import json
import sys
import types
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dask
import earthmover.__main__ as earthmover_main
import jinja2
from dask.base import normalize_token
from earthmover.earthmover import Earthmover
from earthmover.error_handler import ErrorHandler
from earthmover.nodes.node import Node
from earthmover.operations.operation import Operation

STUDENT_ID_COLUMN = "edFi_studentUniqueID"

KEEP_NODES_BELOW_BYTES = 64 * 1024 * 1024
"""Inputs up to this size are held in memory, every node of the graph; above it nodes stay lazy."""

_serial = itertools.count()
# Not id(): it is given anew after an object is gone, and would merge different tasks.
_tokens: "weakref.WeakKeyDictionary[Any, str]" = weakref.WeakKeyDictionary()


def _identity_token(value: Any) -> str:
    token = _tokens.get(value)
    if token is None:
        token = _tokens[value] = f"{type(value).__name__}-{next(_serial)}"
    return token


def use_identity_tokens() -> None:
    for kind in (jinja2.Template, types.FunctionType, Node, Operation, ErrorHandler):
        normalize_token.register(kind, _identity_token)


class FastEarthmover(Earthmover):
    """Earthmover that computes each node once, and lets the added student id column through."""

    def inject_cli_overrides(self, configs: Any, prefix: str | None = None) -> Any:
        configs = super().inject_cli_overrides(configs, prefix)
        if prefix is None:
            # A source that lists its columns would drop the one that matching has added.
            columns = configs["sources"].get("input", {}).get("columns")
            if columns and STUDENT_ID_COLUMN not in columns:
                columns.append(STUDENT_ID_COLUMN)
        return configs

    def execute(self, graph: Any) -> None:
        size = Path(self.user_configs["sources"]["input"]["file"]).stat().st_size
        if size <= KEEP_NODES_BELOW_BYTES:
            _compute_nodes_once()
        super().execute(graph)


def _compute_nodes_once() -> None:
    post_execute = Node.post_execute

    def post_execute_and_keep(node: Node, **kwargs: Any) -> None:
        if node.type != "destination":
            node.data = node.data.persist()
        post_execute(node, **kwargs)

    Node.post_execute = post_execute_and_keep


def count_records(output: Path) -> dict[str, int]:
    """Records of each destination, keyed as earthmover's results file does."""
    counts = {}
    for file in sorted(output.glob("*.jsonl")):
        with file.open("rb") as lines:
            counts[f"$destinations.{file.stem}"] = sum(1 for line in lines if line.strip())
    return counts


def main(results_file: Path, arguments: list[str]) -> None:
    use_identity_tokens()
    # The work is Python's: threads would only take turns.
    dask.config.set(scheduler="synchronous")
    started = datetime.now(UTC)
    made: list[FastEarthmover] = []

    def make(*args: Any, **kwargs: Any) -> FastEarthmover:
        made.append(FastEarthmover(*args, **kwargs))
        return made[0]

    earthmover_main.Earthmover = make
    sys.argv = ["earthmover", *arguments]
    earthmover_main.main()
    completed = datetime.now(UTC)
    results = made[0].metadata | {
        "started_at": started.isoformat(timespec="microseconds"),
        "completed_at": completed.isoformat(timespec="microseconds"),
        "runtime_sec": (completed - started).total_seconds(),
        "row_counts": count_records(Path(made[0].state_configs["output_dir"])),
    }
    results_file.write_text(json.dumps(results, indent=4))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2:])
