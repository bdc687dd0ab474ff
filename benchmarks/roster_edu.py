"""The EDU of `make bench-roster`, as a separate process, and a reader without a web server.

python -m benchmarks.roster_edu serve FILE     gzipped chunks of the tables in FILE
python -m benchmarks.roster_edu fetch PORT N   what the connector alone takes, with N threads
"""

import gzip
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from edu.connect import connect
from edu.credentials import EduCredentials, Given, parse
from runway.sandbox.chunked_snowflake import ChunkedSnowflake, _ipc
from runway.sandbox.edu import encode_key, generate_key


def credentials(port: int) -> dict[str, str]:
    """Return credentials for a server of this module, by names of ``settings.EDU_SNOWFLAKE``."""
    names = dict.fromkeys(("username", "account", "database", "schema"), "x")
    local = {"host": "127.0.0.1", "port": str(port), "protocol": "http"}
    return {**names, **local, "private_key": encode_key(generate_key())}


def open_connection(port: int) -> Any:
    found: EduCredentials = parse("bench", Given("benchmark", credentials(port)))
    return connect(found)


def serve(file: Path) -> None:
    """Serve until killed. The port is the first line of standard output."""
    from benchmarks.roster_servers import batches

    os.environ["ROSTER_DATA"] = str(file.parent)
    tables = batches(file.name)
    with ChunkedSnowflake(tables) as server:
        # Created once, so that the server is not what is measured.
        answer = server.answer_query()
        column = answer["rowtype"][0]
        answer["rowtype"] = [{**column, "name": name.upper()} for name in tables[0].column_names]
        query = json.dumps({"data": answer, "success": True}).encode()
        chunks = [gzip.compress(_ipc(table), 1) for table in tables]
        server.on_query = lambda request: request.send(query) or True
        server.on_chunk = lambda request, number: request.send(chunks[number], "gzip") or True
        print(server.port, flush=True)
        while sys.stdin.read(1):
            pass


def fetch(port: int, threads: int) -> None:
    connection = open_connection(port)
    connection.client_fetch_threads = threads
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("select line from roster")
        for _ in cursor.fetch_arrow_batches():
            pass
    print(time.perf_counter() - started)
    connection.close()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]))
    else:
        fetch(int(sys.argv[2]), int(sys.argv[3]))
