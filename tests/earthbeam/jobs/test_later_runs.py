"""Runs of what a job has stored: resends, withdrawals, and loads of previews."""

import io
import json
from datetime import timedelta
from functools import partial

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from earthbeam import errors
from earthbeam.files import open_store
from earthbeam.jobs import later_runs, withdrawal
from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import DescriptorMapping, Job, OutputSet, Run, RunMatches
from earthbeam.paths import app_data_base_path
from earthbeam.runs import payload, states
from tests import factories, people
from tests.at_once import at_once
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = pytest.mark.django_db
RESULTS = "studentAssessments"


@pytest.fixture(autouse=True)
def ods(db):
    factories.make_ods_connection()


def fresh(job):
    return Job.objects.select_related("last_run__continues", "tenant__partner").get(pk=job.pk)


def end(run, *, success=True):
    Run.objects.filter(pk=run.pk).update(status=Run.Status.RUNNING, started_at=timezone.now())
    assert states.finish(run.pk, success)
    run.refresh_from_db()
    return run


def left_alone(job):
    with open_store(app_data_base_path(job)).open("input/__leave.jsonl") as stream:
        lines = [json.loads(line) for line in stream]
    assert {line["resource"] for line in lines} <= {RESULTS}
    return [line["line"] for line in lines]


# --- Resends ----------------------------------------------------------------------------------


def test_a_resend_is_given_the_set_and_what_was_reported_of_it():
    load = factories.make_loaded_run(refused=[2])
    run = later_runs.start_resend(fresh(load.job), api_client="loader")
    assert (run.kind, run.continues, run.api_client) == ("resend", load, "loader")
    told = payload.build(run)
    assert told["kind"] == "resend"
    assert told["storedSets"] == {"ods": OutputSet.objects.get().sha256}
    reported = told["reported"]
    assert reported["summary"][RESULTS] == {
        "records_processed": 3, "records_skipped": 0, "records_failed": 1,
    }  # fmt: skip
    assert reported["matches"]["inputRows"] == reported["matches"]["odsMatched"] == 3
    assert reported["unmatchedIds"] is None


def test_a_resends_outcome_is_the_jobs_and_can_be_sent_again_from_there():
    load = factories.make_loaded_run(refused=[1, 2])
    first = later_runs.start_resend(fresh(load.job))
    factories.make_matches(first, rows=3, ods=3, across_years=0, refused_rows=1)
    factories.make_summary(first, processed=3, failed=1)
    end(first)
    job = fresh(load.job)
    assert (job.last_run.outcome, job.last_run.has_errors) == ("complete_with_errors", True)
    assert {each.path for each in first.output_files.all()} >= {
        "refused_records.jsonl", f"ods/{RESULTS}.jsonl",
    }  # fmt: skip
    again = later_runs.start_resend(job)
    assert payload.build(again)["storedSets"] == {"ods": OutputSet.objects.get().sha256}


def test_only_what_was_refused_and_is_known_can_be_sent_again():
    all_taken = factories.make_loaded_run()
    with pytest.raises(errors.NothingToResend, match="refused no records"):
        later_runs.start_resend(fresh(all_taken.job))
    with pytest.raises(errors.NothingToResend, match="no run that has ended"):
        later_runs.start_resend(factories.make_job())
    old = factories.make_loaded_run(refused=[1])
    old.output_files.filter(path="refused_records.jsonl").delete()
    with pytest.raises(errors.NothingToResend, match="earlier version"):
        later_runs.start_resend(fresh(old.job))
    failed = factories.make_run(status=Run.Status.ERROR)
    with pytest.raises(errors.NothingToResend, match="sent nothing"):
        later_runs.start_resend(fresh(failed.job))


# --- Withdrawals ------------------------------------------------------------------------------


@pytest.fixture
def person(db):
    return people.make_partner_admin()


def test_a_withdrawal_deletes_what_the_ods_took_and_no_later_job_has():
    load = factories.make_loaded_run(refused=[3])
    later = factories.make_loaded_run(students=["604011", "604099"])
    plan = withdrawal.plan(fresh(load.job))
    assert dict(plan.records) == {RESULTS: 1}
    assert plan.students == {"604010"}
    assert dict(plan.left) == {later.job: 1}
    assert (plan.total, plan.from_edu) == (1, False)
    # The later one has all of its own, also what the earlier one had loaded before.
    assert withdrawal.plan(fresh(later.job)).total == 2


def test_jobs_of_others_and_withdrawn_ones_keep_no_record():
    load = factories.make_loaded_run()
    factories.make_loaded_run(tenant=factories.make_tenant("elsewhere"))
    withdrawn = factories.make_loaded_run()
    OutputSet.objects.filter(run=withdrawn).update(withdrawn_at=timezone.now())
    assert withdrawal.plan(fresh(load.job)).total == 3


def test_a_withdrawals_executor_gets_the_lines_to_leave(person):
    load = factories.make_loaded_run(refused=[3])
    factories.make_loaded_run(students=["604011"])
    run = later_runs.start_withdrawal(fresh(load.job), started_by=person)
    withdrawal.store_for(run)
    assert left_alone(load.job) == [2, 3]
    told = payload.build(run)
    assert (told["kind"], told["leaveFile"]) == ("withdraw", "__leave.jsonl")
    assert told["assessmentDatastore"]


def test_a_withdrawn_jobs_sets_say_so_and_it_can_be_loaded_again(person):
    load = factories.make_loaded_run()
    edu = factories.make_output_set(load)
    assert withdrawal.plan(fresh(load.job)).from_edu
    run = later_runs.start_withdrawal(fresh(load.job), started_by=person)
    assert OutputSet.objects.filter(withdrawn_at=None).count() == 2
    end(run)
    edu.refresh_from_db()
    assert edu.withdrawn_at == run.ended_at
    job = fresh(load.job)
    assert job.last_run.outcome == "withdrawn"
    with pytest.raises(errors.NothingToWithdraw, match="withdrawn already"):
        withdrawal.plan(job)
    assert start_run(job).kind == "load"


def test_a_withdrawal_that_failed_marks_nothing_and_can_be_repeated(person):
    load = factories.make_loaded_run()
    end(later_runs.start_withdrawal(fresh(load.job), started_by=person), success=False)
    assert OutputSet.objects.get().withdrawn_at is None
    assert later_runs.start_withdrawal(fresh(load.job), started_by=person).continues == load


def test_a_job_that_loaded_nothing_is_not_withdrawn(person):
    with pytest.raises(errors.NothingToWithdraw, match="loaded nothing"):
        later_runs.start_withdrawal(factories.make_job(), started_by=person)


def cut(store, name):
    with store.open(name) as stream:
        store.save(io.BytesIO(stream.read()[:-5]), name)


@pytest.mark.parametrize("name", [f"ods/{RESULTS}.jsonl", "lb-send-results.json"])
@pytest.mark.parametrize("harm, fate", [("delete", "no longer stored"), ("cut", "damaged")])
def test_a_job_is_not_withdrawn_while_its_files_do_not_tell_which_records_are_its_own(
    person, name, harm, fate
):
    """Under the key of a refused record, the ODS may have what an earlier job has loaded."""
    load = factories.make_loaded_run(refused=[2])
    run = later_runs.start_withdrawal(fresh(load.job), started_by=person)
    end(run, success=False)
    store = open_store(app_data_base_path(load.job))
    store.delete(f"output/{name}") if harm == "delete" else cut(store, f"output/{name}")
    with pytest.raises(errors.NothingToWithdraw, match=f"{name.removeprefix('ods/')}.*{fate}"):
        withdrawal.plan(fresh(load.job))
    with pytest.raises(errors.LaunchFailed, match=fate):
        withdrawal.store_for(run)
    assert not store.exists("input/__leave.jsonl")


def test_a_withdrawal_and_loads_of_its_tenant_wait_for_each_other(person):
    load, other = factories.make_loaded_run(), factories.make_loaded_run()
    elsewhere = factories.make_loaded_run(tenant=factories.make_tenant("elsewhere"))
    factories.make_ods_connection(tenant=elsewhere.job.tenant)
    run = later_runs.start_withdrawal(fresh(load.job), started_by=person)
    with pytest.raises(errors.WithdrawalInProgress, match=str(load.job.pk)):
        start_run(fresh(other.job))
    with pytest.raises(errors.LoadInProgress, match=str(load.job.pk)):
        later_runs.start_withdrawal(fresh(other.job), started_by=person)
    start_run(fresh(elsewhere.job))
    assert start_run(fresh(other.job), kind=Run.Kind.PREVIEW).kind == "preview"
    end(run)
    loading = factories.make_loaded_run()
    start_run(fresh(loading.job))
    third = factories.make_loaded_run()
    with pytest.raises(errors.LoadInProgress, match=str(loading.job.pk)):
        later_runs.start_withdrawal(fresh(third.job), started_by=person)


@pytest.mark.django_db(transaction=True)
def test_of_a_withdrawal_and_loads_that_start_at_once_either_has_the_ods():
    person = people.make_partner_admin()
    load = factories.make_loaded_run()
    others = [factories.make_loaded_run() for _ in range(3)]

    def start(number):
        try:
            if number % 2:
                return later_runs.start_withdrawal(fresh(load.job), started_by=person).kind
            return start_run(fresh(others[number // 2].job)).kind
        except errors.JobError as error:
            return error.code

    outcomes = at_once([partial(start, number) for number in range(6)])
    began = [each for each in outcomes if each in ("load", "withdraw")]
    assert began
    if "withdraw" in began:
        assert began == ["withdraw"]
        assert set(outcomes) - {"withdraw"} <= {
            "withdrawal_in_progress", "run_in_progress", "nothing_to_withdraw",
        }  # fmt: skip
    else:
        assert set(outcomes) - {"load"} <= {"load_in_progress"}


# --- Previews ---------------------------------------------------------------------------------


@pytest.fixture
def preview(settings):
    job = factories.make_job(files={"INPUT_FILE": ("scores.csv", factories.SCORES)})
    run = start_run(job, kind=Run.Kind.PREVIEW)
    payload.keep_fingerprint(run, payload.build(run))
    factories.make_matches(run)
    factories.make_output_set(run, sent_to_ods=True, sha256={f"{RESULTS}.jsonl": "0"})
    factories.make_output_set(run)
    return end(run)


def test_a_previews_sets_are_offered_to_nobody(preview):
    assert fresh(preview.job).last_run.outcome == "previewed"
    assert not preview.has_problems
    assert not OutputSet.objects.exclude(published_at=None).exists()
    with pytest.raises(errors.NothingToWithdraw):
        withdrawal.plan(fresh(preview.job))


def test_a_load_begins_with_what_the_preview_has_made(preview):
    load = start_run(fresh(preview.job))
    assert load.continues == preview
    told = payload.build(load)
    assert "kind" not in told
    assert told["storedSets"] == {
        "ods": {f"{RESULTS}.jsonl": "0"}, "non-ods": {f"{RESULTS}.jsonl": None},
    }  # fmt: skip
    assert told["reported"]["unmatchedIds"]["count"] == 17
    assert told["bundle"].get("commit", "") == preview.bundle_commit


def map_descriptors(preview):
    DescriptorMapping.objects.create(
        partner=preview.job.tenant.partner,
        bundle=preview.job.bundle,
        descriptor_type="gradeLevelDescriptors",
        other_columns={"grade": "3"},
        edfi_descriptor="uri://x#3",
    )


def change_file(preview):
    preview.job.files.update(size=5)


def move_bundle(preview):
    Run.objects.filter(pk=preview.pk).update(fingerprint=preview.fingerprint)
    factories.make_bundle_revision("c" * 40, is_current=True)


def wait(preview):
    Run.objects.filter(pk=preview.pk).update(created_at=timezone.now() - timedelta(hours=25))


def check_identities(preview):
    factories.make_partner(identity_checks="hold")


@pytest.mark.parametrize(
    "change", [map_descriptors, change_file, move_bundle, wait, check_identities]
)
def test_a_load_begins_anew_if_something_has_changed_since_the_preview(preview, change):
    change(preview)
    load = start_run(fresh(preview.job))
    assert load.continues is None
    assert "storedSets" not in payload.build(load)


def test_the_figures_of_rows_add_up_in_the_database(preview):
    for wrong in ({"unmatched": 16}, {"blank_ids": 18}, {"refused_rows": 252}):
        with pytest.raises(IntegrityError), transaction.atomic():
            RunMatches.objects.filter(run=preview).update(**wrong)
