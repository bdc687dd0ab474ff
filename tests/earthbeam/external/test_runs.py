"""The feed of ended runs."""

from datetime import UTC, datetime, timedelta

import pytest

from earthbeam.models import Run, RunError
from earthbeam.runs import reports
from tests import factories, run_reports

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def partner(db):
    return factories.make_partner()


def ended(minutes, status="success", **fields):
    run = factories.make_run(status=status, **fields)
    Run.objects.filter(pk=run.pk).update(ended_at=NOON + timedelta(minutes=minutes))
    return str(run.pk)


def listed(client, **query):
    answer = client.get("runs", {"partner": "ea", **query})
    assert answer.status_code == 200, answer.json()
    return [each["uid"] for each in answer.json()]


def test_a_run_is_told_with_what_came_of_it(client):
    run = run_reports.succeeded(rows=(251, 44, 17), sets=("ods", "non-ods"), blank_ids=5)
    Run.objects.filter(pk=run.pk).update(bundle_commit="c" * 40)
    (told,) = client.get("runs", {"partner": "ea"}).json()
    assert (told["uid"], told["jobUid"]) == (str(run.pk), str(run.job_id))
    assert (told["partner"], told["tenant"], told["schoolYear"]) == ("ea", "grand_bend", "2026")
    assert (told["bundle"], told["bundleCommit"]) == ("assessments/Reading_Check", "c" * 40)
    assert (told["outcome"], told["sendsToOds"]) == ("complete_unmatched", True)
    assert told["matches"]["odsMatched"] == 251
    assert told["matches"]["blankIds"] == 5
    assert told["errorCodes"] == []
    assert told["endedAt"] is not None
    assert all(seconds >= 0 for seconds in told["secondsByStep"].values())


def test_a_failed_run_is_told_with_its_codes_and_steps(client):
    run = factories.make_run(status="running")
    for status in ("begin", "success"):
        reports.record_update(run, "get_student_roster", status)
    RunError.objects.create(run=run, code="earthmover_run", payload={"message": "secret"})
    Run.objects.filter(pk=run.pk).update(status="error", ended_at=NOON)
    (told,) = client.get("runs", {"partner": "ea"}).json()
    assert (told["outcome"], told["errorCodes"]) == ("error", ["earthmover_run"])
    assert list(told["secondsByStep"]) == ["get_student_roster"]
    assert told["matches"] is None
    assert "secret" not in str(told)


def test_only_ended_runs_are_listed_those_that_ended_last_at_the_end(client):
    second, first = ended(2), ended(1, "error")
    factories.make_run(status="running")
    factories.make_run(status="new")
    assert listed(client) == [first, second]
    assert listed(client, since="2026-03-01T12:01:00Z") == [second]
    assert listed(client, since="2026-03-01T12:02:00Z") == []
    assert listed(client, tenant="nowhere") == []


def test_pages_miss_and_repeat_nothing(client):
    runs = [ended(minutes // 2) for minutes in range(7)]
    seen, url = [], "runs?partner=ea&limit=3"
    while url:
        answer = client.get(url)
        seen += [each["uid"] for each in answer.json()]
        link = answer.headers.get("Link", "")
        url = link.partition("/api/v1/")[2].partition(">")[0]
    assert len(seen) == 7
    assert set(seen) == set(runs)


def test_runs_of_another_partner_are_not_there(client, client_with):
    ended(1)
    factories.make_partner("tx")
    assert client.get("runs", {"partner": "tx"}).status_code == 404
    assert listed(client) != []
    stranger = client_with(partners="tx")
    assert stranger.get("runs", {"partner": "tx"}).json() == []


@pytest.mark.parametrize(
    "query", [{}, {"partner": "ea", "since": "yesterday"}, {"partner": "ea", "createdAfter": "x"}]
)
def test_a_question_that_makes_no_sense_is_refused(client, query):
    assert client.get("runs", query).status_code == 400


def test_a_page_takes_as_many_queries_for_many_runs_as_for_one(
    client, django_assert_max_num_queries
):
    for minutes in range(20):
        ended(minutes)
    with django_assert_max_num_queries(8):
        assert len(listed(client)) == 20
