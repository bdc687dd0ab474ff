"""gzip for a roster stream, for executors on a slow link who ask for it: see docs/edu.md."""

import zlib
from collections.abc import Iterator
from typing import Protocol

LEVEL = 1
"""The fastest: the higher ones cost several times the work for a few percent."""
_GZIP = 31  # zlib's window bits for a gzip header and trailer


class ByteStream(Protocol):
    """Bytes that come in pieces from something that has to be closed."""

    def __next__(self) -> bytes: ...

    def close(self) -> None: ...


def prefers_gzip(accept_encoding: str) -> bool:
    """Whether a client would rather have gzip than the plain bytes (RFC 9110, section 12.5.3).

    That it can read gzip is not enough: HTTP libraries say so of themselves, and on a fast link
    compressing only slows a roster down. Such a client weighs ``identity`` lower, by name:
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

    A stream that breaks therefore stays without checksum and length, besides the cut that chunked
    HTTP shows. ``close()`` closes the stream, also before the first ``next()``, which a generator
    would not do.
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
