"""What partners do not keep for ever: destroyed on time, recorded, and not missed by the pages."""

import logging
from datetime import timedelta
from functools import partial

import pytest
from auditlog.models import LogEntry
from django.core.management import call_command
from django.utils import timezone

from earthbeam import errors, tasks
from earthbeam.files import DirectoryStore, open_store
from earthbeam.jobs import deletion, later_runs, open_rows, retention, withdrawal
from earthbeam.jobs.lifecycle import start_run
from earthbeam.jobs.unmatched import NotFixable
from earthbeam.models import Destruction, Job, OutputSet, Run, RunLog, RunUpdate
from earthbeam.paths import app_data_base_path
from partners import audit
from partners.models import Partner
from tests import factories, people
from tests.at_once import at_once
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = pytest.mark.django_db
SET = "output/ods/studentAssessments.jsonl"


@pytest.fixture(autouse=True)
def partner(db):
    factories.make_ods_connection()
    return Partner.objects.get()


def loaded(*, days, refused=(2,), **fields):
    """A job whose last run ended so many days ago, with files of all kinds."""
    run = factories.make_loaded_run(refused=refused, **fields)
    factories.store_file(run.job, "output/input_no_student_id_match.csv", b"ID\n1\n")
    run.output_files.create(path="input_no_student_id_match.csv", size=5)
    RunLog.objects.create(run=run, text="a log")
    at = timezone.now() - timedelta(days=days)
    Run.objects.filter(pk=run.pk).update(ended_at=at, created_at=at)
    OutputSet.objects.filter(run=run).update(published_at=at)
    Job.objects.filter(pk=run.job_id).update(created_at=at)
    return fresh(run.job)


def fresh(job):
    return Job.objects.select_related("last_run__continues", "tenant__partner").get(pk=job.pk)


def files(job):
    return sorted(open_store(app_data_base_path(job)).list())


def recorded(job):
    rows = Destruction.objects.filter(job=job.pk).order_by("what")
    return [(row.what, row.files, row.rule) for row in rows]


def test_input_files_open_rows_and_logs_go_first_and_output_sets_later():
    job = loaded(days=91)
    assert retention.apply() == 2
    assert files(job) == ["output/lb-send-results.json", SET]
    assert recorded(job) == [
        ("input", 3, "90 days after the last run"),
        ("log", 1, "90 days after the last run"),
    ]
    assert not RunLog.objects.exists()
    assert withdrawal.plan(fresh(job)).total == 2

    Run.objects.update(ended_at=timezone.now() - timedelta(days=401))
    assert retention.apply() == 1
    assert files(job) == []
    assert recorded(job)[-1] == ("output", 2, "400 days after the last run")
    assert retention.apply() == 0


def test_the_steps_of_a_run_go_with_its_log_unless_they_say_why_it_failed():
    loaded(days=91)
    bad = loaded(days=91)
    Run.objects.filter(job=bad).update(status=Run.Status.ERROR)
    for run in Run.objects.all():
        run.updates.create(action="earthmover_run", status="begin")
    retention.apply()
    assert [update.run.job for update in RunUpdate.objects.all()] == [bad]


def test_the_audit_trail_forgets_what_is_three_years_old_but_nothing_of_a_held_job():
    job, held = loaded(days=1), loaded(days=1, legal_hold=True)
    for each in (job, held):
        audit.record(each, "run log viewed")
    LogEntry.objects.update(timestamp=timezone.now() - timedelta(days=1096))
    audit.record(job, "run log viewed")
    tasks.apply_retention(timestamp=0)
    kept = LogEntry.objects.filter(additional_data__event="run log viewed")
    assert {(entry.object_pk, entry.timestamp.year < 2026) for entry in kept} == {
        (str(held.pk), True),
        (str(job.pk), False),
    }


def test_what_is_not_old_enough_or_in_use_or_on_hold_stays(partner):
    young, busy = loaded(days=89), loaded(days=500)
    held = loaded(days=500, legal_hold=True)
    start_run(busy)
    kept = files(young), files(busy), files(held)
    assert retention.apply() == 0
    assert (files(young), files(busy), files(held)) == kept
    partner.keep_input_days = 30
    partner.save()
    assert retention.apply() == 1
    Job.objects.filter(pk=held.pk).update(legal_hold=False)
    assert retention.apply() == 3


def test_each_night_does_it_and_a_dry_run_only_tells(capsys):
    job = loaded(days=91)
    call_command("apply_retention", "--dry-run")
    shown = capsys.readouterr().out
    assert "ea: input files, rosters, and open rows of 1 jobs" in shown
    assert files(job) and not Destruction.objects.exists()
    tasks.apply_retention(timestamp=0)
    assert Destruction.objects.count() == 2
    call_command("apply_retention")
    assert "nothing to destroy" in capsys.readouterr().out


def test_nothing_that_was_in_the_files_is_recorded():
    loaded(days=91)
    retention.apply()
    for row in Destruction.objects.all().values():
        assert "scores" not in str(row)
        assert "6040" not in str(row)


def test_what_the_storage_fails_to_delete_is_destroyed_the_next_time(monkeypatch, caplog):
    broken, fine = loaded(days=91), loaded(days=91)
    delete = DirectoryStore.delete

    def fails(self, key):
        if str(broken.pk) in str(self.root) and key.startswith("input/"):
            raise PermissionError
        delete(self, key)

    with monkeypatch.context() as patch, caplog.at_level(logging.INFO):
        patch.setattr(DirectoryStore, "delete", fails)
        assert retention.apply() == 3
    assert "destroyed 3, left 1" in caplog.text
    assert "scores" not in caplog.text
    assert [what for what, *_ in recorded(broken)] == ["log"]
    assert [what for what, *_ in recorded(fine)] == ["input", "log"]
    assert retention.apply() == 1
    assert files(broken) == ["output/lb-send-results.json", SET]


def test_a_job_without_its_files_says_so_and_starts_nothing():
    job = loaded(days=91)
    retention.apply()
    job = fresh(job)
    with pytest.raises(errors.FilesDestroyed, match="keeps them for 90 days"):
        start_run(job)
    with pytest.raises(errors.NothingToResend, match="destroyed"):
        later_runs.start_resend(job)
    page = people.logged_in(people.make_partner_admin()).get(
        f"/admin/earthbeam/job/{job.pk}/change/"
    )
    shown = page.content.decode()
    assert "the input files and the rows that needed attention" in shown
    assert "its files were destroyed" in shown
    assert "scores.csv" in shown and "input/INPUT_FILE__scores.csv" not in shown


def test_open_rows_that_were_destroyed_say_so():
    run = factories.make_unmatched_run()
    Run.objects.filter(pk=run.pk).update(ended_at=timezone.now() - timedelta(days=91))
    retention.apply()
    job = fresh(run.job)
    with pytest.raises(NotFixable, match="kept long enough"):
        open_rows.read(job, factories.told_of(job.last_run))


def test_a_job_whose_output_sets_are_gone_cannot_be_withdrawn():
    job = loaded(days=401)
    retention.apply()
    with pytest.raises(errors.NothingToWithdraw, match="no longer stored") as raised:
        withdrawal.plan(fresh(job))
    assert "Run that job again" not in str(raised.value)  # its files are gone too


def run_again(job, *, days):
    """Load a job's file once more, so many days ago."""
    at = timezone.now() - timedelta(days=days)
    run = factories.make_run(job, Run.Status.SUCCESS)
    Run.objects.filter(pk=run.pk).update(ended_at=at, created_at=at)
    run.refresh_from_db()
    made = factories.make_output_set(run, sent_to_ods=True)
    factories.store_file(job, "output/lb-send-results.json", b'{"resources": {}}')
    RunLog.objects.create(run=run, text="another log")
    return made


def test_what_a_later_run_has_made_is_kept_as_long_and_then_destroyed_as_well(partner):
    partner.keep_output_days, partner.keep_log_days = 30, 30
    partner.save()
    job = loaded(days=85, refused=())
    assert retention.apply() == 2
    at = timezone.now() - timedelta(days=50)
    Job.objects.update(output_destroyed_at=at, log_destroyed_at=at)

    made = run_again(fresh(job), days=20)
    assert retention.apply() == 0
    assert fresh(job).output_is_destroyed is False
    assert list(OutputSet.objects.filter(retention.still_stored())) == [made]
    assert withdrawal.why_not(fresh(job)) == ""

    Run.objects.filter(pk=made.run_id).update(ended_at=timezone.now() - timedelta(days=31))
    assert retention.apply() == 2
    assert not RunLog.objects.exists()
    assert SET not in files(job)
    assert fresh(job).output_is_destroyed
    assert not OutputSet.objects.filter(retention.still_stored()).exists()


def test_a_job_on_hold_is_not_deleted():
    job = loaded(days=1, legal_hold=True)
    with pytest.raises(deletion.CannotDelete):
        deletion.delete_jobs([job.pk])
    root = people.logged_in(people.make_superuser())
    page = root.get(f"/admin/earthbeam/job/{job.pk}/delete/").content.decode()
    assert "it is on legal hold" in page
    root.post(f"/admin/earthbeam/job/{job.pk}/release/")
    assert not fresh(job).legal_hold
    assert deletion.delete_jobs([job.pk]) == 1


@pytest.mark.django_db(transaction=True)
def test_a_job_is_run_with_all_of_its_files_or_not_at_all(queue):  # noqa: F811
    for _ in range(10):
        job = loaded(days=91, refused=())
        [due] = [each for each in retention.due() if each.what == "input"]
        started, destroyed = at_once([partial(start_run, job), partial(retention.destroy, due)])
        if isinstance(started, Run):
            assert destroyed is None
            assert "input/INPUT_FILE__scores.csv" in files(job)
            Run.objects.filter(pk=started.pk).delete()
        else:
            assert isinstance(started, errors.FilesDestroyed), started
            assert isinstance(destroyed, Destruction)
        Destruction.objects.all().delete()
        Job.objects.filter(pk=job.pk).delete()
