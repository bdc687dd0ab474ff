"""gzip for a roster stream, on request of executors on a slow link: see docs/edu.md."""

import zlib
from collections.abc import Iterator
from typing import Protocol

LEVEL = 1
"""The fastest. Higher levels cost several times the work for a few percent."""
_GZIP = 31  # zlib's window bits for a gzip header and trailer


class ByteStream(Protocol):
    """Bytes in pieces, from a source that has to be closed."""

    def __next__(self) -> bytes: ...

    def close(self) -> None: ...


def prefers_gzip(accept_encoding: str) -> bool:
    """Whether a client prefers gzip to plain bytes (RFC 9110, section 12.5.3).

    Accepting gzip is not enough: HTTP libraries do so by default, and on a fast link compression
    only slows a roster down. A client that prefers gzip weights ``identity`` lower, by name:
    ``gzip, identity;q=0.5``.
    """
    weights: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        name, _, parameter = part.partition(";")
        try:
            weights[name.strip()] = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            return False
    return "identity" in weights and weights.get("gzip", 0.0) > weights["identity"]


class Gzipped:
    """A stream's bytes as one gzip member, whose trailer is sent only after the stream's end.

    A stream that breaks thus has no checksum or length, in addition to the cut that chunked HTTP
    shows. ``close()`` closes the stream even before the first ``next()``; closing a generator would
    not.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._compressor = zlib.compressobj(LEVEL, wbits=_GZIP)
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while not self._ended:
            try:
                piece = self._compressor.compress(next(self._stream))
            except StopIteration:
                self._ended = True
                return self._compressor.flush()
            if piece:
                return piece
        raise StopIteration

    def close(self) -> None:
        """See RosterStream.close."""
        self._stream.close()
