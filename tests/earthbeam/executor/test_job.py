from typing import Any

import pytest

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import parse

URLS = {
    name: f"http://app/{name}"
    for name in ("status", "error", "summary", "unmatchedIds", "outputFiles", "matches", "roster")
}
PAYLOAD: dict[str, Any] = {
    "appDataBasePath": "file:///srv/ea/grand_bend/2526/1",
    "inputFiles": {"INPUT_FILE": "INPUT_FILE__scores.csv"},
    "inputParams": {"API_YEAR": "2026"},
    "customDescriptorMappings": None,
    "bundle": {"path": "assessments/SAMPLE", "branch": "main"},
    "appUrls": URLS,
    "sendToOds": True,
    "crossYearMatchAvailable": True,
    "assessmentDatastore": {
        "apiYear": "2026",
        "url": "http://ods",
        "clientId": "key",
        "clientSecret": "hush",
    },
}


def test_a_good_payload_is_read():
    job = parse(PAYLOAD)
    assert job.bundle_name == "SAMPLE"
    assert job.key_prefix == "ea/grand_bend/2526/1"
    assert "hush" not in repr(job)


def test_a_year_as_a_number_is_taken_too():
    job = parse(
        PAYLOAD | {"assessmentDatastore": PAYLOAD["assessmentDatastore"] | {"apiYear": 2026}}
    )
    assert job.ods is not None
    assert job.ods.api_year == "2026"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"appDataBasePath": None}, "appDataBasePath"),
        ({"appDataBasePath": "ftp://host/base"}, "appDataBasePath"),
        ({"inputFiles": {}}, "INPUT_FILE"),
        ({"inputFiles": {"INPUT_FILE": 7}}, "inputFiles.INPUT_FILE"),
        ({"inputFiles": {"INPUT_FILE": "INPUT_FILE__a\0.csv"}}, "inputFiles.INPUT_FILE"),
        ({"inputParams": {"API_YEAR": 2026}}, "inputParams.API_YEAR"),
        ({"bundle": {"path": "../../etc", "branch": "main"}}, "bundle.path"),
        ({"bundle": {"path": "assessments/SAMPLE"}}, "bundle.branch"),
        ({"sendToOds": "yes"}, "sendToOds"),
        ({"assessmentDatastore": None}, "assessmentDatastore"),
        ({"appUrls": {**URLS, "roster": None}}, "appUrls.roster"),
        ({"identityChecks": "off"}, "identityChecks"),
        ({"identityChecks": True}, "identityChecks"),
        ({"idRepairs": ["magic"]}, "idRepairs"),
        ({"idRepairs": "leading_zeros"}, "idRepairs"),
        ({"decisionsFile": "../x"}, "decisionsFile"),
        ({"leaveFile": "../x"}, "leaveFile"),
        ({"kind": "undo"}, "kind"),
        ({"kind": "resend"}, "storedSets"),
        ({"kind": "withdraw", "storedSets": {}}, "storedSets"),
        ({"kind": "withdraw", "storedSets": {"other": {}}}, "storedSets"),
        ({"kind": "withdraw", "storedSets": {"ods": {"../x": None}}}, "storedSets"),
        ({"kind": "withdraw", "storedSets": {"ods": {"a.jsonl": 1}}}, "storedSets"),
        ({"storedSets": {"ods": {"a.jsonl": "0"}}}, "reported"),
        ({"storedSets": {"ods": {}}, "reported": {"summary": []}}, "reported.summary"),
        ({"decisionsFile": "a/b"}, "decisionsFile"),
        ({"customDescriptorMappings": {"../x": []}}, "customDescriptorMappings"),
        ({"customDescriptorMappings": {"grades": [{"edfi_descriptor": "x"}]}}, "grades"),
    ],
)
def test_what_is_wrong_with_a_payload_is_named(change, named):
    with pytest.raises(StepFailed, match=named) as failed:
        parse(PAYLOAD | change)
    assert failed.value.code == "invalid_job"


@pytest.mark.parametrize("payload", [None, [], "job", 7])
def test_what_is_no_object_is_no_job(payload):
    with pytest.raises(StepFailed, match="JSON object"):
        parse(payload)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (
            r"CAP\x7b\x7b cycler.__init__.__globals__.os.system('x') \x7d\x7d",
            "“\\\\” at position 4",
        ),
        ("{% set x = 1 %}", "“{” at position 1"),
        ("two\nlines", "at position 4"),
    ],
)
def test_a_parameter_that_could_become_code_is_no_job(value, named):
    with pytest.raises(StepFailed, match="TEST_TYPE.*" + named) as failed:
        parse(PAYLOAD | {"inputParams": {"TEST_TYPE": value}})
    assert failed.value.code == "invalid_job"


def test_the_column_to_look_in_never_becomes_a_parameter():
    column = r"Student's ID, \x7b\x7b #2"
    job = parse(
        PAYLOAD
        | {"studentIdColumn": column, "inputParams": {"POSSIBLE_STUDENT_ID_COLUMNS": column}}
    )
    assert (job.student_id_columns, job.input_params) == ((column,), {})
    listed = parse(PAYLOAD | {"inputParams": {"POSSIBLE_STUDENT_ID_COLUMNS": "State ID, Local"}})
    assert listed.student_id_columns == ("State ID", "Local")
