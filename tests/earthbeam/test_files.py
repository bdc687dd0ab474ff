"""What every file storage does, tried on a directory and on S3 alike; then what each does alone."""

import io
import os
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from moto.s3.models import s3_backends

from earthbeam.files import BadLocation, open_store
from runway import aws

MB = 1024 * 1024


@pytest.fixture(params=["file", "s3"])
def base(request, tmp_path):
    """Where files may lie, without a slash at the end."""
    if request.param == "file":
        return f"file://{tmp_path}/base"
    return f"s3://{request.getfixturevalue('bucket')}/base"


@pytest.fixture
def store(base):
    return open_store(base)


class Broken:
    """A stream of unknown length that breaks after ``size`` bytes."""

    def __init__(self, size):
        self.left = size

    def read(self, size=-1):
        if not self.left:
            raise OSError("cable cut")
        block = bytes(min(size, self.left))
        self.left -= len(block)
        return block


def broken_after(size) -> Any:
    return Broken(size)


def test_what_is_saved_is_listed_and_read_back(store, tmp_path):
    assert store.save(io.BytesIO(b"rows"), "input/INPUT_FILE__a.csv") == 4
    assert store.list("input") == {"input/INPUT_FILE__a.csv": 4}
    assert store.list() == {"input/INPUT_FILE__a.csv": 4}
    store.download("input/INPUT_FILE__a.csv", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"rows"
    with store.open("input/INPUT_FILE__a.csv") as stream:
        assert stream.read() == b"rows"


def test_everything_below_a_location_can_be_removed_at_once(base, store):
    for key in ("input/a.csv", "output/ods/b.jsonl"):
        store.save(io.BytesIO(b"x"), key)
    beside = open_store(f"{base}-2")
    beside.save(io.BytesIO(b"x"), "c")
    assert store.clear() == 2
    assert (store.list(), store.clear()) == ({}, 0)
    assert beside.list() == {"c": 1}


def test_folders_and_files_are_for_their_user_alone(tmp_path):
    open_store(f"file://{tmp_path}/base/ea").save(io.BytesIO(b"x"), "input/a.csv")
    (tmp_path / "old").mkdir(mode=0o755)
    open_store(f"file://{tmp_path}").save(io.BytesIO(b"x"), "old/b.csv")
    made = ["base", "base/ea", "base/ea/input", "base/ea/input/a.csv", "old", "old/b.csv"]
    assert not [name for name in made if (tmp_path / name).stat().st_mode & 0o077]


def test_a_deleted_file_is_gone_and_deleting_it_again_is_no_fault(store):
    store.save(io.BytesIO(b"rows"), "input/a.csv")
    store.save(io.BytesIO(b"rows"), "input/b.csv")
    store.delete("input/a.csv")
    store.delete("input/a.csv")
    assert store.list() == {"input/b.csv": 4}


def test_an_open_file_is_read_by_lines(store):
    store.save(io.BytesIO(b"a\nb\nc"), "roster.jsonl")
    with store.open("roster.jsonl") as stream:
        assert list(stream) == [b"a\n", b"b\n", b"c"]


def test_a_file_is_uploaded_from_disk(store, tmp_path):
    (tmp_path / "results").write_bytes(b"{}")
    store.upload(tmp_path / "results", "output/em-results.json")
    assert store.list("output") == {"output/em-results.json": 2}


def test_an_empty_file_is_a_file(store, tmp_path):
    assert store.save(io.BytesIO(b""), "input/empty") == 0
    assert store.exists("input/empty")
    store.download("input/empty", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b""


def test_a_large_file_arrives_whole(store, tmp_path):
    content = os.urandom(MB) * 37 + b"end"
    assert store.save(io.BytesIO(content), "input/large") == len(content)
    store.download("input/large", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    with store.open("input/large") as stream:
        assert stream.read() == content


def test_a_file_that_is_stored_again_is_replaced(store):
    store.save(io.BytesIO(b"first, and longer"), "output/a.json")
    store.save(io.BytesIO(b"second"), "output/a.json")
    with store.open("output/a.json") as stream:
        assert stream.read() == b"second"


def test_what_is_not_there_is_a_missing_file(store, tmp_path):
    assert store.exists("input/none") is False
    with pytest.raises(FileNotFoundError):
        store.open("input/none")
    with pytest.raises(FileNotFoundError):
        store.download("input/none", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_files_lists_nothing(store):
    assert store.list("output") == {}
    assert store.exists("output") is False


def test_a_folders_list_leaves_out_its_neighbours(store):
    for key in ("output/ods/a.jsonl", "output/ods-2/a.jsonl", "output/ods.jsonl"):
        store.save(io.BytesIO(b"{}"), key)
    assert list(store.list("output/ods")) == ["output/ods/a.jsonl"]


def test_stores_of_neighbouring_locations_do_not_meet(base):
    open_store(f"{base}/1").save(io.BytesIO(b"{}"), "a")
    assert open_store(f"{base}/12").list() == {}
    assert open_store(base).list() == {"1/a": 2}


@pytest.mark.parametrize(
    "name", ["a b.csv", "ñandú €.csv", "100%2F#1?.csv", "a+b&c=d.csv", "'quoted\".csv"]
)
def test_names_are_taken_literally(store, tmp_path, name):
    store.save(io.BytesIO(b"rows"), f"input/{name}")
    assert store.list("input") == {f"input/{name}": 4}
    store.download(f"input/{name}", tmp_path / "copy")
    assert store.exists(f"input/{name}")


@pytest.mark.parametrize("key", ["", "..", "a/../b", "/etc/passwd", "a//b", "./a", "a\0b"])
def test_a_key_cannot_leave_its_location(store, key):
    with pytest.raises(BadLocation):
        store.open(key)


@pytest.mark.parametrize("key", ["output/link", "output/folder/secret", "output/pipe"])
def test_what_a_bundle_put_among_a_runs_results_leads_nowhere(tmp_path, key):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("hunter2")
    output = tmp_path / "base" / "output"
    output.mkdir(parents=True)
    (output / "link").symlink_to(outside / "secret")
    (output / "folder").symlink_to(outside)
    os.mkfifo(output / "pipe")
    store = open_store(f"file://{tmp_path}/base")
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        store.open(key)
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        store.download(key, tmp_path / "copy")
    assert store.exists(key) is False
    assert store.list() == store.list("output/folder") == {}
    with pytest.raises(PermissionError):
        store.save(io.BytesIO(b"rows"), "output/folder/planted")
    with suppress(NotADirectoryError):
        store.delete("output/folder/secret")
    assert [path.name for path in outside.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    "location",
    ["ftp://host/base", "s3://", "s3:///base", "s3://Bucket", "s3://bucket/../b", "s3"],
)
def test_a_location_that_nobody_serves_is_refused(location):
    with pytest.raises(BadLocation):
        open_store(location)


@pytest.mark.parametrize("size", [0, 40 * MB], ids=["at once", "after 40 MB"])
def test_a_broken_upload_leaves_nothing_behind(store, tmp_path, size):
    with pytest.raises(OSError, match="cable cut"):
        store.save(broken_after(size), "input/a.csv")
    assert store.list() == {}
    assert store.exists("input/a.csv") is False
    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []


def test_a_broken_upload_leaves_the_earlier_file(store):
    store.save(io.BytesIO(b"earlier"), "input/a.csv")
    with pytest.raises(OSError, match="cable cut"):
        store.save(broken_after(40 * MB), "input/a.csv")
    with store.open("input/a.csv") as stream:
        assert stream.read() == b"earlier"


def test_a_listing_can_leave_out_what_was_stored_before(store):
    before = datetime.now(UTC)
    store.save(io.BytesIO(b"old"), "output/ods/old.jsonl")
    assert store.list("output", since=datetime.now(UTC) + timedelta(seconds=2)) == {}
    assert store.list("output", since=before - timedelta(seconds=2)) == {"output/ods/old.jsonl": 3}


def test_a_directory_tells_what_was_stored_before_by_the_moment(tmp_path):
    store = open_store(f"file://{tmp_path}")
    for name in ("old", "new"):
        store.save(io.BytesIO(b"{}"), f"output/{name}")
    os.utime(tmp_path / "output/old", (1_000_000, 1_000_000))
    assert list(store.list("output", since=datetime(2026, 1, 1, tzinfo=UTC))) == ["output/new"]


def test_a_base_on_s3_may_be_the_bucket_itself(bucket):
    open_store(f"s3://{bucket}/").save(io.BytesIO(b"{}"), "__rosters/a")
    assert open_store(f"s3://{bucket}").list() == {"__rosters/a": 2}


def test_a_list_on_s3_goes_beyond_its_first_page(bucket):
    behind = s3_backends["123456789012"]["aws"]  # a thousand requests would take seconds
    for number in range(1_003):
        behind.put_object(bucket, f"output/{number}", b"")
    behind.put_object(bucket, "output/folder/", b"")
    assert len(open_store(f"s3://{bucket}").list("output")) == 1_003


def test_a_broken_upload_to_s3_is_aborted(bucket):
    with pytest.raises(OSError, match="cable cut"):
        open_store(f"s3://{bucket}").save(broken_after(40 * MB), "input/a.csv")
    assert "Uploads" not in aws.client("s3").list_multipart_uploads(Bucket=bucket)


def test_a_bucket_that_does_not_exist_is_a_fault_not_a_missing_file(aws_environment, tmp_path):
    store = open_store("s3://no-such-bucket")
    with pytest.raises(OSError, match="NoSuchBucket") as caught:
        store.open("a")
    assert not isinstance(caught.value, FileNotFoundError)
    with pytest.raises(OSError, match="NoSuchBucket"):
        store.save(io.BytesIO(b"a"), "a")


@pytest.fixture
def refusing(change_aws):
    """S3 that refuses everything, as it does for credentials without the right to list."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_PUT = do_HEAD = do_POST = do_GET

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    change_aws(AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{server.server_port}")
    yield open_store("s3://bucket/base")
    server.shutdown()
    server.server_close()


ACTS = {
    "open": lambda store, path: store.open("a"),
    "download": lambda store, path: store.download("a", path / "copy"),
    "save": lambda store, path: store.save(io.BytesIO(b"a"), "a"),
    "exists": lambda store, path: store.exists("a"),
    "list": lambda store, path: store.list("a"),
}


@pytest.mark.parametrize("act", ACTS)
def test_no_permission_is_told_as_such(refusing, tmp_path, act):
    with pytest.raises(PermissionError, match=r"denies access.*s3://bucket/base/a"):
        ACTS[act](refusing, tmp_path)


@pytest.mark.parametrize("act", ACTS)
def test_s3_that_cannot_be_reached_is_an_oserror(change_aws, tmp_path, act):
    change_aws(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    with pytest.raises(OSError, match=r"cannot be asked \(EndpointConnectionError\)"):
        ACTS[act](open_store("s3://bucket"), tmp_path)


def test_an_endpoint_that_is_no_url_is_an_oserror(change_aws, tmp_path):
    change_aws(AWS_ENDPOINT_URL_S3="localhost:9000")
    with pytest.raises(OSError, match="cannot be asked"):
        open_store("s3://bucket").open("a")


def test_a_body_that_is_cut_is_an_oserror_not_a_shorter_file(change_aws):
    class Cut(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half")

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Cut)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    change_aws(AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{server.server_port}")
    with open_store("s3://bucket").open("a") as stream, pytest.raises(OSError, match="s3://bucket"):
        stream.read()
    server.shutdown()
    server.server_close()
