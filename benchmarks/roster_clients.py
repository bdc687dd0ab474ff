"""Clients for `make bench-roster`: fast and slow readers of rosters, and executors that report."""

import http.client
import json
import random
import socket
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

LAST_CHUNK = b"0\r\n\r\n"


class Cut(Exception):
    """A roster ended without its last chunk, or was refused."""


def read(port: int, path: str, headers: Mapping[str, str]) -> tuple[float, int]:
    """Read a roster at full speed. Returns seconds, and bytes including the chunks' own lines."""
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as client:
        _ask(client, path, headers)
        size, end = 0, b""
        buffer = bytearray(1 << 20)
        while not end.endswith(LAST_CHUNK):
            got = client.recv_into(buffer)
            if not got:
                raise Cut(end[-300:])
            if not size and not buffer.startswith(b"HTTP/1.1 200"):
                raise Cut(bytes(buffer[:300]))
            size += got
            end = (end + buffer[max(0, got - 300) : got])[-300:]
    return time.perf_counter() - started, size


def give_up(port: int, path: str, headers: Mapping[str, str]) -> None:
    """Request a roster, read a little of it, and disconnect."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        _ask(client, path, headers)
        client.recv(10_000)


def _ask(client: socket.socket, path: str, headers: Mapping[str, str]) -> None:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())


class SlowReaders:
    """Clients that read at ``rate`` bytes per second until ``finish``."""

    def __init__(
        self, number: int, port: int, path: str, headers: Mapping[str, str], rate: int = 200_000
    ) -> None:
        self.completed = 0
        self._hurry = threading.Event()
        self._rate = rate
        self._lock = threading.Lock()
        self._served = threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._read, args=(port, path, headers)) for _ in range(number)
        ]
        for thread in self._threads:
            thread.start()

    def wait_until_served(self, seconds: float = 60.0) -> None:
        """Wait until each of them gets its roster."""
        for _ in self._threads:
            self._served.acquire(timeout=seconds)

    def finish(self) -> int:
        """Let them read the rest at full speed, and return how many rosters were complete."""
        self._hurry.set()
        for thread in self._threads:
            thread.join()
        return self.completed

    def _read(self, port: int, path: str, headers: Mapping[str, str]) -> None:
        with socket.socket() as client, suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
            client.connect(("127.0.0.1", port))
            _ask(client, path, headers)
            end, first = b"", True
            while piece := client.recv(1 << 20 if self._hurry.is_set() else self._rate // 10):
                if first:
                    self._served.release()
                    first = False
                end = (end + piece)[-len(LAST_CHUNK) :]
                if end == LAST_CHUNK:
                    break
                self._hurry.wait(0.1)
            with self._lock:
                self.completed += end == LAST_CHUNK


def report(
    port: int, paths: Sequence[str], headers: Sequence[Mapping[str, str]], seconds: float
) -> list[float]:
    """Post a status about twice a second per executor thread, and return each call's seconds."""
    times: list[float] = []
    until = time.monotonic() + seconds

    def post(path: str, header: Mapping[str, str]) -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = json.dumps({"action": "earthmover_run", "status": "begin"})
        mine = []
        while time.monotonic() < until:
            started = time.perf_counter()
            client.request("POST", path, body, {**header, "Content-Type": "application/json"})
            answer = client.getresponse()
            answer.read()
            mine.append(time.perf_counter() - started)
            if answer.status != 201:
                raise Cut(answer.status)
            time.sleep(random.uniform(0.2, 0.8))
        times.extend(mine)

    threads = [
        threading.Thread(target=post, args=pair) for pair in zip(paths, headers, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def p99(times: Sequence[float]) -> float:
    """Return the 99th percentile, in milliseconds."""
    return round(statistics.quantiles(times, n=100)[98] * 1000, 2)
