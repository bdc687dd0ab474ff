"""gzip for whoever prefers it: whole or without its end, and closed like the stream itself."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.api.compression import Gzipped, prefers_gzip
from earthbeam.executor.rosters.gzip_stream import BrokenGzip, inflate
from edu.errors import StreamCut


class Stream:
    """A roster's stream, as far as compression knows it; breaks off after its pieces if told to."""

    def __init__(self, pieces, *, breaks=False):
        self._pieces = iter(pieces)
        self._breaks = breaks
        self.closed = 0

    def __next__(self):
        piece = next(self._pieces, None)
        if piece is None and self._breaks:
            raise StreamCut
        if piece is None:
            raise StopIteration
        return piece

    def close(self):
        self.closed += 1


@pytest.mark.parametrize(
    "header", ["gzip, identity;q=0.5", "identity;q=0, GZIP", "gzip;q=0.2,identity;q=0.1"]
)
def test_a_client_that_weighs_the_plain_bytes_lower_prefers_gzip(header):
    assert prefers_gzip(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "identity",
        "gzip",  # Go's net/http
        "gzip, deflate",  # requests
        "gzip, deflate, br, zstd",
        "*",
        "*;q=0",
        "br, identity;q=0.5",
        "gzip;q=0.5, identity",
        "gzip;q=0, identity;q=0",
        "gzip, identity;q=nonsense",
    ],
)
def test_being_able_to_read_gzip_is_no_wish_for_it(header):
    assert not prefers_gzip(header)


pieces = st.lists(st.binary(min_size=1, max_size=400) | st.just(b"x" * 5000), max_size=5)


@given(pieces=pieces, cut=st.integers(1, 50), size=st.integers(1, 64))
def test_what_is_packed_is_unpacked_however_it_is_cut_into_pieces(pieces, cut, size):
    sent = b"".join(Gzipped(Stream(pieces)))
    assert gzip.decompress(sent) == b"".join(pieces)
    arrived = [sent[at : at + cut] for at in range(0, len(sent), cut)]
    unpacked = list(inflate(arrived, size))
    assert b"".join(unpacked) == b"".join(pieces)
    assert all(len(piece) <= size for piece in unpacked)


@given(pieces=pieces, data=st.data())
def test_what_is_cut_damaged_or_followed_by_something_never_looks_whole(pieces, data):
    sent = b"".join(Gzipped(Stream(pieces)))
    cut = sent[: data.draw(st.integers(0, len(sent) - 1))]
    for broken in (cut, sent + b"x", sent + sent, sent[:-1] + bytes([sent[-1] ^ 1])):
        with pytest.raises(BrokenGzip):
            list(inflate([broken], 1000))


def test_a_stream_that_breaks_off_gets_no_trailer():
    packed = Gzipped(Stream([b"line\n" * 50_000] * 3, breaks=True))
    sent: list[bytes] = []
    with pytest.raises(StreamCut):
        sent.extend(packed)
    with pytest.raises(BrokenGzip, match="no end"):
        list(inflate(sent, 1 << 20))


def test_nothing_is_sent_after_the_end():
    packed = Gzipped(Stream([b"a"]))
    assert zlib.decompress(b"".join(packed), 31) == b"a"
    assert list(packed) == []


def test_closing_closes_the_stream_even_before_the_first_byte():
    stream = Stream([b"a"])
    Gzipped(stream).close()
    assert stream.closed == 1
