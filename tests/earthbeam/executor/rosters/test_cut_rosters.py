"""A roster stream that is cut, at every position there is: it never looks whole."""

import gzip
import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from earthbeam.executor.reporting.app_client import AppClient, BrokenRoster

LINES = [b'{"studentReference":{"studentUniqueId":"%d"}}\n' % number for number in (604822, 7, 99)]
WHOLE = b"".join(LINES)


def chunked(pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def answer(*headers):
    lines = [b"HTTP/1.1 200 OK", b"Content-Type: application/x-ndjson", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


CHUNKED = answer(b"Transfer-Encoding: chunked")
ENCODED = b"Content-Encoding: gzip"
GZIPPED = answer(b"Transfer-Encoding: chunked", ENCODED)
PACKED = gzip.compress(WHOLE)
ANSWERS = {
    "a chunk a line": CHUNKED + chunked(LINES),
    "chunks inside lines": CHUNKED + chunked([WHOLE[:7], WHOLE[7:30], WHOLE[30:]]),
    "one chunk": CHUNKED + chunked([WHOLE]),
    "gzipped": GZIPPED + chunked([PACKED[:9], PACKED[9:40], PACKED[40:]]),
    "gzipped, with its length": answer(b"Content-Length: %d" % len(PACKED), ENCODED) + PACKED,
    "with its length": answer(b"Content-Length: %d" % len(WHOLE)) + WHOLE,
}


@contextmanager
def serving(content, requests=None):
    """A server that answers each request with the next of ``content``, and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with suppress(OSError):
            for piece in content:
                connection, _ = listener.accept()
                with connection:
                    request = connection.recv(65536)
                    if requests is not None:
                        requests.append(request)
                    connection.sendall(piece)

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/roster"


@pytest.mark.filterwarnings("ignore")  # urllib3's, of headers that were cut
@pytest.mark.parametrize("kind", ANSWERS)
def test_a_roster_cut_anywhere_is_broken(tmp_path, kind):
    whole = ANSWERS[kind]
    # The last blank line of a chunked body may be missing: its end was marked before.
    enough = len(whole) - 4 if b"chunked" in whole else len(whole)
    target = tmp_path / "roster.jsonl"
    with serving([whole[:end] for end in range(len(whole) + 1)]) as url:
        for end in range(len(whole) + 1):
            with suppress(BrokenRoster):
                AppClient().download_roster(url, target)
                assert end >= enough, f"cut after {end} bytes of {len(whole)}: looks whole"
                assert target.read_bytes() == WHOLE
                target.unlink()
                continue
            assert end < len(whole)
            assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ((CHUNKED + chunked(LINES)).removesuffix(b"0\r\n\r\n"), "broke off"),
        (answer(b"Connection: close") + WHOLE, "end is not marked"),
        (answer(b"Content-Length: many") + WHOLE, "end is not marked"),
        (CHUNKED + chunked([WHOLE[:-1]]), "middle of a line"),
        # A proxy that ends what was cut as if it were whole.
        (GZIPPED + chunked([PACKED[:-1]]), "gzip stream is broken: it has no end"),
        (GZIPPED + chunked([PACKED[:-30]]), "gzip stream is broken: it has no end"),
        (GZIPPED + chunked([b""]), "gzip stream is broken: it has no end"),
        (GZIPPED + chunked([PACKED, PACKED]), "gzip stream is broken: something follows"),
        (GZIPPED + chunked([WHOLE]), "gzip stream is broken: it is damaged"),
        (CHUNKED[:-2] + b"Content-Encoding: br\r\n\r\n" + chunked([WHOLE]), "not asked for: br"),
    ],
    ids=[
        *("no last chunk", "no length", "no number for a length", "no last line end"),
        *("no gzip trailer", "gzip cut", "gzip empty", "two gzips", "no gzip", "not asked for"),
    ],
)
def test_a_roster_without_its_end_is_broken(tmp_path, content, reason):
    with serving([content]) as url, pytest.raises(BrokenRoster, match=reason):
        AppClient().download_roster(url, tmp_path / "roster.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asks", "accepts"), [(False, b"identity"), (True, b"gzip, identity;q=0.5")]
)
def test_it_asks_for_gzip_only_when_told_to(tmp_path, asks, accepts):
    requests: list[bytes] = []
    with serving([CHUNKED + chunked(LINES)], requests) as url:
        AppClient(roster_gzip=asks).download_roster(url, tmp_path / "roster.jsonl")
    assert b"\r\nAccept-Encoding: %s\r\n" % accepts in requests[0]
    assert (tmp_path / "roster.jsonl").read_bytes() == WHOLE
