"""The roster keeps the ODS's IDs exactly, without the keys that matching does not read."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from earthbeam.executor.rosters.fetching import keep_keys

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats()
    | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("studentIdentificationCodes", "educationOrganizationReference", "studentReference")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@example({"studentIdentificationCodes": float("inf")}, False)
@given(st.dictionaries(st.sampled_from([*KEYS, "_etag", "addresses"]), values), st.booleans())
def test_what_is_kept_is_kept_exactly(folder, record, escaped):
    fetched, roster = folder / "fetched.jsonl", folder / "roster.jsonl"
    try:
        fetched.write_text(json.dumps(record, ensure_ascii=escaped) + "\n", encoding="utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair can only be written escaped
        fetched.write_text(json.dumps(record) + "\n")

    assert keep_keys(fetched, roster) == 1

    [line] = roster.read_bytes().splitlines(keepends=True)
    expected = {key: record[key] for key in KEYS if key in record}
    expected.setdefault("studentIdentificationCodes", [])
    assert line.endswith(b"\n")
    # As text, since NaN does not equal itself.
    assert json.dumps(json.loads(line), sort_keys=True) == json.dumps(expected, sort_keys=True)


def test_an_id_of_many_digits_keeps_them_all(folder):
    fetched, roster = folder / "fetched.jsonl", folder / "roster.jsonl"
    number = "1234567890123456789012345678901234567"
    fetched.write_text(f'{{"studentReference": {{"studentUniqueId": {number}}}}}\n')

    keep_keys(fetched, roster)

    assert number in roster.read_text()
