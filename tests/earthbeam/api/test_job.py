import pytest
from django.utils import timezone

from earthbeam.runs import payload
from partners.models import OdsConnection


def test_the_payload_is_answered_and_kept_by_nobody_on_the_way(run, executor):
    response = executor.get()
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response.json() == payload.build(run)


def test_every_url_of_the_payload_leads_to_a_call(run, executor, client, settings):
    for url in executor.get().json()["appUrls"].values():
        path = url.removeprefix(settings.APP_URL)
        assert client.post(path).status_code == 401, f"{path} knows no executor"


@pytest.mark.parametrize("accept", ["text/html", "application/x-ndjson", "*/*"])
def test_the_answer_is_json_whatever_is_accepted(executor, accept):
    response = executor.get(Accept=accept)
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("status", ["success", "error"])
def test_a_run_that_has_ended_gets_no_secret_any_more(run, executor, status):
    run.status = status
    run.save()
    response = executor.get()
    assert response.status_code == 409
    assert response.json() == {"detail": "The run has ended."}


def test_a_retired_ods_connection_ends_the_run_with_what_happened(run, executor):
    OdsConnection.objects.update(retired_at=timezone.now())
    response = executor.get()
    assert response.status_code == 409
    reason = (
        "The tenant has no active ODS connection for 2025-26 now. Add one, then run the job again."
    )
    assert response.json() == {"detail": reason}
    run.refresh_from_db()
    assert run.status == "error"
    assert list(run.errors.values_list("code", "payload")) == [("invalid_job", {"message": reason})]
