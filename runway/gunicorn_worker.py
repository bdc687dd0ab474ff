"""gunicorn's threads, with a limit on how long a client may take to send its request.

gunicorn lets a client that sends half a header, or a byte of a body now and then, keep its thread
without limit. Here a request has HEAD_SECONDS, plus time for what it has sent, so a body of any
size may arrive at BYTES_PER_SECOND or faster. Put a server that buffers requests in front all the
same (docs/deploy.md): then such clients never get a thread at all.
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
"""The most seconds between two pieces of a body, however fast the others came."""


class BoundedUnreader(SocketUnreader):
    """Reads a request from its socket. Raises ConnectionResetError if the client is too slow."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.begin()

    def begin(self) -> None:
        """Restart the limit for the next request."""
        self._begun, self._received = time.monotonic(), 0

    def chunk(self, size_hint: int | None = None) -> bytes:
        allowed = self._begun + HEAD_SECONDS + self._received / BYTES_PER_SECOND
        seconds = min(allowed - time.monotonic(), LONGEST_PAUSE)
        # poll rather than the socket's own timeout, which would apply to the response too.
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


# The one place where gunicorn creates its connections.
gthread.TConn = _Connection


class Worker(gthread.ThreadWorker):
    """The worker_class of gunicorn.conf.py."""
