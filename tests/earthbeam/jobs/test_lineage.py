"""Jobs that grew out of one another: what is left of the first one's rows."""

import pytest
from django.urls import reverse

from earthbeam.jobs.lineage import linked_jobs, resolve_settled
from earthbeam.models import Job, Run, RunMatches, UnmatchedIds
from tests import factories, people

pytestmark = pytest.mark.django_db


def job(rows=None, unmatched=0, *, parent=None, status=Run.Status.SUCCESS, **fields):
    """A job whose run ended so: ``rows`` of its input, of which some matched nobody."""
    run = factories.make_run(
        factories.make_job(parent=parent, **fields), status, has_problems=bool(unmatched)
    )
    if rows is not None:
        RunMatches.objects.create(
            run=run,
            input_rows=rows,
            ods_matched=rows - unmatched,
            cross_year_matched=0,
            unmatched=unmatched,
            blank_ids=0,
            ambiguous_ids=0,
            id_name="student_id",
            id_type="State",
            match_rate=0.9,
        )
    run.job.refresh_from_db()
    return run.job


def told(job):
    return [
        (each.number, each.parent_number, each.rows, each.unmatched, each.left)
        for each in linked_jobs(job).jobs
    ]


def test_a_job_alone_is_linked_to_none():
    assert linked_jobs(job(312, 0)).is_one_job


def test_the_rows_of_later_jobs_are_taken_off_the_first_ones():
    first = job(312, 17)
    second = job(12, 0, parent=first)
    assert told(first) == [(1, None, 312, 17, 5), (2, 1, 12, 0, 0)]
    assert told(second) == told(first)
    assert linked_jobs(second).here.job == second
    assert linked_jobs(second).root.job == first


def test_what_a_later_job_leaves_is_left_until_another_matches_it():
    first = job(312, 17)
    second = job(12, 4, parent=first)
    assert told(first)[0] == (1, None, 312, 17, 9)
    job(3, 0, parent=second)
    assert told(first) == [(1, None, 312, 17, 6), (2, 1, 12, 4, 1), (3, 2, 3, 0, 0)]
    job(5, 0, parent=first)
    assert [each[:2] for each in told(first)] == [(1, None), (2, 1), (3, 2), (4, 1)]
    assert told(first)[0][4] == 1


def test_a_revised_file_of_all_rows_counts_with_what_it_leaves():
    first = job(312, 17)
    job(312, 5, parent=first)
    assert told(first)[0] == (1, None, 312, 17, 5)


@pytest.mark.parametrize("status", [Run.Status.NEW, Run.Status.RUNNING, Run.Status.ERROR])
def test_a_job_that_has_not_succeeded_takes_nothing_off(status):
    first = job(312, 17)
    job(parent=first, status=status)
    assert told(first) == [(1, None, 312, 17, 17), (2, 1, None, None, None)]
    assert linked_jobs(first).in_progress == (status != Run.Status.ERROR)
    assert linked_jobs(first).to_resolve == []


def test_a_job_of_an_executor_that_does_not_count_rows_takes_nothing_off():
    first = job(312, 17)
    second = job(parent=first)
    UnmatchedIds.objects.create(run=second.last_run, name="id", type="State", count=2)
    assert told(first)[0][4] == 17


def test_jobs_whose_rows_have_all_been_matched_are_resolved_on_request():
    user = people.make_superuser()
    first = job(312, 17)
    second = job(17, 2, parent=first)
    assert resolve_settled(linked_jobs(first), user) == []
    third = job(2, 0, parent=second)
    assert resolve_settled(linked_jobs(third), user) == [first, second]
    first.refresh_from_db()
    assert (first.resolved_by, third.resolved_at) == (user, None)
    assert linked_jobs(first).to_resolve == []


def test_a_job_with_records_that_the_ods_refused_is_not_done():
    first = job(312, 17)
    job(17, 0, parent=first)
    factories.make_summary(first.last_run, failed=1)
    assert linked_jobs(first).root.left == 0
    assert linked_jobs(first).to_resolve == []


def test_a_job_that_was_started_again_meanwhile_is_not_resolved():
    first = job(312, 17)
    job(17, 0, parent=first)
    read = linked_jobs(first)
    factories.make_run(first)
    assert resolve_settled(read, people.make_superuser()) == []


def test_stories_stay_within_a_tenant():
    elsewhere = job(312, 17, tenant=factories.make_tenant("elsewhere"))
    mine = job(17, 3, parent=elsewhere)
    job(5, 0, parent=mine, tenant=elsewhere.tenant)
    assert told(mine) == [(1, None, 17, 3, 3)]
    assert len(told(elsewhere)) == 1


def test_jobs_that_name_each_other_as_parents_end_somewhere():
    first = job(312, 17)
    second = job(17, 3, parent=first)
    Job.objects.filter(pk=first.pk).update(parent=second)
    first.refresh_from_db()
    assert len(told(first)) == 2


def test_linked_jobs_take_two_queries_however_many_generations_they_have(django_assert_num_queries):
    first = youngest = job(312, 17)
    for _ in range(5):
        job(1, 1, parent=first)
        youngest = job(3, 1, parent=youngest)
    for each in (first, youngest):
        with django_assert_num_queries(2):
            assert len(linked_jobs(each).jobs) == 11


def test_rows_that_a_revised_file_has_covered_are_no_longer_offered():
    run = factories.make_unmatched_run()
    client = people.logged_in(people.make_partner_admin())
    page = reverse("admin:earthbeam_job_change", args=[run.job_id])
    rows = reverse("admin:earthbeam_job_unmatched", args=[run.job_id])
    assert "Review and fix these rows" in client.get(page).content.decode()
    job(parent=run.job, status=Run.Status.ERROR)
    assert "Review and fix these rows" in client.get(page).content.decode()

    job(run.matches.input_rows, 1, parent=run.job)
    assert linked_jobs(run.job).here.open == 0
    shown = client.get(page).content.decode()
    assert "Review and fix these rows" not in shown
    assert "Later jobs include the unmatched rows" in shown
    shown = client.get(rows).content.decode()
    assert "A later job loaded a revised file" in shown
    assert "unmatched-form" not in shown
