"""The page that takes back what a job has loaded."""

import pytest
from auditlog.models import LogEntry as AuditEntry
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from earthbeam.models import Run
from tests import factories, people
from tests.earthbeam.admin.jobs.test_unmatched import shown, url
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def load(db):
    factories.make_ods_connection()
    return factories.make_loaded_run(refused=[3])


@pytest.fixture
def client(db):
    return people.logged_in(people.make_partner_admin("admin"))


def test_the_page_says_what_would_be_deleted_and_what_stays(client, load):
    later = factories.make_loaded_run(students=["604011"])
    factories.make_output_set(load)
    text = shown(client.get(url(load.job, "withdraw")))
    assert "1 record of 1 student</strong> would be deleted from the ODS" in text
    assert "1 record stays, since <a href=" in text
    assert url(later.job, "change") in text
    assert "marked as withdrawn, so that EDU’s loaders remove them" in text
    assert "604010" in text and "604012" not in text
    assert "type the number of records to delete: 1" in text


def test_the_number_must_be_typed_and_starts_a_withdrawal_that_is_audited(client, load):
    wrong = client.post(url(load.job, "withdraw"), {"typed": "3"})
    assert wrong.status_code == 422
    assert "Nothing was withdrawn. Type the number of records to delete: 2." in shown(wrong)
    assert load.job.runs.count() == 1
    answer = client.post(url(load.job, "withdraw"), {"typed": " 2 "}, follow=True)
    assert "Started to withdraw 2 records." in shown(answer)
    run = load.job.runs.get(kind="withdraw")
    assert (run.status, run.continues, run.started_by.username) == ("new", load, "admin")
    assert [each.get_change_message() for each in LogEntry.objects.all()] == [
        "Started to withdraw 2 records."
    ]
    trail = AuditEntry.objects.values_list("additional_data", flat=True)
    assert "withdrawal started" in str(list(trail))


def test_users_may_withdraw_only_where_their_partner_lets_them(load):
    client = people.logged_in(people.make_user())
    page = reverse("admin:earthbeam_job_change", args=[load.job.pk])
    assert url(load.job, "withdraw") not in shown(client.get(page))
    assert client.get(url(load.job, "withdraw")).status_code == 403
    factories.make_partner(users_may_withdraw=True)
    assert url(load.job, "withdraw") in shown(client.get(page))
    client.post(url(load.job, "withdraw"), {"typed": "2"})
    assert load.job.runs.filter(kind="withdraw").exists()


def test_while_another_job_is_loaded_nothing_is_withdrawn_and_the_page_says_which(client, load):
    other = factories.make_loaded_run(students=["604099"])
    Run.objects.filter(pk=other.pk).update(status="running")
    answer = client.post(url(load.job, "withdraw"), {"typed": "2"}, follow=True)
    assert f"another job of this tenant is being loaded or withdrawn right now ({other.job}" in (
        shown(answer)
    )
    assert not load.job.runs.filter(kind="withdraw").exists()


def test_a_job_that_cannot_be_withdrawn_says_why(client):
    job = factories.make_job()
    assert "The job has loaded nothing." in shown(client.get(url(job, "withdraw")))


def test_a_withdrawn_job_says_what_became_of_its_records(client, load):
    run = factories.make_run(load.job, "success", kind="withdraw", continues=load)
    factories.make_summary(run, processed=3)
    run.summary.update(records_skipped=1)
    page = shown(client.get(url(load.job, "change")))
    assert "The job was withdrawn." in page
    assert "2 records were deleted from the ODS. 1 record had already been deleted." in page
    assert url(load.job, "withdraw") not in page
