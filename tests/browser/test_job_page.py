"""The job page as people see it, in every state that a job has, and as it follows a run."""

import pytest
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import expect

from earthbeam.jobs import lifecycle, resolution
from earthbeam.models import Job, JobNote, Run
from earthbeam.runs import reports, states
from tests import factories, people, run_reports
from tests.browser.screens import look

TRACE = "Traceback (most recent call last):\n" + '  File "x.py", line 1, in run\n' * 30


@pytest.fixture(autouse=True)
def fresh_cache():
    cache.clear()


def url(job, query=""):
    return f"/admin/earthbeam/job/{job.pk}/change/{query}"


def with_toggle():
    factories.make_partner(name="Example Collaborative", cross_year_match_enabled=True)


def waiting():
    job = factories.make_job(files={})
    Job.objects.update(api_client="Nightly loader")
    return job


def queued():
    return lifecycle.start_run(factories.make_job(), started_by=people.make_user("ada")).job


def preparing():
    with_toggle()
    return run_reports.running("get_student_roster", seconds=8).job


def transforming():
    with_toggle()
    run = run_reports.running(
        "earthmover_run", done=120_000, total=300_000, unit="rows transformed"
    )
    return run.job


def cross_year():
    with_toggle()
    run = run_reports.running("earthmover_run", done=120_000, total=None, unit="students")
    reports.record_cross_year(run)
    return run.job


def sending():
    with_toggle()
    before = factories.make_job()
    run_reports.succeeded(job=before)
    job = factories.make_job(input_params={"FORM": "A"})
    return run_reports.running("lightbeam_send", job=job, done=1200, total=3000, unit="records").job


def storing():
    return run_reports.running("upload_output", seconds=2).job


def complete():
    return run_reports.succeeded(rows=(312, 0, 0)).job


def split():
    with_toggle()
    return run_reports.succeeded(
        rows=(251, 44, 17), sets=("ods", "non-ods"), blank_ids=5, ambiguous_ids=1
    ).job


def unmatched_of_others():
    run = run_reports.running("upload_output")
    reports.record_unmatched_ids(run, "StateID", "State", 17)
    states.finish(run.pk, True)
    return run.job


def refusals():
    many = [
        run_reports.failure(f"Student '{6000 + n}' could not be found.", n) for n in range(1, 31)
    ]
    descriptor = (
        "AssessmentReportingMethodDescriptor value "
        "'uri://ed-fi.org/AssessmentReportingMethodDescriptor#Quantile' does not exist. "
        "(at $.scoreResults[0].assessmentReportingMethodDescriptor)"
    )
    answers = run_reports.answered(*many, run_reports.failure(descriptor, 41, 42), records=100)
    return run_reports.succeeded(rows=(100, 0, 0), refused=32, answers=answers).job


def no_ods():
    job = factories.make_job(send_to_ods=False)
    return run_reports.succeeded(job=job, rows=(0, 290, 0), sets=("non-ods",)).job


def insufficient():
    return run_reports.failed(
        "insufficient_matches", match_rate=0.124, match_threshold=0.5, id_name="StateID",
        id_type="State", stacktrace=TRACE,
    ).job  # fmt: skip


def send_failed():
    return run_reports.failed("lightbeam_send", "lightbeam_send", stacktrace=TRACE).job


def not_started():
    run = factories.make_run()
    states.fail_to_start(run.pk, {"message": "No capacity."})
    return run.job


def cancelled():
    run = run_reports.running("earthmover_run")
    lifecycle.cancel_run(run, "ada")
    return run.job


def with_everything():
    """Notes, a long log, earlier runs, linked jobs, things done; resolved."""
    job = factories.make_job(input_params={"FORM": "A"})
    run_reports.failed("earthmover_run", job=job, message="The file has no header row.")
    run = run_reports.succeeded(job=job, rows=(251, 0, 17))
    run_reports.printed(run, "".join(f"12:00:00 line {n} of many\n" for n in range(9000)))
    ada = people.make_user("ada")
    for text in (
        "The district sends a corrected file on Monday.\nWait for it.",
        "<b>Called</b> them.",
    ):
        JobNote.objects.create(job=job, author=ada, text=text)
    child = factories.make_job(parent=job)
    run_reports.running("earthmover_run", job=child)
    job.refresh_from_db()
    resolution.resolve([job.pk], by=ada)
    return job


def on_hold():
    job = split()
    Job.objects.filter(pk=job.pk).update(legal_hold=True)
    return job


def destroyed():
    job = split()
    at = timezone.now()
    Job.objects.filter(pk=job.pk).update(
        input_destroyed_at=at, output_destroyed_at=at, log_destroyed_at=at
    )
    return job


STATES = [
    waiting, queued, preparing, transforming, cross_year, sending, storing, complete, split,
    unmatched_of_others, refusals, no_ods, insufficient, send_failed, not_started, cancelled,
    with_everything, on_hold, destroyed,
]  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_the_page_looks_right(open_page, state):
    job = state()
    page = open_page(people.make_partner_admin(), url(job))
    expect(page.locator("[data-scriptless]:not([hidden])")).to_have_count(0)
    look(page, f"job-{state.__name__.replace('_', '-')}")


def test_technical_details_and_the_log_unfold(open_page):
    job = insufficient()
    run_reports.printed(job.runs.get(), "12:00:00 == earthmover_run\n")
    page = open_page(people.make_partner_admin(), url(job))
    expect(page.get_by_text("Traceback")).to_be_hidden()
    page.get_by_text("Technical details: insufficient_matches").click()
    page.get_by_text("Run log").click()
    expect(page.get_by_text("Traceback")).to_be_visible()
    expect(page.get_by_text("== earthmover_run")).to_be_visible()
    look(page, "job-unfolded")


def test_the_page_follows_a_run_to_its_end_without_being_loaded_again(open_page):
    with_toggle()
    job = factories.make_job()
    run = lifecycle.start_run(job)
    page = open_page(people.make_partner_admin(), url(job))
    page.clock.install()
    page.reload()
    page.evaluate("window.loadedOnce = true")
    told = page.locator("#job-announcer")
    expect(page.get_by_role("heading", name="Queued")).to_be_visible()
    page.get_by_label("Add a note").fill("half a thought")

    states.begin(run.pk)
    for step, words in (
        ("get_student_roster", "Fetching the district's roster"),
        ("earthmover_run", "Matching rows to students and transforming them"),
        ("lightbeam_send", "Sending to the ODS"),
    ):
        run_reports.begin(run, step)
        expect(told).to_have_text(words)
        expect(page.locator("[aria-current=step]")).to_contain_text("now")
    reports.record_progress(run, "lightbeam_send", 1200, 3000, "records")
    expect(page.get_by_text("1,200 of 3,000 records")).to_be_visible()
    reports.record_progress(run, "lightbeam_send", 2400, 3000, "records")
    expect(page.get_by_text("2,400 of 3,000 records")).to_be_visible()
    reports.record_matches(
        run,
        run_reports.MATCHES
        | {"input_rows": 312, "ods_matched": 312, "cross_year_matched": 0, "unmatched": 0},
    )
    states.finish(run.pk, True)

    expect(told).to_contain_text("Of 312 rows")
    expect(page.get_by_role("heading", name="What happened")).to_be_visible()
    expect(page.get_by_role("button", name="Run again")).to_be_enabled()
    assert page.evaluate("window.loadedOnce")
    assert page.get_by_label("Add a note").input_value() == "half a thought"
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(60_000)
    page.evaluate("0")  # what was to be asked for has been by now
    assert asked == []


def test_by_keyboard_alone_a_run_is_cancelled_and_the_job_resolved(open_page):
    run = run_reports.running("earthmover_run")
    page = open_page(people.make_user(), url(run.job))
    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The run was cancelled.", exact=False).first).to_be_visible()
    assert Run.objects.get().status == "error"
    page.get_by_role("button", name="Mark as resolved").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Marked as resolved by user")).to_be_visible()
    assert Job.objects.get().resolved_at is not None


def test_somebody_notes_something_and_others_read_it_as_it_was_written(open_page):
    job = complete()
    page = open_page(people.make_user(), url(job))
    page.get_by_label("Add a note").fill("<img src=x onerror=alert(1)>\nsecond line")
    page.get_by_role("button", name="Add note").click()
    expect(page.get_by_text("second line")).to_be_visible()
    other = open_page(people.make_partner_admin(), url(job))
    expect(other.get_by_text("<img src=x onerror=alert(1)>")).to_be_visible()
    expect(other.get_by_text("second line")).to_be_visible()


def test_a_server_that_does_not_answer_is_told_and_tried_again(open_page):
    run = run_reports.running("earthmover_run")
    page = open_page(people.make_user(), url(run.job))
    page.route("**/live/**", lambda route: route.abort())
    expect(page.get_by_text("Runway does not answer")).to_be_visible(timeout=20_000)
    page.unroute("**/live/**")
    expect(page.get_by_text("Runway does not answer")).to_be_hidden(timeout=20_000)
