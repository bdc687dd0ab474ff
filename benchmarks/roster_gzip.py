"""What gzip saves and costs on links of several speeds, for `make bench-roster`.

A link is a reader with a limit on bytes per second, which decompresses as executors do.
"""

import http.client
import socket
import statistics
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow

from benchmarks.roster_rows import DATA
from benchmarks.roster_web import Web, World
from earthbeam.executor.rosters.gzip_stream import inflate

RATES = {"loopback": 0, "100 MB/s": 100_000_000, "50 MB/s": 50_000_000, "10 MB/s": 10_000_000}
_PIECE = 128 * 1024


def codecs(rows: int) -> dict[str, dict[str, float]]:
    """Measure how fast and how small one core compresses complete lines in stream-sized pieces."""
    whole = (DATA / str(rows) / "lines.jsonl").read_bytes()[: 50 << 20]
    pieces = [whole[at : at + 512 * 1024] for at in range(0, len(whole), 512 * 1024)]
    found = {}
    for name in ("gzip", "zstd"):
        started = time.perf_counter()
        sink = pyarrow.BufferOutputStream()
        if name == "gzip":
            packer = zlib.compressobj(1, wbits=31)
            for piece in pieces:
                sink.write(packer.compress(piece))
            sink.write(packer.flush())
        else:
            with pyarrow.CompressedOutputStream(sink, name) as packed:
                for piece in pieces:
                    packed.write(piece)
        seconds = time.perf_counter() - started
        found[name] = {
            "mb_per_second": round(len(whole) / seconds / 1e6, 1),
            "times_smaller": round(len(whole) / sink.getvalue().size, 2),
        }
    return found


def links(web: Web, world: World, rounds: int) -> dict[str, dict[str, Any]]:
    """Measure the same roster over links of all speeds, plain and gzipped in turn."""
    raw: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(rounds):
        for link, rate in RATES.items():
            for encoding in ("plain", "gzip"):
                wishes = {"Accept-Encoding": "gzip, identity;q=0.5"} if encoding == "gzip" else {}
                cost = _fetch(web, world.roster, {**world.headers[0], **wishes}, rate)
                raw.setdefault((link, encoding), []).append(cost)
    return {
        f"{link} {encoding}": {
            name: round(statistics.median(cost[name] for cost in costs), 3) for name in costs[0]
        }
        for (link, encoding), costs in raw.items()
    }


def _fetch(web: Web, path: str, headers: Mapping[str, str], rate: int) -> dict[str, float]:
    wire = 0

    def paced(response: http.client.HTTPResponse) -> Iterator[bytes]:
        nonlocal wire
        while piece := response.read(_PIECE):
            wire += len(piece)
            early = wire / rate - (time.perf_counter() - started) if rate else 0
            if early > 0:
                time.sleep(early)
            yield piece

    server_cpu, client_cpu, started = web.cpu(), time.thread_time(), time.perf_counter()
    client = http.client.HTTPConnection("127.0.0.1", web.port)
    client.sock = socket.socket()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
    client.sock.connect(("127.0.0.1", web.port))
    client.request("GET", path, headers=dict(headers))
    response = client.getresponse()
    pieces = paced(response)
    if response.headers.get("Content-Encoding") == "gzip":
        pieces = inflate(pieces, 1 << 20)
    size = sum(map(len, pieces))
    seconds = time.perf_counter() - started
    client.close()
    return {
        "seconds": seconds,
        "mb_per_second": size / seconds / 1e6,
        "wire_mb": wire / 1e6,
        "server_cpu_seconds": web.cpu() - server_cpu,
        "client_cpu_seconds": time.thread_time() - client_cpu,
    }
