from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from earthbeam.admin.jobs.new import new_job_url
from earthbeam.jobs import lifecycle
from earthbeam.models import Job, JobNote, Run
from earthbeam.runs import payload, reports, states
from earthbeam.stored_files import SEND_RESULTS
from edu import connections
from partners.models import OdsConnection, Partner
from tests import factories, people, run_reports

pytestmark = pytest.mark.django_db

ACTIONS = ["run", "with_edu", "repair", "cancel", "resolve", "unresolve", "note"]


@pytest.fixture(autouse=True)
def fresh_cache():
    cache.clear()


@pytest.fixture
def client(db):
    return people.logged_in(people.make_user())


@pytest.fixture
def admin(db):
    return people.logged_in(people.make_partner_admin())


def url(job, what="change", **query):
    return reverse(f"admin:earthbeam_job_{what}", args=[job.pk], query=query or None)


def shown(client, job, **query):
    answer = client.get(url(job, **query))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def told(answer):
    return " ".join(str(message) for message in answer.context["messages"])


# --- What came of it ------------------------------------------------------------------------


def test_a_split_run_says_which_rows_went_where_and_offers_its_files(client):
    factories.make_partner(cross_year_match_enabled=True)
    run = run_reports.succeeded(rows=(251, 44, 17), sets=("ods", "non-ods"), blank_ids=5)
    page = shown(client, run.job)
    assert (
        "Of 312 rows, 251 were sent to the ODS, 44 matched a prior year and are ready for EDU, "
        "17 did not match a student." in page
    )
    for width in ("80.449%", "14.103%", "5.449%"):
        assert f'width="{width}"' in page
    for file in (
        "output/ods/studentAssessments.jsonl",
        "output/non-ods/studentAssessments.jsonl",
        "output/input_no_student_id_match.csv",
        "input/INPUT_FILE__scores.csv",
    ):
        assert f"/files/{file}" in page
    assert "All results" not in page


def test_the_page_names_the_runs_bundle_version_and_whether_it_has_changed(client):
    run = run_reports.succeeded(rows=(251, 44, 17))
    Run.objects.filter(pk=run.pk).update(bundle_commit="a" * 40)
    factories.make_bundle_revision("a" * 40)
    assert "Bundle version aaaaaaaaaaaa." in (page := shown(client, run.job))
    assert "has changed since" not in page
    changes = [f"M\t{run.job.bundle_id}/earthmover.yaml"]
    factories.make_bundle_revision("b" * 40, changes=changes, is_current=True)
    assert "The bundle has changed since, so another run may give other" in shown(client, run.job)


def test_a_job_for_no_ods_has_a_page_that_speaks_of_none(client):
    job = factories.make_job(send_to_ods=False)
    run_reports.succeeded(job=job, rows=(0, 3, 0), sets=("non-ods",))
    page = shown(client, job)
    content = page[page.index('id="content-main"') :]
    assert "The results are ready for EDU." in content
    assert "ODS" not in content


def test_what_went_to_the_ods_and_what_waits_are_counted_apart(client):
    answers = run_reports.answered(run_reports.failure("No.", 7), records=100)
    run = run_reports.succeeded(rows=(5, 4, 0), sets=("ods", "non-ods"), refused=1, answers=answers)
    page = shown(client, run.job)
    assert '<td class="num">99</td> <td class="num">100</td>' in page


def test_without_the_odss_answers_no_figure_is_made_up(client):
    run = run_reports.succeeded(rows=(5, 4, 0), sets=("ods", "non-ods"))
    run.output_files.filter(path=SEND_RESULTS).delete()
    page = shown(client, run.job)
    assert "did not report how many of them were sent" in page
    assert '<td class="num">200</td>' in page
    assert "Sent</th>" not in page


def test_the_odss_messages_are_grouped_with_counts_and_lines(client):
    same = [run_reports.failure(f"Student '{n}' <unknown>", n) for n in range(1, 501)]
    answers = run_reports.answered(*same, records=600)
    run = run_reports.succeeded(refused=500, records=600, answers=answers)
    page = shown(client, run.job)
    assert page.count("&lt;unknown&gt;") == 1
    assert "500&times;" in page
    assert "and 488 more of studentAssessments.jsonl" in page


def test_records_that_the_ods_refused_come_with_a_next_step(client):
    answers = run_reports.answered(run_reports.failure("No.", 7))
    run = run_reports.succeeded(refused=1, answers=answers)
    page = shown(client, run.job)
    assert "What to do about the refused records:" in page
    assert "the ODS’s messages are below" in page
    assert f'href="{new_job_url(parent=run.job.pk)}"' in page
    run.output_files.filter(path=SEND_RESULTS).delete()
    assert "the ODS’s messages are below" not in shown(client, run.job)
    run_reports.succeeded(job=run.job)
    assert "What to do about the refused" not in shown(client, run.job)
    assert "What to do about the refused" not in shown(client, run.job, run=str(run.pk))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"no json", "could not be understood"), (b"{" + b" " * 5_000_000, "too many for this page")],
)
def test_answers_that_cannot_be_shown_are_told_of(client, content, said):
    run = run_reports.succeeded()
    factories.store_file(run.job, f"output/{SEND_RESULTS}", content)
    assert said in shown(client, run.job)


def test_files_that_are_away_break_no_page(client, settings):
    run = run_reports.succeeded()
    Job.objects.update(files_base="file:///nowhere-at-all")
    assert "cannot be read now" in shown(client, run.job)


# --- What went wrong ------------------------------------------------------------------------


def test_an_error_has_words_and_its_internals_are_for_admins(client, admin):
    run = run_reports.failed(
        "insufficient_matches", match_rate=0.1, match_threshold=0.5, id_name="StateID",
        id_type="State", stacktrace="Traceback <b>",
    )  # fmt: skip
    run_reports.printed(run, "== earthmover_run")
    for who, sees in ((client, False), (admin, True)):
        page = shown(who, run.job)
        assert "Only 10% of the rows match a student" in page
        assert "Nothing was sent to the ODS." in page
        assert ("Traceback &lt;b&gt;" in page) is sees
        assert ("== earthmover_run" in page) is sees
        log = who.get(reverse("admin:earthbeam_job_log", args=[run.job_id, run.pk]))
        assert (log.status_code == 200) is sees


def test_a_long_log_is_cut_on_the_page_and_whole_as_a_file(admin):
    run = run_reports.succeeded()
    run_reports.printed(run, "first line\n" + "more\n" * 50_000 + "last line\n")
    page = shown(admin, run.job)
    assert "last line" in page
    assert "first line" not in page
    log = admin.get(reverse("admin:earthbeam_job_log", args=[run.job_id, run.pk]))
    assert log.content.startswith(b"first line")
    assert log["Content-Disposition"].startswith("attachment")


def test_a_cancelled_run_says_who_did_it(client):
    run = run_reports.running("earthmover_run")
    client.post(url(run.job, "cancel"), {"run": run.pk})
    page = shown(client, run.job)
    assert "user cancelled it" in page
    assert "Cancelled the run." in page


# --- Earlier runs ---------------------------------------------------------------------------


@pytest.fixture
def run_without_edu():
    """A run that left rows unmatched, which EDU might have matched, had it been available."""
    factories.make_partner(cross_year_match_enabled=True)
    run = run_reports.succeeded(rows=(251, 0, 61), sets=("ods",))
    Run.objects.filter(pk=run.pk).update(
        edu_unavailable="edu_credentials_denied", started_at=run.created_at
    )
    return run


def test_a_run_without_edu_says_so_and_its_rows_can_be_tried_again(
    client, run_without_edu, monkeypatch
):
    page = shown(client, run_without_edu.job)
    assert "Complete, 61 unmatched" in page
    assert "Rows were not matched to prior years." in page
    assert "AWS does not allow Runway to read EDU&#x27;s credentials." in page
    with_edu = url(run_without_edu.job, "with_edu")
    assert with_edu in page
    monkeypatch.setattr(connections, "available", lambda partner, generation: True)
    answer = client.post(with_edu, follow=True)
    assert told(answer) == "Started a run."
    assert run_without_edu.job.runs.count() == 2


def test_while_edu_stays_unavailable_no_run_is_started_in_vain(client, run_without_edu):
    answer = client.post(url(run_without_edu.job, "with_edu"), follow=True)
    assert "Nothing was started: EDU is still unavailable." in told(answer)
    Partner.objects.update(cross_year_match_enabled=False)
    answer = client.post(url(run_without_edu.job, "with_edu"), follow=True)
    assert "cross-year matching is off" in told(answer)
    assert run_without_edu.job.runs.count() == 1


def test_a_run_without_edu_that_matched_every_row_asks_for_nothing(client):
    run = run_reports.succeeded(rows=(312, 0, 0), sets=("ods",))
    Run.objects.filter(pk=run.pk).update(
        edu_unavailable="edu_credentials_denied", started_at=run.created_at
    )
    page = shown(client, run.job)
    assert "Every row matched without it." in page
    assert url(run.job, "with_edu") not in page


def test_too_few_matches_without_edu_are_explained_by_it(client):
    run = factories.make_run(status=Run.Status.RUNNING, edu_unavailable="edu_credentials_denied")
    Run.objects.filter(pk=run.pk).update(started_at=run.created_at)
    states.fail(run.pk, "insufficient_matches", {"match_rate": 0.3, "match_threshold": 0.5})
    page = shown(client, run.job)
    assert "Run the job again when EDU is available." in page
    assert url(run.job, "with_edu") in page


def test_a_run_that_waits_for_edu_says_for_how_long(client):
    job = factories.make_job(send_to_ods=False)
    factories.make_run(
        job, edu_unavailable="edu_credentials_denied", waiting_for_edu_since=timezone.now()
    )
    page = shown(client, job)
    assert "Waiting for EDU." in page
    assert "AWS does not allow Runway to read EDU&#x27;s credentials. Runway tries again" in page


def test_an_earlier_run_can_be_looked_at_and_offers_no_file_that_is_anothers(client):
    job = factories.make_job()
    first = run_reports.succeeded(job=job, rows=(3, 0, 1))
    run_reports.succeeded(job=job, rows=(4, 0, 0))
    assert "All results were sent to the ODS." in shown(client, job)
    page = shown(client, job, run=first.pk)
    assert "You are viewing an earlier run" in page
    assert "3 were sent to the ODS, 1 did not match a student" in page
    assert "replaced by a later run" in page
    assert "later run replaced the ODS" in page
    assert f"/files/output/{SEND_RESULTS}" not in page
    # What only the first run has made is still its own.
    assert "/files/output/input_no_student_id_match.csv" in page


@pytest.mark.parametrize("chosen", ["x", "2f6c0f9e-8a3c-4a0e-9df1-3f6f7f3f2b11"])
def test_an_address_of_no_run_shows_the_last_one(client, chosen):
    job = run_reports.succeeded(rows=(4, 0, 0)).job
    assert "All results" in shown(client, job, run=chosen)


def test_a_run_of_another_job_is_not_shown_in_this_one(client):
    foreign = run_reports.succeeded(
        job=factories.make_job(tenant=factories.make_tenant("elsewhere")), rows=(4321, 0, 0)
    )
    job = factories.make_job()
    assert "4321" not in shown(client, job, run=foreign.pk)


# --- As it goes -----------------------------------------------------------------------------


def live(client, job, **query):
    answer = client.get(url(job, "live", **query))
    assert "no-store" in answer["Cache-Control"]
    return " ".join(answer.content.decode().split())


def test_the_fragment_says_where_the_run_is_and_when_it_has_ended(client):
    run = run_reports.running("lightbeam_send", done=1200, total=3000, unit="records")
    version = f"running.{run.pk}"
    fragment = live(client, run.job, seen=version)
    assert "1,200 of 3,000 records" in fragment
    assert "data-unfinished" in fragment
    assert 'data-live="around"' not in fragment
    states.fail(run.pk, "unknown")
    fragment = live(client, run.job, seen=version)
    assert "data-unfinished" not in fragment
    assert 'data-live="around"' in fragment
    assert "Something unexpected went wrong" in fragment


def test_a_step_tells_how_long_it_usually_takes(client):
    run = run_reports.succeeded()
    begun = run.updates.get(action="get_input_files", status="begin")
    run.updates.filter(action="get_input_files", status="success").update(at=begun.at)
    run.updates.filter(pk=begun.pk).update(at=begun.at - timedelta(hours=8760))
    again = run_reports.running("get_input_files", job=factories.make_job())
    assert "usually takes about 8760 h 00 min" in live(client, again.job)


def test_a_run_whose_roster_was_asked_for_is_matching_across_years(client):
    run = run_reports.running("earthmover_run")
    assert "Matching to prior years" not in live(client, run.job)
    reports.record_cross_year(run)
    assert '<li class="is-now" aria-current="step">Matching to prior years' in live(client, run.job)


# --- What people do -------------------------------------------------------------------------


def test_running_again_queues_a_run_that_knows_who_asked(client):
    job = run_reports.failed("earthmover_run").job
    client.post(url(job, "run"))
    run = Run.objects.latest("created_at")
    assert (run.status, str(run.started_by)) == ("new", "user")
    assert "Started a run." in shown(client, job)
    again = client.post(url(job, "run"), follow=True)
    assert "has a run in progress" in told(again)
    assert job.runs.count() == 2


def test_a_run_that_began_after_the_page_was_shown_is_not_cancelled(client):
    run = run_reports.failed("earthmover_run")
    newer = lifecycle.start_run(run.job)
    answer = client.post(url(run.job, "cancel"), {"run": run.pk}, follow=True)
    assert "Nothing was cancelled" in told(answer)
    newer.refresh_from_db()
    assert newer.status == "new"


def test_a_job_is_called_resolved_and_reopened_and_both_are_noted(client):
    job = run_reports.failed("earthmover_run").job
    client.post(url(job, "resolve"))
    page = shown(client, job)
    assert "Marked as resolved by user" in page
    client.post(url(job, "unresolve"))
    page = shown(client, job)
    assert "Marked as resolved by" not in page
    assert page.index("Reopened the job.") < page.index("Marked the job as resolved.")


@pytest.mark.parametrize("make", [run_reports.succeeded, run_reports.running])
def test_what_has_no_trouble_cannot_be_resolved(client, make):
    job = make().job
    answer = client.post(url(job, "resolve"), follow=True)
    assert "was not marked as resolved" in told(answer)
    assert Job.objects.get().resolved_at is None


def test_only_what_can_be_done_now_is_offered(client):
    def offered(page):
        return [name for name in ("run", "cancel", "resolve") if f'id="job-{name}"' in page]

    assert offered(shown(client, run_reports.succeeded().job)) == ["run"]
    busy = run_reports.running(job=factories.make_job()).job
    assert offered(shown(client, busy)) == ["cancel"]
    failed = run_reports.failed("earthmover_run", job=factories.make_job()).job
    assert offered(shown(client, failed)) == ["run", "resolve"]
    no_files = factories.make_job()
    no_files.files.update(size=None)
    assert "its files have not been uploaded yet" in shown(client, no_files)


def test_notes_are_kept_as_written_with_author_and_time(client):
    job = factories.make_job()
    client.post(url(job, "note"), {"text": "<script>1</script>\nsecond"})
    note = JobNote.objects.get()
    assert (note.job, str(note.author)) == (job, "user")
    assert "&lt;script&gt;1&lt;/script&gt;<br>second" in shown(client, job)
    User.objects.get(username="user").delete()
    admin = people.logged_in(people.make_partner_admin())
    assert "a former user" in shown(admin, job)


@pytest.mark.parametrize("text", ["", " ", "x" * 5001])
def test_a_note_that_is_empty_or_too_long_is_not_kept_and_not_lost(client, text):
    answer = client.post(url(factories.make_job(), "note"), {"text": text})
    assert answer.status_code == 422
    assert text.strip() in answer.content.decode()
    assert not JobNote.objects.exists()


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_take_a_post_by_somebody_who_sees_the_job(client, action):
    run = run_reports.running(job=factories.make_job(tenant=factories.make_tenant("elsewhere")))
    assert client.post(url(run.job, action), {"text": "x", "run": run.pk}).status_code == 404
    assert client.get(url(run.job, action)).status_code == 405
    client.logout()
    assert "login" in client.post(url(run.job, action)).url
    run.refresh_from_db()
    assert (run.status, JobNote.objects.count()) == ("running", 0)


@pytest.mark.parametrize("what", ["live", "change"])
def test_the_page_of_another_tenants_job_is_not_there(client, what):
    job = factories.make_job(tenant=factories.make_tenant("elsewhere"))
    assert client.get(url(job, what)).status_code in (302, 404)
    run = factories.make_run(job)
    log = reverse("admin:earthbeam_job_log", args=[job.pk, run.pk])
    assert client.get(log).status_code == 404


def test_forms_need_their_token(client):
    job = run_reports.failed("earthmover_run").job
    client.handler.enforce_csrf_checks = True
    assert client.post(url(job, "run")).status_code == 403


# --- A file that was not the right one ------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "offered"),
    [("earthmover_run", True), ("insufficient_matches", True), ("lightbeam_send", False)],
)
def test_where_another_file_is_what_helps_it_can_be_submitted_from_here(client, code, offered):
    run = run_reports.failed(code)
    link = f'href="{new_job_url(parent=run.job.pk)}"'
    assert (link in shown(client, run.job)) is offered
    assert (link in live(client, run.job)) is offered
    run_reports.succeeded(job=run.job)
    assert link not in shown(client, run.job, run=str(run.pk))


def test_what_an_executor_says_of_being_ended_is_no_second_reason(client, admin):
    run = run_reports.running("earthmover_run")
    reports.record_error(run, "bundle_git_pull", {})
    assert lifecycle.cancel_run(run, "ada")
    reports.record_error(run, "unknown", {"message": "The executor was told to end."})
    page = shown(client, run.job)
    assert "ada cancelled it" in page
    assert "could not be fetched" in page
    assert "Something unexpected went wrong" not in page
    assert "was told to end" in shown(admin, run.job)  # with the technical details


def test_fixed_rows_that_match_nobody_are_fixed_again_on_their_own_page(client):
    parent = factories.make_unmatched_run().job
    fixed = run_reports.failed("insufficient_matches", job=factories.make_job(parent=parent))
    link = f'href="{url(parent, "unmatched")}">Enter the IDs again</a>'
    assert link in shown(client, fixed.job)
    assert link not in shown(client, run_reports.failed("insufficient_matches").job)
    other = run_reports.failed("earthmover_run", job=factories.make_job(parent=parent))
    assert link not in shown(client, other.job)


def test_the_page_names_the_file_so_that_one_of_many_jobs_is_known(client):
    job = factories.make_job(
        files={"INPUT_FILE_SKILLS": ("s.csv", b"a\n"), "INPUT_FILE": ("fall.csv", b"a\n1\n")}
    )
    assert "<title>fall.csv | Reading check | Runway" in shown(client, job)
    assert client.get(url(factories.make_job(files={}))).status_code == 200


# --- What belongs together ------------------------------------------------------------------


def test_linked_jobs_are_listed_on_the_page_of_each(client):
    parent = run_reports.succeeded(rows=(3, 0, 1)).job
    child = run_reports.running(job=factories.make_job(parent=parent)).job
    sibling = factories.make_job(parent=parent)
    for job, others in ((parent, (child, sibling)), (child, (parent, sibling))):
        page = shown(client, job)
        assert "One file, 3 jobs" in page
        for other in others:
            assert f'href="{url(other)}"' in page
    assert "One file" not in shown(client, factories.make_job())


def test_a_job_whose_last_run_failed_is_not_said_to_have_loaded_nothing(client):
    # An earlier run of it may have loaded its rows.
    parent = run_reports.succeeded(rows=(3, 0, 1)).job
    child = run_reports.succeeded(job=factories.make_job(parent=parent), rows=(1, 0, 0)).job
    run_reports.failed("lightbeam_send", job=child)
    assert "Its last run failed, so its rows are not counted here." in shown(client, parent)


def split(job):
    return run_reports.succeeded(job=job, rows=(251, 44, 17), sets=("ods", "non-ods"), refused=1)


STANDINGS = {
    "not run": lambda job: None,
    "queued": lambda job: factories.make_run(job),
    "running": lambda job: run_reports.running(
        "lightbeam_send", job=job, done=1, total=2, unit="records"
    ),
    "split": split,
    "failed": lambda job: run_reports.failed("lightbeam_send", job=job),
    "cancelled": lambda job: run_reports.failed("unknown", job=job, message="Cancelled by ann."),
}


def test_pages_take_at_most_22_queries_whatever_there_is_to_tell(
    subtests, django_assert_max_num_queries
):
    parent = factories.make_job()
    split(parent)
    job = factories.make_job(parent=parent)
    old = split(job)
    run_reports.printed(old, "said")
    factories.make_error(factories.make_run(job, Run.Status.ERROR), "lightbeam_send")
    for n in range(20):
        JobNote.objects.create(job=job, text=f"note {n}")
        split(factories.make_job(parent=job))
    split(factories.make_job(parent=Job.objects.filter(parent=job).first()))
    members = [make() for make in (people.make_user, people.make_partner_admin)]
    clients = [people.logged_in(person) for person in (*members, people.make_superuser())]
    for standing, stand in STANDINGS.items():
        with subtests.test(standing), transaction.atomic():
            job.refresh_from_db()
            run = stand(job)
            if run is not None:
                run_reports.printed(run, "said")
            for client in clients:
                for query in ({}, {"run": str(old.pk)}):
                    ContentType.objects.clear_cache()
                    cache.clear()
                    with django_assert_max_num_queries(22):
                        assert "One file, 23 jobs" in shown(client, job, **query)
                    cache.clear()
                    with django_assert_max_num_queries(22):
                        live(client, job, **query)
            transaction.set_rollback(True)


def test_following_a_run_takes_few_queries(client, django_assert_max_num_queries):
    run = run_reports.running("lightbeam_send", job=factories.make_job())
    live(client, run.job)
    with django_assert_max_num_queries(9):
        live(client, run.job, seen=f"running.{run.pk}")


ZEROS: dict[str, Any] = {
    "match_rate": 0.1,
    "input_rows": 60,
    "repairs": [{"kind": "leading_zeros", "rows": 56}],
}


def repair(client, job, kind="leading_zeros"):
    return client.post(reverse("admin:earthbeam_job_repair", args=[job.pk]), {"kind": kind})


def test_damage_that_can_be_undone_is_offered_and_undone_in_the_same_job(client):
    run = run_reports.failed("insufficient_matches", **ZEROS)
    text = shown(client, run.job)
    assert "56 of 60 rows would match if leading zeros were restored." in text
    assert "Load the file with leading zeros restored" in text
    repair(client, run.job)
    job = Job.objects.get(pk=run.job_id)
    assert job.last_run is not None
    assert job.last_run_id != run.pk
    assert payload.build(job.last_run)["idRepairs"] == ["leading_zeros"]


@pytest.mark.parametrize("kind", ["case", "", "x" * 100])
def test_damage_that_the_last_run_did_not_find_is_not_undone(client, kind):
    run = run_reports.failed("insufficient_matches", **ZEROS)
    repair(client, run.job, kind)
    job = Job.objects.get(pk=run.job_id)
    assert (job.last_run_id, job.id_repairs) == (run.pk, [])


def test_a_run_that_cannot_start_leaves_the_job_as_it_was(client):
    run = run_reports.failed("insufficient_matches", **ZEROS)
    OdsConnection.objects.all().delete()
    repair(client, run.job)
    job = Job.objects.get(pk=run.job_id)
    assert (job.last_run_id, job.id_repairs) == (run.pk, [])
