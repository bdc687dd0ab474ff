import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam.files import open_store
from earthbeam.jobs import start_run
from earthbeam.models import Job, Run
from earthbeam.paths import app_data_base_path
from partners.models import OdsConnection
from tests import factories, people

pytestmark = pytest.mark.django_db

LIST, ADD = "admin:earthbeam_job_changelist", "admin:earthbeam_job_add"


@pytest.fixture
def bundle():
    """All that the tenant grand_bend needs to load this bundle's files."""
    factories.make_config()
    factories.make_ods_connection()
    return factories.make_bundle()


@pytest.fixture
def client(bundle):
    return people.logged_in(people.make_user())


def form(**changes):
    fields = {
        "tenant": factories.make_tenant().pk,
        "school_year": "2526",
        "param_FORM": "A",
        "file_INPUT_FILE": SimpleUploadedFile("scores.csv", factories.SCORES),
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def submit(client, bundle, **changes):
    return client.post(reverse(ADD, query={"bundle": bundle.pk}), form(**changes))


def page(job, what="change"):
    return reverse(f"admin:earthbeam_job_{what}", args=[job.pk])


def file_url(job, key):
    return reverse("admin:earthbeam_job_file", args=[job.pk, key])


def test_the_first_step_asks_for_the_bundle_the_second_for_what_it_needs(client, bundle):
    first = client.get(reverse(ADD)).content.decode()
    assert bundle.display_name in first
    assert "file_INPUT_FILE" not in first
    step = client.post(reverse(ADD), {"bundle": bundle.pk})
    second = client.get(step.url).content.decode()
    for name in ("tenant", "school_year", "param_FORM", "file_INPUT_FILE_SKILLS"):
        assert f'name="{name}"' in second
    assert "API_YEAR" not in second


def test_submitting_makes_the_job_stores_its_files_and_queues_a_run(client, bundle):
    answer = submit(client, bundle)
    job = Job.objects.get()
    assert answer.url == page(job)
    assert (str(job.created_by), job.input_params) == ("user", {"FORM": "A"})
    assert open_store(app_data_base_path(job)).list() == {
        "input/INPUT_FILE__scores.csv": len(factories.SCORES)
    }
    run = job.runs.get()
    assert [queued.args for queued in ProcrastinateJob.objects.all()] == [{"run_id": str(run.id)}]
    shown = client.get(answer.url).content.decode()
    assert "scores.csv" in shown
    assert str(run.id) in shown


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"file_INPUT_FILE": None}, "This field is required"),
        ({"file_INPUT_FILE": SimpleUploadedFile("a.csv", b"")}, "empty"),
        ({"file_INPUT_FILE": SimpleUploadedFile("a.csv", b"x" * 101)}, "larger than the 100 bytes"),
        ({"file_INPUT_FILE": SimpleUploadedFile("a" * 201, b"x")}, "longer than 200 characters"),
        ({"param_FORM": "Z"}, "Z is not one of the available choices"),
        ({"school_year": "9900"}, "not one of the available choices"),
        ({"tenant": "0"}, "not one of the available choices"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_made(
    client, bundle, settings, changes, complaint
):
    settings.MAX_UPLOAD_BYTES = 100
    answer = submit(client, bundle, **changes)
    errors = answer.context["adminform"].form.errors
    assert list(errors) == list(changes)
    assert complaint in str(errors)
    assert not Job.objects.exists()


def test_a_job_that_the_rules_refuse_says_so_at_the_school_year(client, bundle):
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    errors = submit(client, bundle).context["adminform"].form.errors
    assert "no active ODS connection" in str(errors["school_year"])


def test_only_bundles_and_tenants_of_the_person_are_offered(client, bundle):
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    theirs = factories.make_bundle(
        {**factories.BUNDLE_TEMPLATE, "path": "assessments/Other", "display_name": "Other"}
    )
    theirs.enabled_for.set([far.partner])
    bundle.enabled_for.add(far.partner)
    assert b"Other" not in client.get(reverse(ADD)).content
    assert b"file_INPUT_FILE" not in client.get(reverse(ADD, query={"bundle": theirs.pk})).content
    assert b"far" not in client.get(reverse(ADD, query={"bundle": bundle.pk})).content
    answer = submit(client, bundle, tenant=far.pk)
    assert "tenant" in answer.context["adminform"].form.errors
    assert not Job.objects.exists()


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
