import io
import os
from datetime import UTC, datetime

import pytest

from earthbeam.files import BadLocation, open_store


@pytest.fixture
def store(tmp_path):
    return open_store(f"file://{tmp_path}/base")


def test_what_is_saved_is_listed_and_read_back(store, tmp_path):
    assert store.save(io.BytesIO(b"rows"), "input/INPUT_FILE__a.csv") == 4
    assert store.list("input") == {"input/INPUT_FILE__a.csv": 4}
    store.download("input/INPUT_FILE__a.csv", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"rows"


def test_a_folder_without_files_lists_nothing(store):
    assert store.list("output") == {}


@pytest.mark.parametrize("key", ["", "..", "a/../b", "/etc/passwd", "a//b", "./a", "a\0b"])
def test_a_key_cannot_leave_its_location(store, key):
    with pytest.raises(BadLocation):
        store.open(key)


def test_an_unknown_scheme_is_refused():
    with pytest.raises(BadLocation, match="ftp"):
        open_store("ftp://host/base")


def test_a_broken_upload_leaves_nothing_behind(store):
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError("cable cut")

    with pytest.raises(OSError, match="cable cut"):
        store.save(Broken(), "input/a.csv")
    assert store.list() == {}
    assert [name for _, _, names in os.walk(store.root) for name in names] == []


def test_a_listing_can_leave_out_what_was_stored_before(store):
    store.save(io.BytesIO(b"old"), "output/ods/old.jsonl")
    os.utime(store.root / "output/ods/old.jsonl", (1_000_000, 1_000_000))
    store.save(io.BytesIO(b"new"), "output/ods/new.jsonl")
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert store.list("output", since=since) == {"output/ods/new.jsonl": 3}
