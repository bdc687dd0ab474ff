import pytest
from django.urls import reverse

from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import Run
from tests import factories, people

pytestmark = pytest.mark.django_db

LIST = "admin:earthbeam_job_changelist"


@pytest.fixture
def bundle():
    """All that the tenant grand_bend needs to load this bundle's files."""
    factories.make_config()
    factories.make_ods_connection()
    return factories.make_bundle()


@pytest.fixture
def client(bundle):
    return people.logged_in(people.make_user())


def page(job, what="change"):
    return reverse(f"admin:earthbeam_job_{what}", args=[job.pk])


def file_url(job, key):
    return reverse("admin:earthbeam_job_file", args=[job.pk, key])


def test_a_job_runs_again_once_its_run_has_ended(client):
    job = factories.make_job()
    start_run(job)
    again = {"action": "run_again", "_selected_action": [job.pk]}
    refused = client.post(reverse(LIST), again, follow=True).content.decode()
    assert "has a run in progress" in refused
    Run.objects.update(status="error")
    client.post(reverse(LIST), again)
    assert job.runs.count() == 2


def test_a_job_cannot_be_edited_or_deleted_by_a_user(client):
    job = factories.make_job()
    assert client.post(page(job), {"school_year": "2425"}).status_code == 403
    assert client.post(page(job, "delete"), {"post": "yes"}).status_code == 403


def test_jobs_of_another_tenant_are_not_there(client):
    mine = factories.make_job()
    foreign = factories.make_job(tenant=factories.make_tenant("elsewhere"))
    listed = client.get(reverse(LIST)).content.decode()
    assert str(mine.pk) in listed
    assert str(foreign.pk) not in listed
    assert "elsewhere" not in listed
    for what in ("change", "history", "delete"):
        assert client.get(page(foreign, what)).status_code in (302, 403)
    assert client.get(file_url(foreign, "input/INPUT_FILE__scores.csv")).status_code == 404
    client.post(reverse(LIST), {"action": "run_again", "_selected_action": [foreign.pk]})
    assert not Run.objects.exists()
    # Partner admins see all of the partner's tenants.
    admin = people.logged_in(people.make_partner_admin())
    assert admin.get(file_url(foreign, "input/INPUT_FILE__scores.csv")).status_code == 200


def test_files_are_downloaded_as_files(client):
    job = factories.make_job(files={"INPUT_FILE": ("Ñandú #1?.html", b"<script>")})
    factories.store_file(job, "output/ods/a.jsonl", b"{}\n")
    answer = client.get(file_url(job, "input/INPUT_FILE__Ñandú #1?.html"))
    assert b"".join(answer.streaming_content) == b"<script>"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["Content-Type"] == "application/octet-stream"
    assert client.get(file_url(job, "output/ods/a.jsonl")).status_code == 200
    assert "INPUT_FILE__%C3%91and%C3%BA%20%231%3F.html" in client.get(page(job)).content.decode()


@pytest.mark.parametrize(
    "key", ["input/none.csv", "input", "output/ods", "secret/a", "input/../../x", "input//a"]
)
def test_what_is_no_file_of_the_job_is_not_found(client, key):
    job = factories.make_job()
    factories.store_file(job, "output/ods/a.jsonl")
    factories.store_file(job, "secret/a")
    url = file_url(job, "input/x").replace("input/x", key)
    assert client.get(url).status_code == 404


def test_files_are_for_people_who_logged_in(client):
    client.logout()
    answer = client.get(file_url(factories.make_job(), "input/INPUT_FILE__scores.csv"))
    assert (answer.status_code, "login" in answer.url) == (302, True)
