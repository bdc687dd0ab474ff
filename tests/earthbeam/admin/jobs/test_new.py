import hashlib
import json
import os
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam import files
from earthbeam.admin.jobs.new import new_job_url
from earthbeam.files import open_store
from earthbeam.jobs import lifecycle
from earthbeam.models import Job, JobFile, Run, RunMatches
from earthbeam.paths import app_data_base_path, roster_key
from earthbeam.runs import payload
from edu import connections
from partners.models import OdsConnection, SchoolYearConfig
from tests import factories, people
from tests.aws import iam_enforced, variables_of

pytestmark = pytest.mark.django_db

ADD, CHECK = "admin:earthbeam_job_add", "admin:earthbeam_job_check"
BATCH = "admin:earthbeam_job_changelist"


@pytest.fixture
def bundle():
    """All that the tenant grand_bend needs to load this bundle's files."""
    factories.make_config()
    factories.make_ods_connection()
    bundle = factories.make_bundle()
    bundle.student_id_columns = ["student_id", "state_id"]
    bundle.save()
    return bundle


@pytest.fixture
def client(bundle):
    return people.logged_in(people.make_user())


def scores(name="scores.csv", content=factories.SCORES):
    return SimpleUploadedFile(name, content)


def form(bundle, /, **changes):
    fields = {
        "tenant": factories.make_tenant().pk,
        "bundle": bundle.pk,
        "school_year": "2526",
        "param_FORM": "A",
        "file_INPUT_FILE": scores(),
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def submit(client, bundle, **changes):
    return client.post(reverse(ADD), form(bundle, **changes))


def submit_by_script(client, bundle, **changes):
    answer = client.post(
        reverse(ADD), form(bundle, **changes), headers={"Accept": "application/json"}
    )
    return answer.status_code, answer.json()


def job_page(job):
    return reverse("admin:earthbeam_job_change", args=[job.pk])


def stored():
    """All files in the storage, by name."""
    from django.conf import settings

    return sorted(key.rsplit("/", 1)[-1] for key in open_store(settings.FILES_BASE).list())


def told(client, url):
    """What the page at ``url`` says at its top, as one text."""
    answer = client.get(url)
    return " ".join(str(message) for message in answer.context["messages"])


# --- The page ---------------------------------------------------------------------------------


def test_the_page_asks_for_what_the_chosen_assessment_needs(client, bundle):
    first = client.get(reverse(ADD)).content.decode()
    assert bundle.display_name in first
    assert "file_INPUT_FILE" not in first
    second = client.get(new_job_url(bundle=bundle.pk)).content.decode()
    for name in (
        "tenant",
        "school_year",
        "param_FORM",
        "file_INPUT_FILE",
        "file_INPUT_FILE_SKILLS",
    ):
        assert f'name="{name}"' in second
    assert "API_YEAR" not in second


def test_only_bundles_and_tenants_of_the_person_are_offered(client, bundle):
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    theirs = factories.make_bundle(
        {**factories.BUNDLE_TEMPLATE, "path": "assessments/Other", "display_name": "Other"}
    )
    theirs.enabled_for.set([far.partner])
    bundle.enabled_for.add(far.partner)
    assert b"Other" not in client.get(reverse(ADD)).content
    asked = client.get(new_job_url(bundle=theirs.pk)).content
    assert b"file_INPUT_FILE" not in asked
    assert b"not enabled for EA" in asked
    asked = client.get(new_job_url(bundle=bundle.pk, tenant=far.pk)).content
    assert b"far" not in asked
    assert b"do not have access" in asked
    submit(client, bundle, tenant=far.pk)
    submit(client, theirs)
    assert submit_by_script(client, theirs)[0] == 422
    assert not Job.objects.exists()


def test_a_tenant_is_asked_for_only_where_there_are_several(client, bundle):
    one = client.get(reverse(ADD)).content.decode()
    assert 'id="id_tenant"' not in one
    other = factories.make_tenant("other")
    admin = people.logged_in(people.make_partner_admin())
    several = admin.get(new_job_url(bundle=bundle.pk)).content.decode()
    assert '<select id="id_tenant"' in several
    assert "file_INPUT_FILE" not in several  # not before it is known where to
    assert b"file_INPUT_FILE" in admin.get(new_job_url(bundle=bundle.pk, tenant=other.pk)).content


def test_many_tenants_are_searched_by_name_or_code(bundle):
    for number in range(20):
        factories.make_tenant(f"t{number}")
    admin = people.logged_in(people.make_partner_admin())
    assert b"<datalist" in admin.get(reverse(ADD)).content
    answer = admin.get(new_job_url(bundle=bundle.pk, tenant="T7 (ea)"))
    assert answer.context["chosen"].tenant.code == "t7"


def test_the_page_stays_at_a_few_queries_with_a_thousand_tenants(
    bundle, django_assert_max_num_queries
):
    partner = factories.make_partner()
    type(factories.make_tenant()).objects.bulk_create(
        type(factories.make_tenant())(partner=partner, code=f"t{number}") for number in range(1000)
    )
    for start in range(10, 25):
        factories.make_year(f"{start}{start + 1}")
    admin = people.logged_in(people.make_superuser())
    with django_assert_max_num_queries(20):
        admin.get(new_job_url(bundle=bundle.pk, tenant=factories.make_tenant().pk))


def test_people_without_a_tenant_are_told_so(bundle):
    lost = people.make_user()
    lost.memberships.get().tenants.clear()
    assert b"cannot submit files for any tenant" in people.logged_in(lost).get(reverse(ADD)).content
    lost.memberships.all().delete()  # who has no membership at all gets in nowhere
    for answer in (
        people.logged_in(lost).get(reverse(ADD)),
        people.logged_in(lost).post(reverse(CHECK)),
    ):
        assert answer["Location"].startswith("/admin/login/")


# --- School years -----------------------------------------------------------------------------


def years(client, bundle):
    page = client.get(new_job_url(bundle=bundle.pk))
    usable = [each.year.pk for each in page.context["usable_years"]]
    return usable, {each.year.pk: each.problem for each in page.context["other_years"]}


def test_years_that_cannot_be_chosen_stand_there_with_the_reason(client, bundle):
    factories.make_year("2324")
    factories.make_config(year=factories.make_year("2425"))
    factories.make_config(year=factories.make_year("2223"), sends_to_ods=False)
    usable, others = years(client, bundle)
    assert usable == ["2526"]
    assert "does not accept jobs for 2023-24" in others["2324"]
    assert "no active ODS connection for 2024-25" in others["2425"]
    assert "needs EDU's roster or a roster file" in others["2223"]
    shown = client.get(new_job_url(bundle=bundle.pk)).content.decode()
    assert 'value="2526" id="id_school_year_2526" required checked' in shown
    assert 'value="2425"' not in shown


def test_a_roster_file_makes_a_year_without_ods_usable(client, bundle):
    year = factories.make_year("2324")
    factories.make_config(year=year, sends_to_ods=False)
    key = roster_key(factories.make_tenant(), year)
    from django.conf import settings

    store = open_store(settings.FILES_BASE)
    with Path(os.devnull).open("rb") as empty:
        store.save(empty, key)
    try:
        assert years(client, bundle)[0] == ["2526", "2324"]
    finally:
        store.delete(key)


def test_aws_is_asked_once_however_many_years_there_are(client, bundle, monkeypatch):
    factories.make_partner(cross_year_match_enabled=True)
    for code in ("2122", "2223", "2324"):
        factories.make_config(year=factories.make_year(code), sends_to_ods=False)
    asked = []

    def available(partner, generation):
        asked.append(partner)
        return False

    monkeypatch.setattr(connections, "available", available)
    assert years(client, bundle)[0] == ["2526"]
    assert asked == ["ea"]


@pytest.mark.usefixtures("aws_environment")
def test_a_storage_that_is_away_is_a_reason_and_no_crash(client, bundle, settings, change_aws):
    settings.FILES_BASE = "s3://runway-away"
    change_aws(AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    for code in ("2223", "2324"):
        factories.make_config(year=factories.make_year(code), sends_to_ods=False)
    usable, others = years(client, bundle)
    assert usable == ["2526"]
    assert "file storage does not respond" in others["2324"]


# --- Submitting -------------------------------------------------------------------------------


def test_submitting_makes_the_job_stores_its_files_and_queues_a_run(client, bundle):
    answer = submit(client, bundle)
    job = Job.objects.get()
    assert answer.url == job_page(job)
    assert (str(job.created_by), job.input_params) == ("user", {"FORM": "A"})
    assert open_store(app_data_base_path(job)).list() == {
        "input/INPUT_FILE__scores.csv": len(factories.SCORES)
    }
    assert job.files.get().sha256 == hashlib.sha256(factories.SCORES).hexdigest()
    run = job.runs.get()
    assert run.started_by == job.created_by
    assert [queued.args for queued in ProcrastinateJob.objects.all()] == [{"run_id": str(run.id)}]
    shown = client.get(answer.url).content.decode()
    assert "scores.csv" in shown
    assert "is queued" in shown
    history = client.get(reverse("admin:earthbeam_job_history", args=[job.pk])).content.decode()
    assert "Added" in history


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"file_INPUT_FILE": None}, "Choose a file"),
        ({"file_INPUT_FILE": scores(content=b"")}, "is empty"),
        ({"file_INPUT_FILE": scores(content=b"student_id,score\n")}, "no rows below it"),
        ({"file_INPUT_FILE": scores(content=b"x\n" * 51)}, "larger than the 100 bytes"),
        ({"file_INPUT_FILE": scores("a" * 201)}, "longer than 200 characters"),
        ({"file_INPUT_FILE": scores(content=b"PK\x03\x04 in truth")}, "an Excel workbook"),
        ({"file_INPUT_FILE_SKILLS": scores(content=b"%PDF-1")}, "a PDF document"),
        ({"param_FORM": "Z"}, "Z is not one of the available choices"),
        ({"school_year": "9900"}, "not one of the available choices"),
        ({"school_year": None}, "This field is required"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_made(
    client, bundle, settings, changes, complaint
):
    settings.MAX_UPLOAD_BYTES = 100
    answer = submit(client, bundle, **changes)
    errors = answer.context["form"].errors
    assert list(errors) == list(changes)
    assert complaint in str(errors)
    shown = answer.content.decode()
    assert complaint in shown
    assert "choose the files again" in shown
    assert not Job.objects.exists()
    for upload in changes.values():
        if hasattr(upload, "seek"):
            upload.seek(0)
    assert submit_by_script(client, bundle, **changes) == (
        422,
        {"errors": json.loads(json.dumps(errors))},
    )


def test_values_and_choices_are_kept_when_something_else_is_wrong(client, bundle):
    factories.make_config(year=factories.make_year("2425"))
    factories.make_ods_connection(year=factories.make_year("2425"))
    shown = submit(client, bundle, file_INPUT_FILE=None, school_year="2425").content.decode()
    assert '<option value="A" selected>' in shown
    assert 'value="2425" id="id_school_year_2425" required checked' in shown


def test_a_job_that_the_rules_refuse_says_so_at_the_school_year(client, bundle):
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    errors = submit(client, bundle).context["form"].errors
    assert "no active ODS connection" in str(errors["school_year"])
    SchoolYearConfig.objects.update(enabled=False)
    errors = submit(client, bundle).context["form"].errors
    assert "does not accept jobs for 2025-26" in str(errors["school_year"])
    assert not Job.objects.exists()


def test_a_script_is_answered_with_the_job_or_the_errors(client, bundle):
    status, answer = submit_by_script(client, bundle)
    job = Job.objects.get()
    assert (status, answer) == (201, {"url": job_page(job), "warnings": []})
    assert told(client, job_page(job)) == ""


def test_a_form_of_another_site_is_refused(client, bundle):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert submit(strict, bundle).status_code == 403
    assert strict.post(reverse(CHECK), {"key": "INPUT_FILE"}).status_code == 403


# --- Several files ----------------------------------------------------------------------------


def test_several_files_become_several_jobs_one_failing_does_not_stop_the_others(client, bundle):
    uploads = [
        scores("a.csv", factories.SCORES + b"1,1\n"),
        scores("b.csv", b"%PDF"),
        scores("c.csv", factories.SCORES + b"2,2\n"),
    ]
    answer = submit(client, bundle, file_INPUT_FILE=uploads)
    assert answer.url == reverse(BATCH)
    made = {job.files.get().name: job for job in Job.objects.all()}
    assert sorted(made) == ["a.csv", "c.csv"]
    assert {job.input_params["FORM"] for job in made.values()} == {"A"}
    assert Run.objects.count() == 2
    text = told(client, answer.url)
    assert "“b.csv” was not submitted" in text  # not "B.csv", which Django would make of b.csv
    assert "a PDF document" in text
    for job in made.values():
        assert job_page(job) in text


def test_when_none_of_several_files_can_be_loaded_each_reason_is_named(client, bundle):
    uploads = [scores("a.csv", b""), scores("b.csv", b"%PDF")]
    errors = submit(client, bundle, file_INPUT_FILE=uploads).context["form"].errors
    first, second = errors["file_INPUT_FILE"]
    assert "“a.csv” is empty" in first
    assert "“b.csv” is a PDF document" in second
    assert not Job.objects.exists()


def test_a_second_file_with_several_first_ones_is_no_guess(client, bundle):
    answer = submit(
        client,
        bundle,
        file_INPUT_FILE=[scores("a.csv"), scores("b.csv")],
        file_INPUT_FILE_SKILLS=scores("s.csv"),
    )
    assert "nothing says to which" in str(answer.context["form"].errors["file_INPUT_FILE_SKILLS"])
    assert not Job.objects.exists()
    submit(client, bundle, file_INPUT_FILE_SKILLS=scores("s.csv"))
    assert set(Job.objects.get().files.values_list("template_key", flat=True)) == {
        "INPUT_FILE",
        "INPUT_FILE_SKILLS",
    }


# --- A storage that fails -----------------------------------------------------------------------


@pytest.mark.usefixtures("aws_environment")
def test_a_storage_that_is_away_makes_no_job_and_says_so(client, bundle, settings, change_aws):
    settings.FILES_BASE = "s3://runway-away"
    change_aws(AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    answer = submit(client, bundle)
    assert "the file storage does not respond" in answer.content.decode()
    assert not Job.objects.exists()
    assert not ProcrastinateJob.objects.exists()
    status, answer = submit_by_script(client, bundle)
    assert status == 422
    assert "file storage" in answer["errors"]["__all__"][0]


def credentials_for(*actions, resource="*"):
    """AWS credentials that may do these, and nothing else."""
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return variables_of({"Version": "2012-10-17", "Statement": [statement]})


def test_a_storage_that_denies_access_makes_no_job_and_says_so(
    client, bundle, settings, bucket, change_aws, caplog
):
    settings.FILES_BASE = f"s3://{bucket}"
    reader = credentials_for("s3:GetObject")
    with iam_enforced():
        change_aws(**reader)
        answer = submit(client, bundle, file_INPUT_FILE=scores("Ana Díaz.csv"))
        status, by_script = submit_by_script(client, bundle)
    assert answer.status_code == 200
    assert "refuses them" in answer.content.decode()
    assert status == 422
    assert "refuses them" in by_script["errors"]["__all__"][0]
    ours = [each for each in caplog.records if each.name.startswith("earthbeam")]
    told = " ".join(f"{each.getMessage()} {each.exc_text}" for each in ours)
    assert "could not be stored: PermissionError from AccessDenied" in told
    assert "Díaz" not in told
    assert not Job.objects.exists()
    assert not ProcrastinateJob.objects.exists()


@pytest.mark.parametrize("may_remove", [True, False])
def test_a_storage_that_denies_the_second_file_leaves_the_first_only_if_it_must(
    client, bundle, settings, bucket, change_aws, aws_environment, may_remove
):
    settings.FILES_BASE = f"s3://{bucket}"
    first_alone = credentials_for(
        "s3:PutObject",
        *(["s3:DeleteObject"] if may_remove else []),
        resource=f"arn:aws:s3:::{bucket}/*INPUT_FILE__*",
    )
    with iam_enforced():
        change_aws(**first_alone)
        answer = submit(client, bundle, file_INPUT_FILE_SKILLS=scores("s.csv"))
    change_aws(**aws_environment)
    assert answer.status_code == 200
    assert "refuses them" in answer.content.decode()
    assert not Job.objects.exists()
    assert stored() == ([] if may_remove else ["INPUT_FILE__scores.csv"])


def test_a_folder_that_cannot_be_written_makes_no_job_and_says_so(
    client, bundle, settings, tmp_path
):
    (tmp_path / "file").write_bytes(b"")
    settings.FILES_BASE = f"file://{tmp_path}/file/base"
    answer = submit(client, bundle)
    assert answer.status_code == 200
    assert "could not be stored" in answer.content.decode()
    assert str(tmp_path) not in answer.content.decode()
    assert not Job.objects.exists()


def test_a_disk_that_fills_up_leaves_nothing_behind(client, bundle, monkeypatch):
    before = stored()
    saved: list[str] = []
    save = files.DirectoryStore.save

    def filling(self, stream, key):
        if saved:
            raise OSError(28, "No space left on device")
        saved.append(key)
        return save(self, stream, key)

    monkeypatch.setattr(files.DirectoryStore, "save", filling)
    answer = submit(client, bundle, file_INPUT_FILE_SKILLS=scores("s.csv"))
    assert saved
    assert "the file storage does not respond" in answer.content.decode()
    assert "No space left" not in answer.content.decode()
    assert not Job.objects.exists()
    assert not JobFile.objects.exists()
    assert stored() == before


def test_a_run_that_cannot_be_queued_leaves_no_job_and_no_file(client, bundle, monkeypatch):
    before = stored()

    def broken(*args, **kwargs):
        raise RuntimeError("no queue")

    monkeypatch.setattr(lifecycle, "start_run", broken)
    with pytest.raises(RuntimeError):
        submit(client, bundle)
    assert not Job.objects.exists()
    assert stored() == before


# --- Checks before the upload -------------------------------------------------------------------


def check(client, bundle, content=factories.SCORES, /, **changes):
    fields = {
        "tenant": factories.make_tenant().pk,
        "bundle": bundle.pk,
        "key": "INPUT_FILE",
        "name": "a.csv",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "head": SimpleUploadedFile("head", content),
    }
    return client.post(reverse(CHECK), fields | changes)


def test_a_good_file_is_told_with_its_encoding(client, bundle):
    answer = check(client, bundle)
    note = "The file has no column named state_id. Runway takes student IDs from student_id."
    assert answer.json() == {
        "refusals": [],
        "warnings": [],
        "encoding": "UTF-8",
        "notes": [note],
    }


@pytest.mark.parametrize(
    ("content", "changes", "words"),
    [
        (b"PK\x03\x04", {}, "“a.csv” is an Excel workbook or a zip archive"),
        (b"<!doctype html>", {}, "a web page"),
        (b"a,b\n", {}, "only one line"),
        (factories.SCORES, {"size": 10**15}, "larger than the 2.0 GB"),
        (factories.SCORES, {"size": 0}, "empty"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_words(client, bundle, content, changes, words):
    (refusal,) = check(client, bundle, content, **changes).json()["refusals"]
    assert words in refusal
    assert "INPUT_FILE" not in refusal


def test_a_header_without_the_id_columns_is_a_warning_for_the_main_file_only(client, bundle):
    (warning,) = check(client, bundle, b"name,score\nA,1\n").json()["warnings"]
    assert "student_id, state_id" in warning["text"]
    other = check(client, bundle, b"name,score\nA,1\n", key="INPUT_FILE_SKILLS").json()
    assert other["warnings"] == []
    bundle.student_id_columns = []
    bundle.save()
    assert check(client, bundle, b"name,score\nA,1\n").json()["warnings"] == []
    # The file is taken all the same, and the warning stands on the job's page.
    bundle.student_id_columns = ["student_id"]
    bundle.save()
    answer = submit(client, bundle, file_INPUT_FILE=scores(content=b"name,score\nA,1\n"))
    assert "none of the columns" in told(client, answer.url)


def test_content_that_was_loaded_before_is_a_warning_with_a_link(client, bundle):
    submit(client, bundle)
    job = Job.objects.get()
    (warning,) = check(client, bundle).json()["warnings"]
    assert "submitted before" in warning["text"]
    assert warning["url"] == job_page(job)
    assert "Reading check" in warning["link"]
    assert "(Queued)" in warning["link"]
    answer = submit(client, bundle, file_INPUT_FILE=scores("again.csv"))
    assert job_page(job) in told(client, answer.url)
    assert submit_by_script(client, bundle)[1]["warnings"][0]["url"] == answer.url


def test_what_another_tenant_loaded_is_nobody_elses_business(client, bundle):
    elsewhere = factories.make_tenant("elsewhere")
    factories.make_ods_connection(tenant=elsewhere)
    submit(people.logged_in(people.make_partner_admin()), bundle, tenant=elsewhere.pk)
    assert Job.objects.get().tenant == elsewhere
    assert check(client, bundle).json()["warnings"] == []
    assert check(client, bundle, tenant=elsewhere.pk).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"key": "OTHER"}, 400),
        ({"size": "-1"}, 400),
        ({"size": "9" * 5000}, 200),
        ({"head": ""}, 400),
        ({"bundle": "assessments/None"}, 404),
        ({"tenant": "x"}, 404),
        ({"sha256": "'; drop table"}, 200),
        ({"sha256": "a\0b"}, 200),
    ],
)
def test_requests_that_no_page_makes_are_answered_calmly(client, bundle, changes, status):
    assert check(client, bundle, **changes).status_code == status


# --- Prefilled --------------------------------------------------------------------------------


def test_a_link_fills_the_page_in(client, bundle):
    url = new_job_url(
        bundle=bundle.pk, tenant=factories.make_tenant().pk, school_year="2526", param_FORM="B"
    )
    shown = client.get(url).content.decode()
    assert '<option value="B" selected>' in shown
    assert 'id="id_school_year_2526" required checked' in shown
    assert "Revised file" not in shown


def test_a_revised_file_begins_as_its_job_was_and_is_linked_to_it(client, bundle):
    job = factories.make_job(input_params={"FORM": "B"})
    shown = client.get(new_job_url(parent=job.pk)).content.decode()
    assert "Revised file for <a" in shown
    assert job_page(job) in shown
    assert '<option value="B" selected>' in shown
    assert " multiple" not in shown
    submit(client, bundle, parent=job.pk, file_INPUT_FILE=scores("revised.csv"))
    child = Job.objects.exclude(pk=job.pk).get()
    assert child.parent == job
    history = client.get(reverse("admin:earthbeam_job_history", args=[job.pk])).content.decode()
    assert str(child.pk) in history


def test_a_job_of_others_is_no_parent(client, bundle):
    foreign = factories.make_job(tenant=factories.make_tenant("elsewhere"))
    shown = client.get(new_job_url(parent=foreign.pk, bundle=bundle.pk)).content.decode()
    assert "does not exist, or you do not have access" in shown
    assert str(foreign.pk) not in shown
    submit(client, bundle, parent=foreign.pk)
    assert Job.objects.exclude(pk=foreign.pk).get().parent is None
    assert client.get(new_job_url(parent="x", tenant="x", bundle="x")).status_code == 200


def test_a_job_of_another_tenant_is_no_parent(bundle):
    admin = people.logged_in(people.make_partner_admin())
    job = factories.make_job(tenant=factories.make_tenant("elsewhere"))
    url = new_job_url(parent=job.pk, tenant=factories.make_tenant().pk)
    assert "another tenant" in admin.get(url).content.decode()
    submit(admin, bundle, parent=job.pk)
    assert Job.objects.exclude(pk=job.pk).get().parent is None


# --- Where the students of a revised file are looked for ----------------------------------------


def columns_looked_in(job):
    return payload.build(job.runs.get())["inputParams"].get("POSSIBLE_STUDENT_ID_COLUMNS")


def revise(client, run, content=b"student_id,state_id\n604900,604822\n", bundle=None):
    """Submit a revised file of the run's job; the job that was made."""
    upload = scores("revised.csv", content)
    submit(client, bundle or run.job.bundle, parent=run.job.pk, file_INPUT_FILE=upload)
    return run.job.children.get()


def test_students_of_a_revised_file_are_looked_for_in_the_column_of_its_job(client):
    # Of few rows another column may match as well as the fixed one, and to other students.
    run = factories.make_unmatched_run()
    shown = client.get(new_job_url(parent=run.job.pk)).content.decode()
    assert "looked up only by the column <strong>student_id</strong>" in shown
    child = revise(client, run)
    assert columns_looked_in(child) == "student_id"
    assert "only in the column student_id" in client.get(job_page(child)).content.decode()


@pytest.mark.parametrize(
    "content",
    [
        "student_id,n\n1,2\n".encode("utf-16"),
        b"\xef\xbb\xbfstudent_id\tn\r\n1\t2\r\n",
        b'Export of today\n"n","student_id"\n2,1\n',
    ],
)
def test_the_column_is_found_in_whatever_the_executor_reads(client, content):
    run = factories.make_unmatched_run()
    assert columns_looked_in(revise(client, run, content)) == "student_id"


def test_a_revised_file_of_a_revised_file_keeps_the_column(client):
    first = factories.make_unmatched_run()
    child = revise(client, first)
    run = child.runs.get()
    Run.objects.filter(pk=run.pk).update(status=Run.Status.SUCCESS)
    factories.make_matches(run)
    assert columns_looked_in(revise(client, run)) == "student_id"


def test_a_revised_file_without_the_column_is_looked_at_as_any_file(client):
    run = factories.make_unmatched_run()
    assert columns_looked_in(revise(client, run, b"student id,state_id\n1,2\n")) is None


def test_a_job_that_never_matched_says_nothing_about_the_column(client):
    run = factories.make_unmatched_run()
    Run.objects.filter(pk=run.pk).update(status=Run.Status.ERROR)
    assert b"looked up by the column" not in client.get(new_job_url(parent=run.job.pk)).content
    assert columns_looked_in(revise(client, run)) is None


def test_a_run_that_failed_since_does_not_hide_the_column(client):
    run = factories.make_unmatched_run()
    factories.make_run(run.job, Run.Status.ERROR)
    assert columns_looked_in(revise(client, run)) == "student_id"


def test_the_column_of_one_assessment_says_nothing_about_another(client):
    run = factories.make_unmatched_run()
    other = factories.make_bundle(
        {**factories.BUNDLE_TEMPLATE, "path": "assessments/Other", "display_name": "Other"}
    )
    asked = client.get(new_job_url(parent=run.job.pk, bundle=other.pk)).content
    assert b"looked up by the column" not in asked
    assert columns_looked_in(revise(client, run, bundle=other)) is None


def test_a_column_whose_name_is_a_list_to_executors_is_left_alone(client):
    run = factories.make_unmatched_run()
    run.unmatched_ids.delete()
    RunMatches.objects.update(id_name="id, of student")
    assert columns_looked_in(revise(client, run, b'"id, of student"\n1\n')) is None
