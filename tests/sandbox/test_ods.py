import base64
import json
import signal
import subprocess
import sys

import pytest
import requests

from runway.sandbox.ods import SandboxOds
from runway.sandbox.population import (
    CURRENT,
    ED_ORG_ID,
    SECOND_ED_ORG_ID,
    SHARED_STATE_ID,
    TWO_ED_ORGS,
    WITHOUT_CODES,
    in_group,
    students,
)
from tests.sandbox.ods_client import ASSESSMENT, RESULT, ROSTER, Client


def test_root_document_points_back_to_the_address_that_the_client_used(ods: SandboxOds) -> None:
    by_name = ods.url.replace("127.0.0.1", "localhost")
    urls = requests.get(by_name, timeout=10).json()["urls"]
    assert urls["oauth"] == f"{by_name}/oauth/token"
    assert requests.get(urls["dependencies"], timeout=10).json()[0]["operations"]


def test_metadata_leads_to_the_swagger_of_every_resource_that_can_be_sent(ods: SandboxOds) -> None:
    documents = requests.get(f"{ods.url}/metadata/", timeout=10).json()
    paths: set[str] = set()
    for document in documents:
        paths |= set(requests.get(document["endpointUri"], timeout=10).json()["paths"])
    dependencies = requests.get(f"{ods.url}/metadata/data/v3/dependencies", timeout=10).json()
    assert paths == {entry["resource"] for entry in dependencies}
    order = [entry["resource"] for entry in sorted(dependencies, key=lambda entry: entry["order"])]
    for before, after in (
        ("performanceLevelDescriptors", "assessments"),
        ("assessments", "objectiveAssessments"),
        ("objectiveAssessments", "studentAssessments"),
    ):
        assert order.index(f"/ed-fi/{before}") < order.index(f"/ed-fi/{after}")


@pytest.mark.parametrize("credentials", [("sandbox-key", "wrong"), ("wrong", "sandbox-secret")])
def test_wrong_credentials_get_no_token(ods: SandboxOds, credentials: tuple[str, str]) -> None:
    answer = requests.post(f"{ods.url}/oauth/token", auth=credentials, timeout=10)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer made-up", "Basic c2FuZGJveA=="])
def test_data_needs_a_token(ods: SandboxOds, header: str) -> None:
    url = f"{ods.url}/data/v3/ed-fi/{ROSTER}"
    assert requests.get(url, headers={"Authorization": header}, timeout=10).status_code == 401
    assert requests.post(url, json={}, timeout=10).status_code == 401


def test_pages_hold_this_years_students_of_the_district_and_nobody_else(client: Client) -> None:
    total = int(client.page(limit=0, totalCount="true").headers["Total-Count"])
    rows = [row for at in range(0, total, 500) for row in client.page(limit=500, offset=at).json()]
    assert len(rows) == total
    ids = {row["studentReference"]["studentUniqueId"] for row in rows}
    assert ids == {student.unique_id for student in in_group(CURRENT)}


def test_an_ods_of_an_earlier_year_has_that_years_students() -> None:
    with SandboxOds(students(), year=2025) as ods:
        rows = Client(ods).page(limit=500).json()
    years = {student.unique_id: student.years for student in students()}
    assert rows
    assert all(2025 in years[row["studentReference"]["studentUniqueId"]] for row in rows)


def test_pages_above_five_hundred_are_refused(client: Client) -> None:
    answer = client.page(limit=501)
    assert answer.status_code == 400
    assert answer.json()["errors"] == ["Limit must be omitted or set to a value between 0 and 500."]


def test_without_a_wish_a_page_has_25_rows_and_no_total(client: Client) -> None:
    answer = client.page()
    assert len(answer.json()) == 25
    assert "Total-Count" not in answer.headers


def test_roster_has_the_odd_students_that_real_ones_have(client: Client) -> None:
    rows = client.page(limit=500).json()
    assert rows[0]["studentReference"]["studentUniqueId"] == WITHOUT_CODES
    assert "studentIdentificationCodes" not in rows[0]
    twice = [row for row in rows if row["studentReference"]["studentUniqueId"] == TWO_ED_ORGS]
    assert [row["educationOrganizationReference"]["educationOrganizationId"] for row in twice] == [
        ED_ORG_ID,
        SECOND_ED_ORG_ID,
    ]
    state_ids = {
        code["identificationCode"]
        for row in rows
        if row["studentReference"]["studentUniqueId"] in SHARED_STATE_ID
        for code in row["studentIdentificationCodes"]
        if code["studentIdentificationSystemDescriptor"].endswith("#State")
    }
    assert len(state_ids) == 1


def test_a_record_is_created_once_and_then_updated(client: Client, ods: SandboxOds) -> None:
    assert client.submit("assessments", ASSESSMENT).status_code == 201
    changed = ASSESSMENT | {"assessmentTitle": "Another title"}
    assert client.submit("assessments", changed).status_code == 200
    assert ods.received("assessments") == [changed]
    listed = client.get(f"{client.base}/assessments", timeout=10).json()
    assert listed == [changed]


def test_what_was_received_can_be_read_over_http(client: Client, ods: SandboxOds) -> None:
    client.submit("assessments", ASSESSMENT)
    client.submit("studentAssessments", RESULT)
    counts = requests.get(f"{ods.url}/sandbox/received", timeout=10).json()
    assert counts == {"assessments": 1, "studentAssessments": 1} == ods.received_counts()
    results = requests.get(f"{ods.url}/sandbox/received/studentAssessments", timeout=10).json()
    assert results == [RESULT]


def test_a_missing_field_is_named(client: Client, ods: SandboxOds) -> None:
    nameless = {key: value for key, value in ASSESSMENT.items() if key != "assessmentTitle"}
    answer = client.submit("assessments", nameless)
    assert answer.status_code == 400
    assert answer.json()["validationErrors"] == {
        "$.assessmentTitle": ["AssessmentTitle is required."]
    }
    assert ods.received("assessments") == []


def test_a_result_of_an_unknown_student_is_refused(client: Client, ods: SandboxOds) -> None:
    client.submit("assessments", ASSESSMENT)
    answer = client.submit("studentAssessments", RESULT | {"studentReference": _student("999999")})
    assert answer.status_code == 409
    assert answer.json()["detail"] == "The referenced 'Student' item does not exist."
    assert ods.received("studentAssessments") == []


def test_a_result_of_an_assessment_that_was_not_sent_is_refused(client: Client) -> None:
    answer = client.submit("studentAssessments", RESULT)
    assert answer.status_code == 409
    assert "'Assessment'" in answer.json()["detail"]


def test_a_descriptor_must_be_sent_before_it_is_used(client: Client) -> None:
    client.submit("assessments", ASSESSMENT)
    namespace = "uri://sandbox.example/PerformanceLevelDescriptor"
    level = {"performanceLevelDescriptor": f"{namespace}#High"}
    result = RESULT | {"performanceLevels": [level]}
    refused = client.submit("studentAssessments", result)
    assert refused.status_code == 400
    assert list(refused.json()["validationErrors"]) == [
        "$.performanceLevels[0].performanceLevelDescriptor"
    ]
    descriptor = {"namespace": namespace, "codeValue": "High", "shortDescription": "High"}
    assert client.submit("performanceLevelDescriptors", descriptor).status_code == 201
    assert client.submit("studentAssessments", result).status_code == 201


def test_text_longer_than_edfi_takes_is_refused(client: Client) -> None:
    answer = client.submit("assessments", ASSESSMENT | {"assessmentIdentifier": "A" * 61})
    assert answer.status_code == 400
    assert "between 1 and 60" in str(answer.json()["validationErrors"])


def test_a_body_that_is_no_json_object_is_refused(client: Client) -> None:
    for body in (b"", b"{", b"[]"):
        assert client.post(f"{client.base}/assessments", data=body, timeout=10).status_code == 400


def test_unknown_resources_do_not_exist(client: Client) -> None:
    assert client.submit("spaceships", {}).status_code == 404
    assert client.get(f"{client.base}/spaceships", timeout=10).status_code == 404


def test_nothing_answers_after_the_end() -> None:
    with SandboxOds(students()) as ods:
        client = Client(ods)
        assert client.page().status_code == 200
    with pytest.raises(requests.ConnectionError):
        client.page()


def test_it_runs_as_a_process_of_its_own_and_ends_when_told() -> None:
    command = (sys.executable, "-m", "runway.sandbox.ods", "--client-secret", "other")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        encoded = base64.b64encode(b"sandbox-key:other").decode()
        headers = {"Authorization": f"Basic {encoded}"}
        answer = requests.post(f"{url}/oauth/token", headers=headers, timeout=10)
        assert json.loads(answer.content)["token_type"] == "bearer"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def _student(unique_id: str) -> dict[str, str]:
    return {"studentUniqueId": unique_id}


def test_a_record_is_found_by_its_natural_key_and_deleted_once(client: Client) -> None:
    client.submit("assessments", ASSESSMENT)
    client.submit("studentAssessments", RESULT)
    key = {
        "studentAssessmentIdentifier": "R-1",
        "assessmentIdentifier": "A-1",
        "namespace": "uri://sandbox.example/Test",
        "studentUniqueId": "604010",
    }
    results = f"{client.base}/studentAssessments"
    found = client.get(results, params=key, timeout=10).json()
    assert [each["studentReference"] for each in found] == [{"studentUniqueId": "604010"}]
    other = client.get(results, params={**key, "studentUniqueId": "604011"}, timeout=10)
    assert other.json() == []
    statuses = [client.delete(f"{results}/{found[0]['id']}", timeout=10).status_code for _ in "12"]
    assert statuses == [204, 404]
    assert client.get(results, params=key, timeout=10).json() == []


def test_a_record_that_others_refer_to_is_not_deleted(client: Client) -> None:
    client.submit("assessments", ASSESSMENT)
    client.submit("studentAssessments", RESULT)
    reference = {**RESULT["assessmentReference"], **RESULT["studentReference"]}
    reference["studentAssessmentIdentifier"] = "R-1"
    kind = "educationOrganizationAssociationTypeDescriptor"
    association = {
        kind: f"uri://ed-fi.org/{kind[0].upper()}{kind[1:]}#Enrollment",
        "educationOrganizationReference": {"educationOrganizationId": ED_ORG_ID},
        "studentAssessmentReference": reference,
    }
    associations = "studentAssessmentEducationOrganizationAssociations"
    assert client.submit(associations, association).status_code == 201
    found = client.get(f"{client.base}/studentAssessments", params=reference, timeout=10).json()
    answer = client.delete(f"{client.base}/studentAssessments/{found[0]['id']}", timeout=10)
    assert answer.status_code == 409
