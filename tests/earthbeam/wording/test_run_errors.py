import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.runs.states import FAILED_TO_START
from earthbeam.wording.run_errors import known_codes, repair_offered, words

# The contract's codes with their payloads, and the values that the words must weave in.
CONTRACT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown": ({}, []),
    "executor_timeout": ({"timeout_seconds": 3600}, ["60 minutes"]),
    "invalid_job": ({"message": "The tenant has no active ODS connection."}, ["no active ODS"]),
    "lightbeam_fetch": (
        {"resource": "studentEducationOrganizationAssociations"},
        ["studentEducationOrganizationAssociations"],
    ),
    "missing_ods_roster": ({}, []),
    "lightbeam_send": ({}, []),
    "lightbeam_delete": ({"records": 5, "total": 1200}, ["5 of 1,200 records"]),
    "input_s3_download": (
        {"name": "INPUT_FILE", "path": "input/INPUT_FILE__scores.csv"},
        ["“scores.csv”"],
    ),
    "bundle_git_pull": ({}, []),
    "artifact_not_found": (
        {"name": "em-results.json", "path": "output/em-results.json"},
        ["em-results.json"],
    ),
    "artifact_empty": (
        {"name": "em-results.json", "path": "output/em-results.json"},
        ["em-results.json"],
    ),
    "artifact_s3_upload": (
        {"name": "scores.jsonl", "path": "output/ods/scores.jsonl"},
        ["scores.jsonl"],
    ),
    "earthmover_deps": ({}, []),
    "earthmover_run": (
        {"message": "The header has a column twice.", "rows": [3, 1017]},
        ["a column twice", "beginning with rows 3, 1,017"],
    ),
    "cross_year_roster_fetch": ({}, []),
    "insufficient_matches": (
        {"match_rate": 0.4999, "match_threshold": 0.5, "id_name": "StateID", "id_type": "State"},
        ["49.9%", "50%", "StateID", "State"],
    ),
    "identity_mismatch": (
        {"rate": 0.3666, "column": "StateID", "id_type": "State"},
        ["36.6%", "“StateID”", "other students"],
    ),
    FAILED_TO_START: ({}, []),
}


HELPED_BY_ANOTHER_FILE = {"earthmover_run", "insufficient_matches", "identity_mismatch"}


def everything(told):
    return " ".join([told.title, told.what, told.next_step, told.detail])


def test_every_code_there_is_has_words_of_its_own():
    assert set(known_codes()) == set(CONTRACT)
    told = [words(code, payload, to_ods=True) for code, (payload, _) in CONTRACT.items()]
    assert len({each.title for each in told}) == len(CONTRACT)
    assert len({each.what for each in told}) == len(CONTRACT)


@pytest.mark.parametrize("code", CONTRACT)
def test_another_file_is_offered_where_it_is_what_helps(code):
    told = words(code, CONTRACT[code][0], to_ods=True)
    assert told.takes_another_file is (code in HELPED_BY_ANOTHER_FILE)
    assert words("artifact_empty", {"name": "output"}, to_ods=True).takes_another_file


@pytest.mark.parametrize("code", CONTRACT)
@pytest.mark.parametrize("to_ods", [True, False])
def test_words_say_what_happened_and_what_to_do_without_internals(code, to_ods):
    payload, woven = CONTRACT[code]
    told = words(code, payload, to_ods=to_ods)
    assert told.title
    assert told.what.endswith(".")
    assert told.next_step.endswith(".")
    for value in woven:
        assert value in everything(told)
    said = everything(told)
    assert not re.search(r"executor|earthmover|lightbeam|exit|stack|S3|\bcode\b", said), said


@pytest.mark.parametrize("code", [code for code in CONTRACT if code != "invalid_job"])
def test_a_job_that_goes_to_no_ods_hears_of_none(code):
    assert "ODS" not in everything(words(code, CONTRACT[code][0], to_ods=False))


@pytest.mark.parametrize(
    ("code", "payload", "said"),
    [
        ("unknown", {"message": "Cancelled by Ada."}, "Ada cancelled it"),
        ("unknown", {"message": "The system killed x", "out_of_memory": True}, "more memory"),
        ("unknown", {"message": "The executor ran out of disk space: …"}, "disk space"),
        ("artifact_empty", {"name": "output", "path": "output/"}, "produced no results"),
        ("executor_timeout", {"timeout_seconds": 90}, "90 seconds"),
        ("executor_timeout", {}, "the time limit for a run"),
        ("insufficient_matches", {}, "Most rows do not match a student"),
        ("insufficient_matches", {"match_rate": 0, "id_name": "StateID"}, "No row matches"),
        ("something_new", {"message": "It rained."}, "something_new"),
    ],
)
def test_what_the_payload_tells_makes_a_difference(code, payload, said):
    assert said in everything(words(code, payload, to_ods=True))


@pytest.mark.parametrize(
    ("repairs", "what", "next_step"),
    [
        (
            [{"kind": "leading_zeros", "rows": 56}, {"kind": "scientific", "rows": 1}],
            "56 of 60 rows would match if leading zeros were restored.",
            "load the file with leading zeros restored",
        ),
        (
            [{"kind": "scientific", "rows": 30}],
            "30 of 60 rows have an ID in scientific notation, whose last digits are lost.",
            "Get the original export",
        ),
    ],
)
def test_damage_to_ids_is_said_first_with_what_undoes_it(repairs, what, next_step):
    payload = {"match_rate": 0.1, "input_rows": 60, "repairs": repairs}
    told = words("insufficient_matches", payload, to_ods=True)
    assert told.what.startswith(what)
    assert next_step in told.next_step


def test_only_damage_that_can_be_undone_is_offered():
    def offered(*repairs):
        return repair_offered("insufficient_matches", {"repairs": list(repairs)})

    zeros = {"kind": "leading_zeros", "rows": 5}
    assert offered(zeros) == ("leading_zeros", "Load the file with leading zeros restored")
    assert offered({"kind": "scientific", "rows": 5}) is None
    assert offered("x", {"kind": 7}, {"kind": "case", "rows": True}) is None
    assert repair_offered("earthmover_run", {"repairs": [zeros]}) is None


@pytest.mark.parametrize(
    "repairs",
    [None, [], "x", [None], [{"kind": "<b>", "rows": 3}], [{"kind": "case", "rows": "3"}]],
)
def test_damage_that_is_not_known_changes_no_words(repairs):
    payload = {"match_rate": 0.1, "repairs": repairs}
    plain = words("insufficient_matches", {"match_rate": 0.1}, to_ods=True)
    assert words("insufficient_matches", payload, to_ods=True) == plain


@pytest.mark.parametrize(
    "message",
    [
        "earthmover could not transform the file",
        "Something unexpected went wrong (KeyError).",
        "GET http://app/x: status 500, in 7 tries",
        "The executor was told to stop before the run was done.",
    ],
)
def test_sentences_about_machinery_stay_out(message):
    for code in ("unknown", "earthmover_run", "invalid_job", "something_new"):
        assert words(code, {"message": message}, to_ods=True).detail == ""


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = ["repairs", "input_rows", "rate", "column",
          "message", "name", "path", "resource", "timeout_seconds", "match_rate", "match_threshold",
          "id_name", "id_type", "out_of_memory"]  # fmt: skip


@given(
    st.sampled_from(sorted(CONTRACT)) | st.text(),
    st.dictionaries(st.sampled_from(FIELDS) | st.text(), anything),
    st.booleans(),
)
def test_whatever_is_reported_gets_words(code, payload, to_ods):
    told = words(code, payload, to_ods=to_ods)
    assert told.title
    assert told.what
    assert told.next_step
    assert len(everything(told)) < 2000
