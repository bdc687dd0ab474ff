"""The roster over real sockets: complete, cut, refused and abandoned, as a client sees it."""

import gzip
import http.client
import os
import shutil
import signal
import subprocess
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from runway.sandbox.chunked_snowflake import ChunkedSnowflake
from tests.earthbeam.api.web import serving, tables, text_of

pytestmark = pytest.mark.slow

STREAMS_MAX, THREADS = 2, 4


@pytest.fixture
def snowflake():
    """An EDU whose roster is far larger than what sockets hold on the way."""
    with ChunkedSnowflake(tables(20, 10_000)) as server:
        yield server


@pytest.fixture
def web(transactional_db, snowflake, tmp_path):
    with serving(
        "tests.earthbeam.api.roster_server",
        tmp_path,
        snowflake.port,
        threads=THREADS,
        streams_max=STREAMS_MAX,
    ) as server:
        yield server


def test_the_roster_over_real_sockets(web, snowflake):
    """One server for all, since starting it is what takes long."""
    whole_stream_equals_the_reference(web, snowflake)
    gzipped_stream_equals_it_too_and_is_cut_as_well(web, snowflake)
    early_failure_is_clean_json(web, snowflake)
    failure_after_the_first_byte_is_an_incomplete_read(web, snowflake)
    curl_notices_the_cut(web, snowflake)
    client_that_goes_frees_its_connection(web, snowflake)
    client_that_stops_reading_is_given_up(web, snowflake)
    streams_above_the_cap_are_sent_away_while_others_are_answered(web, snowflake)
    http_1_0_is_refused(web)
    # One traceback, gunicorn's own: a client that stops reading is an error of its socket.
    assert web.log.count("Traceback") == web.log.count("BlockingIOError") == 1
    web.process.send_signal(signal.SIGTERM)
    assert web.process.wait(30) == 0
    assert snowflake.sessions == set(), "the worker left sessions behind"


def whole_stream_equals_the_reference(web, snowflake):
    answer = web.open()
    assert (answer.status, answer.headers["Transfer-Encoding"]) == (200, "chunked")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.read() == text_of(snowflake.tables)
    web.wait_for_log("EDU roster complete: .* 200000 rows")


def gzipped_stream_equals_it_too_and_is_cut_as_well(web, snowflake):
    prefers = {"Accept-Encoding": "gzip, identity;q=0.5"}
    answer = web.open(**prefers)
    assert (answer.headers["Content-Encoding"], answer.headers["Transfer-Encoding"]) == (
        "gzip",
        "chunked",
    )
    assert gzip.decompress(answer.read()) == text_of(snowflake.tables)

    snowflake.total = 200_001
    with pytest.raises(http.client.IncompleteRead) as cut:
        web.open(**prefers).read()
    snowflake.total = None
    unpacking = zlib.decompressobj(wbits=31)
    assert text_of(snowflake.tables).startswith(unpacking.decompress(cut.value.partial))
    assert not unpacking.eof, "a trailer though the roster was not whole"


def early_failure_is_clean_json(web, snowflake):
    snowflake.on_query = lambda request: request.refuse("002003", "no such table") or True
    answer = web.open()
    assert answer.status == 500
    assert answer.headers["Content-Type"] == "application/json"
    assert b'"edu_query_failed"' in answer.read()
    snowflake.on_query = None


def failure_after_the_first_byte_is_an_incomplete_read(web, snowflake):
    snowflake.total = 200_001
    answer = web.open()
    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    snowflake.total = None
    web.wait_for_log("WARNING edu.roster EDU roster edu_roster_incomplete: .* 200000 rows")


def curl_notices_the_cut(web, snowflake):
    if shutil.which("curl") is None:
        return
    snowflake.total = 200_001
    [(name, value)] = web.headers.items()
    done = subprocess.run(
        (
            *("curl", "--silent", "--output", os.devnull, "--header", f"{name}: {value}"),
            *("--unix-socket", str(web.socket_path), f"http://localhost{web.path}"),
        ),
        timeout=60,
        check=False,
    )
    assert done.returncode == 18  # "partial file"
    snowflake.total = None


def client_that_goes_frees_its_connection(web, snowflake):
    before = web.log.count("EDU roster abandoned")
    answer = web.open()
    answer.read(1000)
    answer.close()
    web.wait_for_log(r"(?s)(EDU roster abandoned.*)" + f"{{{before + 1}}}")
    gone = time.monotonic() + 60
    while snowflake.sessions:
        assert time.monotonic() < gone, "the connection was not closed"
        time.sleep(0.02)
    assert web.open().read() == text_of(snowflake.tables)


def client_that_stops_reading_is_given_up(web, snowflake):
    before = web.log.count("EDU roster abandoned")
    answer = web.open()
    answer.read(1000)
    web.wait_for_log(r"(?s)(EDU roster abandoned.*)" + f"{{{before + 1}}}", timeout=60)
    with pytest.raises(http.client.IncompleteRead):
        answer.read()


def streams_above_the_cap_are_sent_away_while_others_are_answered(web, snowflake):
    whole = text_of(snowflake.tables)
    streams = [web.open() for _ in range(STREAMS_MAX)]
    assert [stream.status for stream in streams] == [200] * STREAMS_MAX
    refused = web.open()
    assert (refused.status, refused.headers["Retry-After"]) == (503, "15")
    assert b'"roster_streams_exhausted"' in refused.read()
    assert web.open("/healthz").read() == b"ok"
    # At the same time: who waits for the other to end has stopped reading.
    with ThreadPoolExecutor(STREAMS_MAX) as readers:
        assert (
            list(readers.map(lambda stream: stream.read() == whole, streams))
            == [True] * STREAMS_MAX
        )


def http_1_0_is_refused(web):
    with web.connect() as client:
        lines = [f"GET {web.path} HTTP/1.0", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in web.headers.items()]
        client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = client.makefile("rb").read()
    assert b" 505 " in answer.splitlines()[0]
    assert b'"http_version"' in answer
