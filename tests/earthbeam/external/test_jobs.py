import io
import json
import socket
import threading
import time
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as HttpClient
from django.test import RequestFactory

from earthbeam.external import file_links
from earthbeam.files import open_store
from earthbeam.models import Bundle, Job, Run
from earthbeam.paths import app_data_base_path
from earthbeam.runs import reports, states
from partners.models import OdsConnection
from tests import factories
from tests.earthbeam.external.conftest import AUDIENCE, ApiClient

MISSING = "00000000-0000-0000-0000-000000000000"


def put(url, content=factories.SCORES):
    return HttpClient().put(url, content, content_type="text/csv")


def create(client, body, **headers):
    answer = client.post("jobs", body, **headers)
    assert answer.status_code == 201, answer.json()
    return answer.json()


def brought(client, body):
    """A job whose file has been brought."""
    made = create(client, body)
    assert put(made["uploadUrls"]["INPUT_FILE"]).status_code == 200
    return made["uid"]


def test_a_job_is_made_brought_and_started(client, body):
    made = create(client, body)
    job = Job.objects.get()
    assert made["uid"] == str(job.pk)
    assert (job.api_client, job.created_by, job.input_params) == ("edu-loader", None, {"FORM": "A"})
    assert client.get(f"jobs/{job.pk}").json()["status"] == "waiting"
    too_early = client.post(f"jobs/{job.pk}/start")
    assert too_early.status_code == 400
    assert "INPUT_FILE" in str(too_early.json()["files"])
    assert put(made["uploadUrls"]["INPUT_FILE"]).status_code == 200
    started = client.post(f"jobs/{job.pk}/start")
    assert started.status_code == 202
    assert started.json() == {"uid": str(job.pk), "status": "queued"}
    run = Run.objects.get()
    assert (run.job_id, run.api_client) == (job.pk, "edu-loader")
    again = client.post(f"jobs/{job.pk}/start")
    assert again.status_code == 400
    assert "in progress" in str(again.json())
    with open_store(app_data_base_path(job)).open("input/INPUT_FILE__scores.csv") as stored:
        assert stored.read() == factories.SCORES


def test_a_client_that_has_a_name_is_shown_by_it(client_with, body):
    create(client_with(client_name="District loader"), body)
    assert Job.objects.get().api_client == "District loader"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"partner": None}, "partner"),
        ({"tenant": 7}, "tenant"),
        ({"tenant": "nowhere"}, "tenant"),
        ({"bundle": "assessments/None"}, "bundle"),
        ({"schoolYear": "26"}, "schoolYear"),
        ({"schoolYear": "2099"}, "schoolYear"),
        ({"schoolYear": True}, "schoolYear"),
        ({"schoolYear": "２０２６"}, "schoolYear"),
        ({"tenant": "grand\0_bend"}, "tenant"),
        ({"files": {"INPUT_FILE": "a\0.csv"}}, "files"),
        ({"files": {"INPUT\0_FILE": "a.csv"}}, "files"),
        ({"files": {"\ud800": "a.csv"}}, "files"),
        ({"params": {"FO\0RM": "A"}}, "params"),
        ({"files": {}}, "files"),
        ({"files": ["scores.csv"]}, "files"),
        ({"files": {"INPUT_FILE": 1}}, "files"),
        ({"files": {"INPUT_FILE": "../x"}}, "files"),
        ({"files": {"OTHER": "scores.csv"}}, "files"),
        ({"params": {"FORM": "Z"}}, "params"),
        ({"params": {"PATH": "/"}}, "params"),
        ({"params": {"FORM": 1}}, "params"),
        ({"params": []}, "params"),
    ],
)
def test_what_is_wrong_with_a_request_is_named_by_its_field(client, body, change, where):
    answer = client.post("jobs", body | change)
    assert answer.status_code == 400
    assert where in answer.json()
    assert not Job.objects.exists()


def test_all_that_is_wrong_is_said_at_once(client, body):
    wrong = {"files": {"OTHER": "a.csv"}, "params": {"FORM": "Z", "PATH": "/"}}
    answer = client.post("jobs", body | wrong).json()
    assert set(answer["files"]) == {"OTHER", "INPUT_FILE"}
    assert set(answer["params"]) == {"FORM", "PATH"}


@pytest.mark.parametrize("raw", ["", "{", "[]", "7", '"x"', "null", '{"partner": "\\ud800"}'])
def test_a_body_that_is_no_request_is_refused(client, body, raw):
    answer = client.post("jobs", raw)
    assert answer.status_code == 400
    assert_says_what_is_wrong(answer.json())


def test_a_number_that_is_too_long_is_refused_in_words(client):
    answer = client.post("jobs", f'{{"schoolYear": {"9" * 5000}}}')
    assert answer.status_code == 400
    text = "The body is not acceptable JSON: a number has too many digits."
    assert answer.json() == {"detail": text, "statusCode": 400, "message": text}


def test_a_school_year_that_is_none_is_refused_with_an_example(client, body):
    answer = client.post("jobs", body | {"schoolYear": "26"}).json()
    text = "Give the school year's end year in four digits: 2026."
    assert answer == {"schoolYear": [text], "statusCode": 400, "message": text}


def test_refusals_are_alike_in_shape(client, body):
    """``detail`` is a sentence, fields have lists of them."""
    uid = brought(client, body)
    client.post(f"jobs/{uid}/start")
    twice = client.post(f"jobs/{uid}/start")
    assert twice.status_code == 400
    for answer in (twice, client.post("jobs", "[]"), client.post("jobs", "{"), client.get("jobs")):
        assert_says_what_is_wrong(answer.json())


def assert_says_what_is_wrong(refusal):
    assert set(refusal) > {"statusCode", "message"}
    for name, said in refusal.items():
        if name in ("detail", "message"):
            assert isinstance(said, str)
        elif name == "statusCode":
            assert 400 <= said < 600
        else:
            assert name != "non_field_errors"
            assert all(isinstance(each, str) for each in said)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_body_without_its_size_is_refused_and_not_taken_for_an_empty_one(
    client, body, live_server
):
    text = json.dumps(body).encode()
    head = (
        "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {client.token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection((live_server.thread.host, live_server.thread.port)) as wire:
        # In one piece: the server hangs up without reading the rest.
        wire.sendall(head.encode() + f"{len(text):x}\r\n".encode() + text + b"\r\n0\r\n\r\n")
        answer = HTTPResponse(wire)
        answer.begin()
        assert answer.status == 411
        assert "Content-Length" in json.loads(answer.read())["detail"]


def test_bodies_have_a_size(client, body):
    assert client.post("jobs", json.dumps(body | {"x": "y" * 2**20})).status_code == 413


def test_the_year_may_be_a_number_and_the_bundle_its_name_alone(client, body):
    create(client, body | {"schoolYear": 2026, "bundle": "Reading_Check"})


def test_jobs_that_the_rules_refuse_are_not_made(client, body):
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    answer = client.post("jobs", body)
    assert "no active ODS connection" in answer.json()["schoolYear"][0]


# --- Idempotency ----------------------------------------------------------------------------


def test_a_request_that_is_sent_again_makes_no_second_job(client, client_with, body):
    first = create(client, body, Idempotency_Key="a")
    again = create(client, body, Idempotency_Key="a")
    assert again["uid"] == first["uid"]
    assert put(again["uploadUrls"]["INPUT_FILE"]).status_code == 200
    assert create(client, body, Idempotency_Key="b")["uid"] != first["uid"]
    other = client.post("jobs", body | {"params": {}}, Idempotency_Key="a")
    assert other.status_code == 422
    theirs = client_with(client_id="another")
    assert create(theirs, body, Idempotency_Key="a")["uid"] != first["uid"]


def test_a_request_that_is_sent_again_gets_its_job_also_where_it_could_not_be_made_now(
    client, client_with, body
):
    first = create(client, body, Idempotency_Key="a")
    Bundle.objects.get().enabled_for.clear()
    assert client.post("jobs", body, Idempotency_Key="b").status_code == 400
    assert create(client, body, Idempotency_Key="a")["uid"] == first["uid"]
    elsewhere = client_with(partners="tx")  # the same client, with a token for another partner
    assert elsewhere.post("jobs", body, Idempotency_Key="a").status_code == 404


@pytest.mark.parametrize("key", ["", " ", "x" * 256])
def test_a_key_that_is_none_is_refused(client, body, key):
    answer = client.post("jobs", body, Idempotency_Key=key)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()


def test_a_request_that_failed_may_be_fixed_under_its_key(client, body):
    assert (
        client.post("jobs", body | {"params": {"FORM": "Z"}}, Idempotency_Key="a").status_code
        == 400
    )
    create(client, body, Idempotency_Key="a")


@pytest.mark.django_db(transaction=True)
def test_of_equal_requests_at_once_one_makes_the_job(client, body):
    barrier, made = threading.Barrier(8), []

    def request():
        barrier.wait()
        made.append(create(client, body, Idempotency_Key="a")["uid"])
        connection.close()

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert set(made) == {str(Job.objects.get().pk)}


# --- Bringing files by the app's own links -----------------------------------------------------


def test_a_link_to_bring_a_file_works_for_an_hour_and_until_the_start(client, body, monkeypatch):
    made = create(client, body)
    url = made["uploadUrls"]["INPUT_FILE"]
    assert HttpClient().put(url, b"", CONTENT_LENGTH="0").status_code == 400
    assert put(url, b"first").status_code == 200
    assert put(url).status_code == 200
    assert HttpClient().get(url).status_code == 403
    assert HttpClient().post(url).json() == {"detail": "PUT a file to this link, or GET it."}
    assert put(url[:-2] + "xx").status_code == 403
    client.post(f"jobs/{made['uid']}/start")
    assert put(url).status_code == 409
    monkeypatch.setattr("earthbeam.external.file_links.LIFE", -1)
    expired = put(url)
    assert expired.status_code == 403
    assert "expired" in expired.json()["detail"]


def test_a_file_that_is_too_large_or_has_no_size_is_refused(client, body, settings):
    url = create(client, body)["uploadUrls"]["INPUT_FILE"]
    settings.MAX_UPLOAD_BYTES = 10
    assert put(url, b"x" * 11).status_code == 413
    chunked = HttpClient().generic("PUT", url, b"")
    assert chunked.status_code in (400, 411)
    assert open_store(app_data_base_path(Job.objects.get())).list() == {}


def test_a_directory_that_takes_and_gives_no_files_is_told(client, body, settings, tmp_path):
    settings.FILES_BASE = f"file://{tmp_path}/base"
    url = create(client, body)["uploadUrls"]["INPUT_FILE"]
    job = Job.objects.get()
    get = file_links.link(RequestFactory().get("/"), job, "output/ods/a.jsonl", "download")
    (tmp_path / "base").write_text("a file where the folder should be")
    for answer in (put(url), HttpClient().get(get)):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
        assert "file storage does not respond" in answer.json()["detail"]
    assert job.files.get().size is None


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_upload_that_ends_early_leaves_nothing(client, body, live_server):
    """Over a real socket: the client says 1,000 bytes, sends a few and hangs up."""
    path = urlsplit(create(client, body)["uploadUrls"]["INPUT_FILE"]).path
    with socket.create_connection((live_server.thread.host, live_server.thread.port)) as wire:
        wire.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf".encode()
        )
        wire.shutdown(socket.SHUT_WR)
        answer = wire.makefile("rb").read()
    assert b" 400 " in answer.splitlines()[0]
    assert b"Send the file again" in answer
    job = Job.objects.get()
    assert open_store(app_data_base_path(job)).list() == {}
    assert job.files.get().size is None


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_upload_that_the_start_overtakes_changes_no_file(client, body, live_server):
    made = create(client, body)
    url = made["uploadUrls"]["INPUT_FILE"]
    assert put(url).status_code == 200
    with socket.create_connection((live_server.thread.host, live_server.thread.port)) as wire:
        head = f"PUT {urlsplit(url).path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
        wire.sendall(f"{head}la".encode())
        while not list(Path(settings.FILES_BASE.removeprefix("file://")).rglob(".partial-*")):
            time.sleep(0.05)  # until it is being taken
        assert client.post(f"jobs/{made['uid']}/start").status_code == 202
        wire.sendall(b"ter")
        answer = wire.makefile("rb").readline()
    assert b" 409 " in answer
    with open_store(app_data_base_path(Job.objects.get())).open(
        "input/INPUT_FILE__scores.csv"
    ) as f:
        assert f.read() == factories.SCORES


# --- How a job stands ------------------------------------------------------------------------


def test_a_job_tells_all_that_its_run_has_reported(client, body):
    uid = brought(client, body)
    client.post(f"jobs/{uid}/start")
    run = Run.objects.get()
    states.begin(run.pk)
    reports.record_update(run, "refresh_bundle_code", "begin")
    reports.record_summary(
        run,
        {"studentAssessments": {"records_processed": 9, "records_skipped": 1, "records_failed": 2}},
    )
    reports.record_unmatched_ids(run, "student_id", "State", 3)
    reports.record_matches(
        run,
        {
            "input_rows": 12, "ods_matched": 6, "cross_year_matched": 3, "unmatched": 3,
            "blank_ids": 1, "ambiguous_ids": 0, "id_name": "student_id", "id_type": "State",
            "match_rate": 0.5, "suggested": 2,
        },
    )  # fmt: skip
    states.finish(run.pk, success=True)
    answer = client.get(f"jobs/{uid}").json()
    assert {
        name: answer[name]
        for name in ("uid", "partner", "tenant", "schoolYear", "status", "outcome")
    } == {
        "uid": uid,
        "partner": "ea",
        "tenant": "grand_bend",
        "schoolYear": "2026",
        "status": "complete_with_errors",
        "outcome": "complete_with_errors",
    }
    assert answer["files"] == {"INPUT_FILE": "scores.csv"}
    told = answer["run"]
    assert told["steps"][0]["action"] == "refresh_bundle_code"
    assert told["summary"] == {"studentAssessments": {"processed": 9, "skipped": 1, "failed": 2}}
    assert told["unmatched"] == {"name": "student_id", "type": "State", "count": 3}
    assert told["matches"]["crossYearMatched"] == 3
    assert (told["matches"]["suggested"], told["matches"]["repairable"]) == (2, None)
    assert told["errors"] == []


def test_clients_that_know_no_unmatched_outcome_still_see_complete_with_errors(client):
    unmatched = factories.make_run(status=Run.Status.RUNNING)
    reports.record_unmatched_ids(unmatched, "student_id", "State", 3)
    states.finish(unmatched.pk, success=True)
    refused = factories.make_run(status=Run.Status.RUNNING)
    factories.make_summary(refused, failed=1)
    states.finish(refused.pk, success=True)
    factories.make_run(status=Run.Status.RUNNING)

    def found(query):
        answer = client.get(f"jobs?partner=ea&{query}").json()
        return [(job["uid"], job["status"], job["outcome"]) for job in answer]

    both = [
        (str(unmatched.job_id), "complete_with_errors", "complete_unmatched"),
        (str(refused.job_id), "complete_with_errors", "complete_with_errors"),
    ]
    assert found("status=complete_with_errors") == both
    assert found("outcome=complete_unmatched") == both[:1]
    assert [outcome for *_, outcome in found("status=running")] == [None]
    assert client.get("jobs?partner=ea&status=complete_unmatched").status_code == 400


def test_a_run_without_edu_says_so(client):
    run = factories.make_run(status=Run.Status.RUNNING, edu_unavailable="edu_credentials_denied")
    assert client.get(f"jobs/{run.job_id}").json()["run"]["eduUnavailable"] == (
        "edu_credentials_denied"
    )


def test_a_failed_job_says_why_in_words_without_the_stack_trace(client):
    run = factories.make_run(status=Run.Status.RUNNING)
    states.fail(run.pk, "missing_ods_roster", {"stacktrace": "Traceback secret"})
    answer = client.get(f"jobs/{run.job_id}")
    (error,) = answer.json()["run"]["errors"]
    assert error["code"] == "missing_ods_roster"
    assert error["message"]
    assert "Traceback" not in answer.content.decode()


def test_a_job_is_previewed_and_then_loaded(client):
    factories.make_ods_connection()
    job = factories.make_job()
    answer = client.post(f"jobs/{job.pk}/start", {"preview": True})
    assert answer.status_code == 202
    run = job.runs.get()
    assert run.kind == "preview"
    Run.objects.update(status="success")
    told = client.get(f"jobs/{job.pk}").json()
    assert (told["status"], told["outcome"]) == ("previewed", "previewed")
    assert told["run"]["kind"] == "preview"
    assert client.post(f"jobs/{job.pk}/start").status_code == 202
    assert job.runs.latest("created_at").kind == "load"


def test_refused_records_are_sent_again(client):
    factories.make_ods_connection()
    run = factories.make_loaded_run(refused=[2])
    both = client.post(f"jobs/{run.job_id}/start", {"preview": True, "resend": True})
    assert both.status_code == 400
    assert client.get(f"jobs/{run.job_id}").json()["run"]["matches"]["refusedRows"] == 1
    assert client.post(f"jobs/{run.job_id}/start", {"resend": True}).status_code == 202
    assert run.job.runs.latest("created_at").kind == "resend"
    taken = factories.make_loaded_run()
    answer = client.post(f"jobs/{taken.job_id}/start", {"resend": True})
    assert answer.status_code == 400
    assert "refused no records" in str(answer.json())


def test_a_job_in_progress_is_cancelled_once(client):
    run = factories.make_run(status=Run.Status.RUNNING)
    assert client.post(f"jobs/{run.job_id}/cancel").status_code == 202
    run.refresh_from_db()
    assert run.status == Run.Status.ERROR
    assert client.post(f"jobs/{run.job_id}/cancel").status_code == 409
    assert client.post(f"jobs/{factories.make_job().pk}/cancel").status_code == 409


def test_jobs_are_listed_in_pages_oldest_first(client):
    jobs = [factories.make_job() for _ in range(5)]
    factories.make_run(jobs[0], Run.Status.SUCCESS)
    seen, path = [], "jobs?partner=ea&limit=2"
    while path:
        answer = client.get(path)
        seen += [each["uid"] for each in answer.json()]
        link = answer.headers.get("Link", "")
        path = link.partition("/api/v1/")[2].partition(">")[0]
    assert seen == [str(job.pk) for job in jobs]
    done = client.get("jobs", {"partner": "ea", "status": "complete"}).json()
    assert [each["uid"] for each in done] == [str(jobs[0].pk)]


# --- Partners --------------------------------------------------------------------------------


def test_what_belongs_to_another_partner_is_not_there(client_with, body):
    """Each token with each object: only those of the token's own partners are there."""
    foreign = factories.make_job(
        tenant=factories.make_tenant("far", partner=factories.make_partner("tx"))
    )
    factories.make_bundle()
    jobs = {"ea": factories.make_job(), "tx": foreign}
    sets = {
        code: factories.make_output_set(factories.make_run(job, Run.Status.SUCCESS))
        for code, job in jobs.items()
    }
    for partners in ("", "ea", "tx", "ea tx", "none"):
        client = client_with(partners=partners)
        for code, job in jobs.items():
            there = code in partners.split()
            calls = {
                "job": client.get(f"jobs/{job.pk}").status_code == 200,
                "start": client.post(f"jobs/{job.pk}/start").status_code != 404,
                "cancel": client.post(f"jobs/{job.pk}/cancel").status_code != 404,
                "jobs": client.get("jobs", {"partner": code}).status_code == 200,
                "sets": client.get("output-sets", {"partner": code}).status_code == 200,
                "links": client.post(f"output-sets/{sets[code].pk}/download-links").status_code
                == 200,
                "create": client.post("jobs", body | {"partner": code}).status_code != 404,
            }
            assert calls == dict.fromkeys(calls, there), (partners, code)


def test_a_tenant_of_another_partner_is_no_tenant(client, body):
    factories.make_tenant("far", partner=factories.make_partner("tx"))
    assert "tenant" in client.post("jobs", body | {"tenant": "far"}).json()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "jobs"),
        ("get", f"jobs/{MISSING}"),
        ("post", f"jobs/{MISSING}/start"),
        ("post", f"jobs/{MISSING}/cancel"),
        ("post", f"output-sets/{MISSING}/download-links"),
        ("post", "token/verify"),
    ],
)
def test_calls_without_parameters_refuse_them_by_name(client, method, path):
    answer = getattr(client, method)(f"{path}?partner=ea&format=xml")
    assert answer.status_code == 400
    assert set(answer.json()) == {"partner", "format", "statusCode", "message"}


def test_a_method_that_a_call_does_not_have_is_405_whatever_comes_along(client):
    headers = {"Authorization": f"Bearer {client.token}"}
    assert HttpClient().put("/api/v1/jobs?partner=ea", headers=headers).status_code == 405


@pytest.mark.parametrize(
    "path", [f"jobs/{MISSING}", f"jobs/{MISSING}/start", f"output-sets/{MISSING}/download-links"]
)
def test_what_is_not_there_is_404(client, path):
    factories.make_partner()
    method = client.get if path == f"jobs/{MISSING}" else client.post
    assert method(path).status_code == 404


# --- Limits ----------------------------------------------------------------------------------


def test_a_client_may_only_ask_so_often_and_others_are_not_held_up(client, client_with, settings):
    settings.API_REQUESTS_PER_MINUTE = 3
    factories.make_partner()
    answers = [client.get("jobs", {"partner": "ea"}) for _ in range(7)]
    codes = [answer.status_code for answer in answers]
    # A minute may begin in between.
    assert codes[:3] == [200] * 3
    assert 429 in codes
    assert 0 < int(answers[codes.index(429)].headers["Retry-After"]) <= 60
    assert client_with(client_id="another").get("jobs", {"partner": "ea"}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_requests_at_once_are_all_counted(client, settings):
    settings.API_REQUESTS_PER_MINUTE = 10
    factories.make_partner()
    codes, barrier = [], threading.Barrier(24)

    def request():
        barrier.wait()
        codes.append(client.get("jobs", {"partner": "ea"}).status_code)
        connection.close()

    threads = [threading.Thread(target=request) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 10 <= codes.count(200) <= 20  # above 10 where a minute began in between
    assert set(codes) == {200, 429}


# --- On S3 -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_on_s3_files_are_brought_and_fetched_by_presigned_urls(client, body, bucket, settings):
    import requests

    settings.FILES_BASE = f"s3://{bucket}/base"
    made = create(client, body)
    url = made["uploadUrls"]["INPUT_FILE"]
    assert bucket in url
    assert requests.put(url, data=factories.SCORES, timeout=30).status_code == 200
    assert client.post(f"jobs/{made['uid']}/start").status_code == 202
    job = Job.objects.get()
    assert job.files.get().size == len(factories.SCORES)
    run = Run.objects.get()
    states.begin(run.pk)
    content = b'{"a": 1}\n'
    open_store(app_data_base_path(job)).save(io.BytesIO(content), "output/non-ods/a.jsonl")
    path = f"{app_data_base_path(job).removeprefix(settings.FILES_BASE + '/')}/output/non-ods"
    output_set = reports.add_output_set(run, path, sent_to_ods=False)
    assert output_set
    states.finish(run.pk, success=True)
    links = client.post(f"output-sets/{output_set.uid}/download-links").json()["downloadLinks"]
    assert requests.get(links["a.jsonl"], timeout=30).content == content


@pytest.mark.slow
def test_on_s3_an_empty_or_too_large_file_does_not_start(client, body, bucket, settings):
    import requests

    settings.FILES_BASE = f"s3://{bucket}"
    settings.MAX_UPLOAD_BYTES = 10
    made = create(client, body)
    for content in (b"", b"x" * 11):
        requests.put(made["uploadUrls"]["INPUT_FILE"], data=content, timeout=30)
        answer = client.post(f"jobs/{made['uid']}/start")
        assert answer.status_code == 400
        assert "INPUT_FILE" in answer.json()["files"]


@pytest.mark.usefixtures("aws_environment")
def test_a_storage_that_is_away_is_told_and_may_be_back_later(
    client, body, settings, change_aws, caplog
):
    settings.FILES_BASE = "s3://runway-away"
    uid = create(client, body)["uid"]
    change_aws(AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    answer = client.post(f"jobs/{uid}/start")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "file storage does not respond" in answer.json()["detail"]
    assert not Run.objects.exists()
    assert f"jobs/{uid}/start" in caplog.text
    assert "scores.csv" not in caplog.text


def test_the_token_that_is_wanted_is_that_of_this_audience(issuer, body):
    token = issuer.access_token(scope="create:jobs partner:ea", audience=AUDIENCE)
    assert ApiClient(token).post("jobs", body).status_code == 201


def test_what_existing_clients_send_is_taken(client, body):
    name = next(iter(body["files"]))
    odd = body | {"params": None, "files": {name: f"  {body['files'][name]} "}}
    made = client.post("jobs", odd)
    assert made.status_code == 201, made.json()
    file = Job.objects.get(pk=made.json()["uid"]).files.get()
    assert file.name == body["files"][name]
    listed = client.get("jobs", {"partner": "ea", "tenant": "", "schoolYear": "", "status": ""})
    assert [each["uid"] for each in listed.json()] == [made.json()["uid"]]
