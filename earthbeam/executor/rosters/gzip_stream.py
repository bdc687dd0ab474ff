"""Decompress a gzip stream that may have been cut off, in constant memory."""

import zlib
from collections.abc import Iterable, Iterator

_GZIP = 31  # zlib's window bits for a gzip header and trailer


class BrokenGzip(Exception):
    """The bytes are not one complete gzip stream. Nothing read from them is valid."""


def inflate(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the bytes of one gzip member, at most ``size`` at a time.

    Raises BrokenGzip, at the latest at the end, unless the pieces hold all of it, its checksum and
    length are right, and nothing follows.
    """
    inflater = zlib.decompressobj(wbits=_GZIP)
    for piece in pieces:
        rest = piece
        while rest:
            if inflater.eof:
                raise BrokenGzip("something follows its end")
            try:
                yield inflater.decompress(rest, size)
            except zlib.error as error:
                raise BrokenGzip("it is damaged") from error
            rest = inflater.unconsumed_tail or inflater.unused_data
    if not inflater.eof:
        raise BrokenGzip("it has no end")
