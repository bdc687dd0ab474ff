"""A Snowflake that answers any query with given Arrow tables in chunks, and fails on demand.

fakesnow answers in one piece and never fails. Snowflake sends the first batch inline and the others
as gzipped files behind URLs. The roster stream must notice if one is lost or broken. Implements
only what the connector requests: login, query, chunks, and renewal and end of a session.
"""

import base64
import gzip
import json
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow


def lines_table(lines: Sequence[str | None]) -> pyarrow.Table:
    """Return a table with the one text column that Runway's query selects."""
    metadata = {"logicalType": "TEXT", "precision": "38", "scale": "0", "charLength": "16777216"}
    field = pyarrow.field("LINE", pyarrow.string(), metadata=metadata)
    return pyarrow.table([pyarrow.array(lines, pyarrow.string())], pyarrow.schema([field]))


def _ipc(table: pyarrow.Table) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # with the usual 5, a burst's connections may wait for seconds


class ChunkedSnowflake:
    """The server, as a context manager. Its attributes may be changed while it runs."""

    def __init__(self, tables: Sequence[pyarrow.Table] = ()) -> None:
        self.tables = list(tables)
        self.total: int | None = None
        """Rows to announce, if different from the tables'."""
        self.on_login: Callable[[Any], bool] | None = None
        self.on_heartbeat: Callable[[Any], bool] | None = None
        self.on_query: Callable[[Any], bool] | None = None
        self.on_chunk: Callable[[Any, int], bool] | None = None
        """Faults. Each gets the request handler, and returns True if it has responded itself."""
        self.logins = self.queries = 0
        self.statements: list[str] = []
        self.sessions: set[str] = set()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def answer_query(self) -> dict[str, Any]:
        """Return the answer to a query: the first table inline, the others by URL."""
        tables = self.tables or [lines_table([])]
        bodies = [_ipc(table) for table in tables]
        total = sum(table.num_rows for table in tables)
        chunks = [
            {
                "url": f"http://127.0.0.1:{self.port}/chunk/{number}",
                "rowCount": table.num_rows,
                "uncompressedSize": len(bodies[number]),
                "compressedSize": len(bodies[number]),
            }
            for number, table in enumerate(tables)
            if number
        ]
        column = {"name": "LINE", "type": "text", "nullable": True, "length": 16777216}
        column |= {"precision": None, "scale": None, "byteLength": 16777216}
        return {
            "parameters": [{"name": "TIMEZONE", "value": "Etc/UTC"}],
            "rowtype": [column],
            "rowsetBase64": base64.b64encode(bodies[0]).decode() if tables[0].num_rows else "",
            "total": total if self.total is None else self.total,
            "queryId": str(uuid.uuid4()),
            "queryResultFormat": "arrow",
            "statementTypeId": 4096,
            **({"chunks": chunks, "chunkHeaders": {}} if chunks else {}),
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        snowflake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.split("?")[0]
                token = (self.headers.get("Authorization") or "")[17:-1]
                if path == "/session/v1/login-request":
                    snowflake.logins += 1
                    if snowflake.on_login is None or not snowflake.on_login(self):
                        token = uuid.uuid4().hex
                        snowflake.sessions.add(token)
                        self.succeed({"token": token, "masterToken": token, "parameters": []})
                elif path == "/session":
                    snowflake.sessions.discard(token)
                    self.succeed(None)
                elif path == "/session/heartbeat":
                    if snowflake.on_heartbeat is not None and snowflake.on_heartbeat(self):
                        return
                    if token in snowflake.sessions:
                        self.succeed(None)
                    else:
                        self.refuse("390112", "Your session has expired.")
                elif path == "/queries/v1/query-request":
                    snowflake.queries += 1
                    asked = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
                    snowflake.statements.append(json.loads(asked)["sqlText"])
                    if token not in snowflake.sessions:
                        self.refuse("390112", "Your session has expired.")
                    elif snowflake.on_query is None or not snowflake.on_query(self):
                        self.succeed(snowflake.answer_query())
                elif path == "/session/token-request":
                    self.refuse("390114", "The authentication token has expired.")
                else:
                    self.succeed(None)

            def do_GET(self) -> None:
                number = int(self.path.rsplit("/", 1)[1])
                if number >= len(snowflake.tables):
                    self.send_error(404)
                elif snowflake.on_chunk is None or not snowflake.on_chunk(self, number):
                    self.send(gzip.compress(_ipc(snowflake.tables[number]), 1), "gzip")

            def succeed(self, data: Any) -> None:
                self.send(json.dumps({"data": data, "success": True}).encode())

            def refuse(self, code: str, message: str) -> None:
                refusal = {"data": {}, "code": code, "message": message, "success": False}
                self.send(json.dumps(refusal).encode())

            def send(self, body: bytes, encoding: str | None = None) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if encoding:
                    self.send_header("Content-Encoding", encoding)
                self.end_headers()
                self.wfile.write(body)

            def reset(self) -> bool:
                """Drop the connection without a response."""
                self.close_connection = True
                self.connection.close()
                return True

            def stall(self, seconds: float) -> bool:
                """Delay the usual response."""
                time.sleep(seconds)
                return False

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def __enter__(self) -> "ChunkedSnowflake":
        threading.Thread(
            target=self._server.serve_forever,
            args=(0.02,),
            name="chunked-snowflake",
            daemon=True,
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
