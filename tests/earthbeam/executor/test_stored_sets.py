"""Sets that an earlier run has stored are fetched as they were, or not at all."""

import hashlib

import pytest

from earthbeam.executor import stored_sets
from earthbeam.executor.errors import StepFailed
from earthbeam.files import open_store

CONTENT = b'{"a": 1}\n\n{"a": 2}\n'


@pytest.fixture
def store(tmp_path):
    store = open_store(f"file://{tmp_path}/files")
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    store.upload(source, "output/ods/a.jsonl")
    return store


def fetch(store, tmp_path, **hashes):
    folder = tmp_path / "fetched"
    folder.mkdir()
    given = {f"{name}.jsonl": sha256 for name, sha256 in hashes.items()}
    return stored_sets.fetch(store, "ods", given, folder)


@pytest.mark.parametrize("sha256", [hashlib.sha256(CONTENT).hexdigest(), None])
def test_a_set_comes_with_the_number_of_its_records(store, tmp_path, sha256):
    """Also one of an executor that told no hash."""
    output = fetch(store, tmp_path, a=sha256)
    assert output.records == {"a": 2}
    assert (output.folder / "a.jsonl").read_bytes() == CONTENT


@pytest.mark.parametrize("hashes", [{"a": "0" * 64}, {"b": None}])
def test_a_file_that_is_gone_or_another_is_named(store, tmp_path, hashes):
    with pytest.raises(StepFailed) as failed:
        fetch(store, tmp_path, **hashes)
    (name,) = hashes
    assert failed.value.code == "artifact_not_found"
    assert failed.value.fields["path"] == f"output/ods/{name}.jsonl"
    assert "run the job again" in failed.value.message
