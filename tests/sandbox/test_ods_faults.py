import pytest
import requests

from runway.sandbox.ods import Faults, SandboxOds
from tests.sandbox.ods_client import ASSESSMENT, RESULT, ROSTER, Client


def test_faults_are_set_and_cleared_over_http(client: Client, ods: SandboxOds) -> None:
    faults = f"{ods.url}/sandbox/faults"
    assert requests.post(faults, json={"reject_posts": True}, timeout=10).status_code == 204
    assert client.submit("assessments", ASSESSMENT).status_code == 400
    assert requests.post(faults, json={}, timeout=10).status_code == 204
    assert client.submit("assessments", ASSESSMENT).status_code == 201


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"reject_everything": True}, "reject_everything"),
        ({"reject_every": "3"}, "reject_every"),
        ({"reject_posts": 1}, "reject_posts"),
        ({"roster_page": True}, "roster_page"),
        ({"delay_seconds": -1}, "delay_seconds"),
        ([], "JSON object"),
    ],
)
def test_a_wrong_fault_is_named_and_changes_nothing(
    ods: SandboxOds, knobs: object, message: str
) -> None:
    ods.faults = Faults(empty_roster=True)
    answer = requests.post(f"{ods.url}/sandbox/faults", json=knobs, timeout=10)
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert ods.faults == Faults(empty_roster=True)


def test_credentials_can_be_refused(ods: SandboxOds) -> None:
    ods.faults = Faults(refuse_credentials=True)
    credentials = (ods.client_id, ods.client_secret)
    answer = requests.post(f"{ods.url}/oauth/token", auth=credentials, timeout=10)
    assert answer.status_code == 401


def test_the_roster_can_be_empty(client: Client, ods: SandboxOds) -> None:
    ods.faults = Faults(empty_roster=True)
    answer = client.page(limit=500, totalCount="true")
    assert answer.json() == []
    assert answer.headers["Total-Count"] == "0"


def test_one_roster_page_can_fail_for_a_while(client: Client, ods: SandboxOds) -> None:
    ods.faults = Faults(roster_page=2, roster_page_status=500, roster_page_times=2)
    assert client.page(limit=100, offset=0).status_code == 200
    seconds = [client.page(limit=100, offset=100).status_code for _ in range(3)]
    assert seconds == [500, 500, 200]


def test_one_roster_page_can_fail_for_ever(client: Client, ods: SandboxOds) -> None:
    ods.faults = Faults(roster_page_status=403)
    assert {client.page(limit=100).status_code for _ in range(5)} == {403}
    assert client.page(limit=0, totalCount="true").status_code == 200


def test_a_token_can_run_out_and_be_renewed(client: Client, ods: SandboxOds) -> None:
    ods.faults = Faults(token_requests=2)
    assert [client.page().status_code for _ in range(3)] == [200, 200, 401]
    client.renew()
    assert client.page().status_code == 200


def test_requests_can_be_throttled(client: Client, ods: SandboxOds) -> None:
    ods.faults = Faults(throttle_every=2)
    answers = [client.page(limit=1) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 429, 200, 429]
    assert answers[1].headers["Retry-After"] == "1"


def test_records_of_one_resource_can_be_refused_now_and_then(
    client: Client, ods: SandboxOds
) -> None:
    ods.faults = Faults(reject_every=3, reject_resource="studentAssessments")
    assert client.submit("assessments", ASSESSMENT).status_code == 201
    results = [RESULT | {"studentAssessmentIdentifier": f"R-{number}"} for number in range(6)]
    statuses = [client.submit("studentAssessments", result).status_code for result in results]
    assert statuses == [201, 201, 400, 201, 201, 400]
    assert len(ods.received("studentAssessments")) == 4


def test_connections_can_be_reset(client: Client, ods: SandboxOds) -> None:
    ods.faults = Faults(reset_after=1)
    assert client.page().status_code == 200
    with pytest.raises(requests.ConnectionError):
        client.page()


def test_a_slow_answer_runs_into_its_clients_limit(client: Client, ods: SandboxOds) -> None:
    ods.faults = Faults(delay_seconds=60)
    with pytest.raises(requests.ReadTimeout):
        client.get(f"{client.base}/{ROSTER}", timeout=0.1)


def test_what_is_sent_can_be_slow_while_the_roster_is_fast(client: Client, ods: SandboxOds) -> None:
    ods.faults = Faults(post_delay_seconds=60)
    assert client.page().status_code == 200
    with pytest.raises(requests.ReadTimeout):
        client.post(f"{client.base}/studentAssessments", json={}, timeout=0.1)
