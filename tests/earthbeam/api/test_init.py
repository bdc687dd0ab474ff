import threading

import pytest
import requests
from django.db import connection

from earthbeam.models import Run
from earthbeam.runs import payload, tokens
from tests import factories
from tests.earthbeam.api.conftest import Executor


def test_the_handshake_begins_the_run_and_hands_out_an_access_token(db):
    run = factories.make_run()
    response = Executor(run, tokens.init_token(run)).get("init")

    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"token", "jobUrl"}
    assert tokens.read(body["token"], "access").run_id == run.pk
    assert body["jobUrl"] == payload.job_url(run.pk)
    assert response["Cache-Control"] == "no-store"
    run.refresh_from_db()
    assert run.status == Run.Status.RUNNING
    assert run.started_at is not None


def test_the_jobs_url_is_absolute_and_below_the_apps_own(db, settings):
    settings.APP_URL = "https://runway.example.org"
    run = factories.make_run()
    body = Executor(run, tokens.init_token(run)).get("init").json()
    assert body["jobUrl"] == f"https://runway.example.org/api/earthbeam/jobs/{run.pk}"


@pytest.mark.parametrize("status", ["running", "success", "error"])
def test_an_init_token_is_401_once_the_run_is_no_longer_new(db, status):
    run = factories.make_run(status=status)
    before = run.started_at
    response = Executor(run, tokens.init_token(run)).get("init")
    assert response.status_code == 401
    assert response.json() == {"detail": "The run is no longer new: an init token works once."}
    assert response["WWW-Authenticate"] == 'Bearer realm="executor"'
    run.refresh_from_db()
    assert (run.status, run.started_at) == (status, before)


@pytest.mark.parametrize("kind", ["preview", "resend", "withdraw"])
def test_an_executor_that_does_not_know_the_runs_kind_does_not_begin_it(db, kind):
    load = factories.make_run(status="success")
    run = factories.make_run(load.job, kind=kind, continues=load)
    response = Executor(run, tokens.init_token(run)).get("init")
    assert response.status_code == 409
    run.refresh_from_db()
    assert (run.status, run.started_at) == ("error", None)
    assert "Update the executor's image" in run.errors.get().payload["message"]
    again = factories.make_run(load.job, kind=kind, continues=load)
    executor = Executor(again, tokens.init_token(again))
    assert executor.get("init", Runway_Kinds=f"load,{kind}").status_code == 200


def test_a_token_works_once(db):
    run = factories.make_run()
    executor = Executor(run, tokens.init_token(run))
    assert [executor.get("init").status_code for _ in range(3)] == [200, 401, 401]


@pytest.mark.django_db(transaction=True)
def test_of_many_handshakes_at_once_over_real_sockets_exactly_one_wins(live_server):
    run = factories.make_run()
    token = tokens.init_token(run)
    url = live_server.url + Executor(run).url("init")
    start = threading.Barrier(8)
    answers = []

    def shake():
        start.wait()
        answers.append(requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30))

    threads = [threading.Thread(target=shake) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    assert not connection.in_atomic_block
    run.refresh_from_db()
    assert run.status == Run.Status.RUNNING
