"""Reading a gzip stream that may have been cut, in memory of a fixed size."""

import zlib
from collections.abc import Iterable, Iterator

_GZIP = 31  # zlib's window bits for a gzip header and trailer


class BrokenGzip(Exception):
    """The bytes are no gzip stream, or end elsewhere than it does: nothing read of them counts."""


def inflate(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The bytes that one gzip member holds, at most ``size`` at a time.

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
