import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from auditlog.models import LogEntry
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from earthbeam.models import OutputSet, Run
from tests import factories
from tests.earthbeam.external.conftest import make_set

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def partner(db):
    return factories.make_partner()


def listed(client, **query):
    answer = client.get("output-sets", {"partner": "ea", **query})
    assert answer.status_code == 200, answer.json()
    return [each["uid"] for each in answer.json()]


def cursor(moment):
    made_up = json.dumps([moment, "00000000-0000-0000-0000-000000000000"])
    return base64.urlsafe_b64encode(made_up.encode()).decode()


def uids(*sets):
    return [str(each.uid) for each in sets]


def test_a_set_is_told_with_all_that_a_loader_needs(client):
    output_set = make_set(published_at=NOON)
    (told,) = client.get("output-sets", {"partner": "ea"}).json()
    assert told == {
        "uid": str(output_set.uid),
        "files": ["studentAssessments.jsonl"],
        "sentToOds": False,
        "createdAt": "2026-03-01T12:00:00Z",
        "jobUid": str(output_set.run.job_id),
        "runUid": str(output_set.run_id),
        "records": None,
        "sha256": None,
        "supersedes": None,
        "withdrawnAt": None,
        "partner": "ea",
        "tenant": "grand_bend",
        "schoolYear": "2026",
        "bundle": "assessments/Reading_Check",
    }


def test_what_the_executor_told_and_the_set_before_are_listed(client):
    before = make_set(published_at=NOON)
    make_set(
        before.run.job,
        published_at=NOON + timedelta(hours=1),
        supersedes=before,
        records={"studentAssessments": 7},
        sha256={"studentAssessments.jsonl": "ab"},
    )
    _, again = client.get("output-sets", {"partner": "ea"}).json()
    assert again["records"] == {"studentAssessments": 7}
    assert again["sha256"] == {"studentAssessments.jsonl": "ab"}
    assert again["supersedes"] == str(before.uid)


def test_withdrawn_sets_are_listed_for_those_who_ask_for_them_only(client):
    kept, early, late = (make_set(published_at=NOON) for _ in range(3))
    at = datetime.now(UTC)
    for each, minutes in ((early, 2), (late, 1)):
        OutputSet.objects.filter(pk=each.pk).update(withdrawn_at=at - timedelta(minutes=minutes))
    assert [each["uid"] for each in client.get("output-sets", {"partner": "ea"}).json()] == [
        str(kept.pk)
    ]
    since = (at - timedelta(minutes=5)).isoformat()
    query = {"partner": "ea", "withdrawnAfter": since, "limit": "1"}
    first = client.get("output-sets", query)
    [told] = first.json()
    assert told["uid"] == str(early.pk)
    assert told["withdrawnAt"] is not None
    [other] = client.get(first.headers["Link"].partition("/api/v1/")[2].partition(">")[0]).json()
    assert other["uid"] == str(late.pk)
    assert client.post(f"output-sets/{late.pk}/download-links").status_code == 404


def test_sets_that_were_kept_long_enough_are_neither_listed_nor_linked(client):
    kept, destroyed = (make_set(published_at=NOON) for _ in range(2))
    destroyed.run.job.output_destroyed_at = NOON
    destroyed.run.job.save()
    assert listed(client) == uids(kept)
    assert client.post(f"output-sets/{destroyed.pk}/download-links").status_code == 404


def test_only_sets_of_successful_runs_are_listed_oldest_first(client):
    second = make_set(published_at=NOON + timedelta(hours=1))
    first = make_set(published_at=NOON)
    for status in (Run.Status.RUNNING, Run.Status.ERROR):
        factories.make_output_set(factories.make_run(factories.make_job(), status))
    assert listed(client) == uids(first, second)


def test_filters_narrow_the_list(client):
    far = factories.make_job(tenant=factories.make_tenant("far"))
    older = factories.make_job(year=factories.make_year("2425"))
    other = factories.make_job(
        bundle=factories.make_bundle(
            {**factories.BUNDLE_TEMPLATE, "path": "assessments/Other", "display_name": "Other"}
        )
    )
    of_far, of_older, of_other, sent = (
        make_set(far),
        make_set(older),
        make_set(other),
        make_set(sent_to_ods=True),
    )
    assert listed(client, tenant="far") == uids(of_far)
    assert listed(client, schoolYear="2025") == uids(of_older)
    assert listed(client, bundle="assessments/Other") == listed(client, bundle="Other")
    assert listed(client, bundle="Other") == uids(of_other)
    assert listed(client, sentToOds="true") == uids(sent)
    assert len(listed(client, sentToOds="false")) == 3
    assert listed(client, tenant="nowhere") == []


@pytest.mark.parametrize(
    "after",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00.000000+00:00",
        "2026-03-01T12:00:00.000000 00:00",  # a + that was not escaped
        "2026-03-01T07:00:00-05:00",
    ],
)
def test_created_after_is_strict(client, after):
    make_set(published_at=NOON)
    later = make_set(published_at=NOON + timedelta(microseconds=1))
    assert listed(client, createdAfter=after) == uids(later)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({}, "partner"),
        ({"partner": "ea", "sentToODS": "false"}, "sentToODS"),
        ({"partner": "ea", "sentToOds": "maybe"}, "sentToOds"),
        ({"partner": "ea", "createdAfter": "yesterday"}, "createdAfter"),
        ({"partner": "ea", "schoolYear": "2526x"}, "schoolYear"),
        ({"partner": "ea", "limit": "0"}, "limit"),
        ({"partner": "ea", "limit": "1001"}, "limit"),
        ({"partner": "ea", "cursor": "bm9uZQ=="}, "cursor"),
        ({"partner": "ea", "cursor": "é"}, "cursor"),
        ({"partner": "ea", "cursor": cursor("9999-12-31T23:59:59-23:59")}, "cursor"),
        ({"partner": "ea", "cursor": cursor("0001-01-01T00:00:00+23:59")}, "cursor"),
        ({"partner": "ea", "format": "xml"}, "format"),
        ({"partner": ["ea", "ea"]}, "partner"),
        ({"partner": ""}, "partner"),
        ({"partner": "e\0a"}, "partner"),
    ],
)
def test_a_parameter_that_is_wrong_or_unknown_is_named(client, query, name):
    answer = client.get("output-sets", query)
    assert answer.status_code == 400
    assert list(answer.json()) == [name, "statusCode", "message"]


def test_pages_hold_every_set_once_even_of_one_moment(client):
    sets = {str(make_set(published_at=NOON).uid) for _ in range(5)}
    sets |= {str(make_set(published_at=NOON + timedelta(hours=hour)).uid) for hour in range(1, 3)}
    seen, path = [], "output-sets?partner=ea&limit=2"
    while path:
        answer = client.get(path)
        assert len(answer.json()) <= 2
        seen += [each["uid"] for each in answer.json()]
        path = answer.headers.get("Link", "").partition("/api/v1/")[2].partition(">")[0]
        # What comes in meanwhile is at the end.
        if len(seen) == 2:
            sets.add(str(make_set(published_at=NOON + timedelta(days=1)).uid))
    assert sorted(seen) == sorted(sets)


def test_without_a_limit_the_list_is_whole(client):
    sets = [make_set(published_at=NOON + timedelta(hours=hour)) for hour in range(3)]
    answer = client.get("output-sets", {"partner": "ea"})
    assert [each["uid"] for each in answer.json()] == uids(*sets)
    assert "Link" not in answer.headers


def test_the_list_takes_a_few_queries_however_long(client, django_assert_max_num_queries):
    for _ in range(8):
        make_set()
    with django_assert_max_num_queries(4):
        listed(client)


def test_a_poll_is_answered_from_the_index_however_many_sets_there_are(client):
    run = factories.make_run(factories.make_job(), "success")
    OutputSet.objects.bulk_create(
        OutputSet(
            run=run,
            partner=run.job.tenant.partner,
            path=str(number),
            sent_to_ods=bool(number % 2),
            files=["a.jsonl"],
            published_at=NOON + timedelta(seconds=number),
        )
        for number in range(5000)
    )
    with connection.cursor() as cursor:
        cursor.execute("analyze")
    query = {"sentToOds": "false", "createdAfter": (NOON + timedelta(seconds=4990)).isoformat()}
    with CaptureQueriesContext(connection) as queries:
        assert len(listed(client, **query)) == 4
    (sql,) = [each["sql"] for each in queries if 'FROM "earthbeam_outputset"' in each["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"explain {sql}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "output_set_published" in plan
    assert "Seq Scan on earthbeam_outputset" not in plan


def test_files_are_downloaded_by_links_without_a_token(client):
    output_set = make_set(content=b'{"b": 2}\n')
    links = client.post(f"output-sets/{output_set.uid}/download-links").json()["downloadLinks"]
    answer = HttpClient().get(links["studentAssessments.jsonl"])
    assert answer.getvalue() == b'{"b": 2}\n'
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert HttpClient().put(links["studentAssessments.jsonl"], b"x").status_code == 403


def test_the_audit_trail_keeps_which_client_took_what(client):
    output_set = make_set()
    client.post(f"output-sets/{output_set.uid}/download-links")
    entry = LogEntry.objects.get(action=LogEntry.Action.ACCESS)
    assert entry.object_pk == str(output_set.run.job_id)
    assert entry.additional_data == {
        "event": "download links made",
        "client": "edu-loader",
        "output_set": str(output_set.uid),
    }
    assert entry.remote_addr == "127.0.0.1"


def test_a_link_expires(client, monkeypatch):
    output_set = make_set()
    links = client.post(f"output-sets/{output_set.uid}/download-links").json()["downloadLinks"]
    monkeypatch.setattr("earthbeam.external.file_links.LIFE", -1)
    assert HttpClient().get(links["studentAssessments.jsonl"]).status_code == 403


def test_a_set_whose_run_has_not_succeeded_has_no_links(client):
    running = factories.make_run(status=Run.Status.RUNNING)
    output_set = factories.make_output_set(running)
    assert client.post(f"output-sets/{output_set.uid}/download-links").status_code == 404
    assert OutputSet.objects.exists()
