"""The WSGI applications that gunicorn serves in `make bench-roster`. All send the same roster.

ROSTER_DATA is the folder with the rows: columns.arrow, lines.arrow, lines.jsonl.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
SLICE = 512 * 1024


def batches(name: str) -> list[Any]:
    """Return the tables of one of the files, mapped from the page cache."""
    reader = pyarrow.ipc.open_file(pyarrow.memory_map(str(Path(os.environ["ROSTER_DATA"]) / name)))
    return [
        pyarrow.Table.from_batches([reader.get_batch(at)])
        for at in range(reader.num_record_batches)
    ]


def row_by_row() -> Application:
    """Send one row at a time: parse its columns of JSON, then build, encode, and send a line."""
    tables = batches("columns.arrow")
    rows = [row for table in tables for row in zip(*lists(table), strict=True)]
    return _sending(lambda: _lines_of(rows, tables[0].column_names))


def floor() -> Application:
    """Send the complete bytes from memory."""
    whole = (Path(os.environ["ROSTER_DATA"]) / "lines.jsonl").read_bytes()
    return _sending(lambda: (whole[at : at + SLICE] for at in range(0, len(whole), SLICE)))


def ours() -> Application:
    """Runway, with an EDU whose rows are already in memory."""
    from edu import connections
    from edu.pools import Pools
    from runway.wsgi import application

    tables = batches("lines.arrow")
    nothing: Any = object()
    connections._pools = Pools(lambda partner_id: nothing, lambda credentials: _Memory(tables))
    return application


def ours_by_64k() -> Application:
    return _ours_by(64 * 1024)


def ours_by_4m() -> Application:
    return _ours_by(4 * 1024 * 1024)


def _ours_by(size: int) -> Application:
    from edu import lines, roster

    roster.slices = partial(lines.slices, size=size)  # type: ignore[attr-defined]
    return ours()


def row_by_row_by_connector() -> Application:
    """Like ``row_by_row``, from a cursor of the real connector."""
    from benchmarks.roster_edu import open_connection
    from benchmarks.roster_rows import KEYS

    connection = open_connection(int(os.environ["ROSTER_EDU_PORT"]))

    def lines() -> Iterator[bytes]:
        with connection.cursor() as cursor:
            cursor.execute("select * from roster")
            yield from _lines_of(cursor, KEYS)

    return _sending(lines)


def lists(table: Any) -> list[list[str]]:
    return [column.to_pylist() for column in table.columns]


def _lines_of(rows: Iterable[Any], keys: Sequence[str]) -> Iterator[bytes]:
    for row in rows:
        line = {key: json.loads(value) for key, value in zip(keys, row, strict=True)}
        yield json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _sending(body: Callable[[], Iterable[bytes]]) -> Application:
    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "application/x-ndjson")])
        return [b"ok"] if environ["PATH_INFO"] == "/healthz" else body()

    return application


class _Memory:
    """A connection and its cursor, as far as a roster needs them."""

    server_url = token = ""

    def __init__(self, tables: list[Any]) -> None:
        self.rest = self
        self._tables = tables
        self.rowcount = sum(table.num_rows for table in tables)

    def cursor(self) -> "_Memory":
        return self

    def execute(self, *_: Any) -> None: ...

    def fetch(self, *_: Any, **__: Any) -> dict[str, bool]:
        return {"success": True}

    def fetch_arrow_batches(self) -> Iterator[Any]:
        yield from self._tables

    def close(self) -> None: ...
