"""Cross-year matching that is on but cannot be had is never silent."""

import io
from datetime import timedelta

import pytest
from django.utils import timezone

from earthbeam import paths
from earthbeam.files import open_store
from earthbeam.models import Job, Run
from earthbeam.runs import cross_year, payload
from edu import errors
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_files(settings, tmp_path):
    """A roster file of one test is not another's."""
    settings.FILES_BASE = f"file://{tmp_path}"


@pytest.fixture
def without_edu(settings):
    """A partner that wants cross-year matching, and a look-up of its credentials that fails."""
    settings.RUNWAY_ENV, settings.ENVLABEL = "production", None
    return factories.make_partner(cross_year_match_enabled=True)


@pytest.fixture
def turned_off(settings):
    settings.RUNWAY_ENV, settings.ENVLABEL = "production", None
    return factories.make_partner(cross_year_match_enabled=False)


def a_run(*, send_to_ods: bool, status: str = "new") -> Run:
    return factories.make_run(factories.make_job(send_to_ods=send_to_ods), status=status)


def give_roster_file(job: Job) -> None:
    key = paths.roster_key(job.tenant, job.school_year)
    open_store(job.files_base).save(io.BytesIO(b"{}\n"), key)


def test_a_run_keeps_why_its_executor_has_to_do_without_edu(without_edu):
    run = a_run(send_to_ods=True, status="running")
    assert payload.build(run)["crossYearMatchAvailable"] is False
    run.refresh_from_db()
    assert run.edu_unavailable == errors.NotConfigured.code
    run.started_at = timezone.now()
    assert cross_year.problem_of(run) == errors.NotConfigured.message


def test_credentials_that_are_not_stored_are_a_reason_too(settings):
    factories.make_partner(cross_year_match_enabled=True)
    run = a_run(send_to_ods=True, status="running")
    payload.build(run)
    run.refresh_from_db()
    assert run.edu_unavailable == errors.NoCredentials.code


def test_what_was_not_wanted_is_not_missed(turned_off):
    run = a_run(send_to_ods=True, status="running")
    payload.build(run)
    run.refresh_from_db()
    assert run.edu_unavailable == ""
    assert cross_year.must_wait(a_run(send_to_ods=False)) == ""


def test_only_a_job_without_any_other_roster_waits_for_edu(without_edu):
    assert cross_year.must_wait(a_run(send_to_ods=True)) == ""
    waiting = a_run(send_to_ods=False)
    assert cross_year.must_wait(waiting) == errors.NotConfigured.code
    waiting.refresh_from_db()
    assert cross_year.waits_until(waiting) is not None
    give_roster_file(waiting.job)
    assert cross_year.must_wait(waiting) == ""
    waiting.refresh_from_db()
    assert (waiting.waiting_for_edu_since, waiting.edu_unavailable) == (None, "")


def test_the_wait_is_counted_from_its_beginning_and_ends(without_edu):
    run = a_run(send_to_ods=False)
    cross_year.must_wait(run)
    since = run.waiting_for_edu_since
    cross_year.must_wait(Run.objects.get())
    assert Run.objects.get().waiting_for_edu_since == since
    assert not cross_year.has_waited_enough(run)
    run.waiting_for_edu_since = timezone.now() - cross_year.WAIT - timedelta(seconds=1)
    assert cross_year.has_waited_enough(run)


def test_a_storage_that_does_not_answer_holds_no_run_up(without_edu, monkeypatch):
    def fail(self, key):
        raise OSError("unavailable")

    run = a_run(send_to_ods=False)
    monkeypatch.setattr(type(open_store(run.job.files_base)), "exists", fail)
    assert cross_year.must_wait(run) == ""


@pytest.mark.parametrize("kind", [errors.CredentialsDenied, errors.LoginRejected])
def test_each_reason_has_its_sentence(kind):
    assert errors.sentence(kind.code) == kind.message
    assert errors.sentence("of a later release") == errors.EduError.message
