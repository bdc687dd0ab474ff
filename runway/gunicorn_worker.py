"""gunicorn's threads, with a limit for how long a client may take to send what it has to say.

gunicorn lets a client that sends half a header, or a byte of a body now and then, keep its thread
for as long as it likes. Here a request has HEAD_SECONDS, and more for what it has sent: a body may
take as long as it wants to at BYTES_PER_SECOND or faster. A server that buffers requests belongs in
front all the same (README): with it, such clients never get a thread at all.
"""

import errno
import select
import time
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers import gthread

HEAD_SECONDS = 10.0
BYTES_PER_SECOND = 16 * 1024
LONGEST_PAUSE = 60.0
"""Seconds between two pieces of a body, however fast the others came."""


class BoundedUnreader(SocketUnreader):
    """Reads a request from its socket. Raises ConnectionResetError when the client is too slow."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.begin()

    def begin(self) -> None:
        """Another request begins."""
        self._begun, self._received = time.monotonic(), 0

    def chunk(self, size_hint: int | None = None) -> bytes:
        allowed = self._begun + HEAD_SECONDS + self._received / BYTES_PER_SECOND
        seconds = min(allowed - time.monotonic(), LONGEST_PAUSE)
        # poll, and not the socket's own time limit, which would count for the answer too.
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        if not poll.poll(max(0.0, seconds) * 1000):
            raise ConnectionResetError(errno.ECONNRESET, "the client sends its request too slowly")
        data: bytes = super().chunk(size_hint)
        self._received += len(data)
        return data


class _Connection(gthread.TConn):
    def init(self) -> None:
        fresh = not self.initialized
        super().init()
        if fresh:
            self.parser.unreader = BoundedUnreader(self.sock)
        else:
            self.parser.unreader.begin()


# The one place where gunicorn makes its connections.
gthread.TConn = _Connection


class Worker(gthread.ThreadWorker):
    """What gunicorn.conf.py names as worker_class."""
