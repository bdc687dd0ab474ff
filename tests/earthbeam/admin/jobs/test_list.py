import html
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from earthbeam.jobs.status import JobStatus
from earthbeam.models import Job, JobNote, Run
from partners.list_filters import NamedFilter
from tests import factories, people

pytestmark = pytest.mark.django_db

LIST = reverse("admin:earthbeam_job_changelist")


@pytest.fixture
def client():
    return people.logged_in(people.make_partner_admin())


def listed(browser, **query):
    """The jobs in the list, in order."""
    answer = browser.get(LIST, query)
    assert answer.status_code == 200, answer
    return list(answer.context["cl"].result_list)


def text_of(answer):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.content.decode())))


def do(client, action, *jobs):
    """What the person is told after the action."""
    chosen = {"action": action, "_selected_action": [job.pk for job in jobs]}
    answer = client.post(LIST, chosen, follow=True)
    return [str(message) for message in answer.context["messages"]]


def make_job(status=Run.Status.SUCCESS, tenant="grand_bend", **fields):
    job = factories.make_job(tenant=factories.make_tenant(tenant), **fields)
    factories.make_run(job, status)
    return job


def history(job):
    return [entry.change_message for entry in LogEntry.objects.filter(object_id=job.pk)]


# --- What a line says ------------------------------------------------------------------------


def test_a_line_says_how_the_job_stands_where_its_rows_went_and_who_asked(client):
    job = make_job(created_by=people.make_superuser("ada"))
    factories.make_matches(job.runs.get())
    shown = text_of(client.get(LIST))
    for text in (
        *("Reading check", "scores.csv", "Complete, 17 unmatched", "grand_bend (ea)", "2025-26"),
        *("251 to the ODS", "44 matched to a prior year", "17 unmatched", "ada"),
    ):
        assert f" {text} " in shown


def test_a_line_says_what_the_ods_refused_and_what_a_preview_would_send(client):
    factories.make_loaded_run(refused=[1, 2])
    assert "3 to the ODS 2 refused" in text_of(client.get(LIST))
    preview = make_job()
    preview.runs.update(kind=Run.Kind.PREVIEW)
    factories.make_matches(preview.runs.get())
    shown = text_of(client.get(LIST))
    assert "251 for the ODS" in shown
    assert "Previewed, not loaded" in shown


def test_jobs_of_api_clients_say_so(client):
    make_job(api_client="loader")
    assert "loader (API)" in text_of(client.get(LIST))


def test_the_newest_jobs_come_first(client):
    first, second = make_job(), make_job()
    assert listed(client) == [second, first]


# --- Filters ---------------------------------------------------------------------------------


def make_one_of_each_status():
    jobs = {
        JobStatus.WAITING: factories.make_job(),
        JobStatus.QUEUED: make_job(Run.Status.NEW),
        JobStatus.RUNNING: make_job(Run.Status.RUNNING),
        JobStatus.ERROR: make_job(Run.Status.ERROR),
        JobStatus.COMPLETE: make_job(),
        JobStatus.COMPLETE_WITH_ERRORS: make_job(),
        JobStatus.COMPLETE_UNMATCHED: make_job(),
        JobStatus.PREVIEWED: make_job(),
        JobStatus.WITHDRAWN: make_job(),
        JobStatus.RESOLVED: make_job(Run.Status.ERROR, resolved_at=timezone.now()),
    }
    jobs[JobStatus.PREVIEWED].runs.update(kind=Run.Kind.PREVIEW)
    loaded = jobs[JobStatus.WITHDRAWN].runs.get()
    factories.make_run(loaded.job, Run.Status.SUCCESS, kind=Run.Kind.WITHDRAW, continues=loaded)
    jobs[JobStatus.COMPLETE_WITH_ERRORS].runs.update(has_problems=True, has_errors=True)
    jobs[JobStatus.COMPLETE_UNMATCHED].runs.update(has_problems=True)
    return jobs


def test_each_status_filters_the_jobs_that_stand_so(client):
    jobs = make_one_of_each_status()
    assert set(jobs) == set(JobStatus)
    for status, job in jobs.items():
        assert listed(client, status=status) == [job]
    assert set(listed(client, status="to_look_at")) == {
        jobs[JobStatus.ERROR],
        jobs[JobStatus.COMPLETE_WITH_ERRORS],
        jobs[JobStatus.COMPLETE_UNMATCHED],
    }
    assert set(listed(client, status="in_progress")) == {
        jobs[JobStatus.QUEUED],
        jobs[JobStatus.RUNNING],
    }


def test_jobs_that_had_to_do_without_edu_are_found(client):
    make_job()
    job = make_job()
    job.runs.update(edu_unavailable="edu_credentials_denied")
    assert listed(client, edu="unavailable") == [job]


def test_jobs_are_filtered_by_what_they_belong_to():
    client = people.logged_in(people.make_superuser())
    ada = people.make_superuser("ada")
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    other = factories.make_bundle(
        {**factories.BUNDLE_TEMPLATE, "path": "assessments/Other", "display_name": "Other check"}
    )
    near = make_job(created_by=people.make_superuser("bob"), api_client="")
    job = factories.make_job(
        tenant=far, year=factories.make_year("2425"), bundle=other, created_by=ada
    )
    of_client = make_job(api_client="loader")
    for query in (
        {"partner": "tx"},
        {"tenant": "far"},
        {"tenant": "far (tx)"},
        {"tenant": "FA"},
        {"school_year__id__exact": "2425"},
        {"assessment": "Other check"},
        {"assessment": "other"},
        {"person": "ada"},
    ):
        assert listed(client, **query) == [job], query
    assert listed(client, client="loader") == listed(client, client="load") == [of_client]
    assert listed(client, partner="ea", person="bob") == [near]
    assert listed(client, tenant="nowhere") == listed(client, client="nobody") == []


def test_a_name_that_is_whole_is_no_part_of_others(client):
    one = make_job(tenant="district_1")
    make_job(tenant="district_12")
    assert listed(client, tenant="district_1 (ea)") == [one]
    assert len(listed(client, tenant="district_1")) == 2


def test_few_choices_are_links_many_are_a_search_box(client, monkeypatch):
    for n in range(3):
        make_job(tenant=f"district_{n}", api_client=f"loader_{n}")
    few = client.get(LIST).content.decode()
    assert "?tenant=district_1+%28ea%29" in few
    assert "?client=loader_1" in few
    monkeypatch.setattr(NamedFilter, "FEW", 2)
    many = client.get(LIST, {"status": "complete", "tenant": "district_1 (ea)"}).content.decode()
    assert "tenant=district_2" not in many
    assert '<option value="district_2 (ea)">' in many
    # A search keeps what is filtered already, and can be taken back.
    assert many.count('<input type="hidden" name="status" value="complete">') >= 2
    assert '<a href="?status=complete">Any tenant</a>' in many


def test_one_api_client_is_enough_to_filter_by(client):
    by_client = make_job(api_client="nightly")
    make_job()
    assert "By API client" in text_of(client.get(LIST))
    assert listed(client, client="nightly") == [by_client]


def test_filters_offer_only_what_the_person_may_see():
    make_job(created_by=people.make_superuser("ada"), api_client="near")
    make_job(api_client="near2")
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    factories.make_job(tenant=far, created_by=people.make_superuser("bob"), api_client="distant")
    user = people.logged_in(people.make_user())
    shown = user.get(LIST).content.decode()
    assert "near2" in shown
    for hidden in ("far", "bob", "distant", "TX"):
        assert f">{hidden}<" not in shown
    for query in ({"tenant": "far"}, {"person": "bob"}, {"client": "distant"}, {"partner": "tx"}):
        assert listed(user, **query) == []


# --- Search ----------------------------------------------------------------------------------


@pytest.fixture
def found():
    job = make_job(files={"INPUT_FILE": ("Spring Scores.csv", b"a,b\n1,2\n")})
    JobNote.objects.create(job=job, text="Asked the district for a new file")
    make_job(tenant="elsewhere", files={"INPUT_FILE": ("autumn.csv", b"a,b\n1,2\n")})
    return job


@pytest.mark.parametrize(
    "search",
    [
        "spring",
        "spring scores.csv",
        "grand_bend",
        "reading grand_bend",
        "grand_bend spring",
        "asked the district",
    ],
)
def test_jobs_are_found_by_words(client, found, search):
    assert listed(client, q=search) == [found]


def test_jobs_are_found_by_how_an_id_begins(client, found):
    run = found.runs.get()
    for text in (str(found.pk), str(found.pk)[:8], str(found.pk)[:11].upper(), str(run.pk)[:8]):
        assert listed(client, q=text) == [found]


@pytest.mark.parametrize("search", ["nothing like it", "grand_bend autumn", "''", "%"])
def test_what_fits_nothing_finds_nothing_and_breaks_nothing(client, found, search):
    assert found not in listed(client, q=search)


def test_a_search_finds_no_jobs_of_others(found):
    user = people.logged_in(people.make_user(tenant=factories.make_tenant("elsewhere")))
    for search in ("spring", "grand_bend", "asked", str(found.pk)):
        assert listed(user, q=search) == []


# --- Many at once ----------------------------------------------------------------------------


def test_jobs_run_again_and_others_say_why_not(client):
    done, busy, waiting = make_job(), make_job(Run.Status.RUNNING), factories.make_job(files={})
    told = do(client, "run_again", done, busy, waiting)
    assert told[0] == "A run is queued for 1 job."
    assert any("has a run in progress" in text for text in told)
    assert any("Upload these files before" in text for text in told)
    assert [job.runs.count() for job in (done, busy, waiting)] == [2, 1, 0]
    assert done.runs.latest("created_at").started_by.username == "admin"
    assert (history(done), history(busy)) == (["Ran the job again."], [])


def test_runs_in_progress_are_cancelled(client):
    queued, running, done = make_job(Run.Status.NEW), make_job(Run.Status.RUNNING), make_job()
    told = do(client, "cancel", queued, running, done)
    assert told == [
        "2 jobs cancelled.",
        "Skipped Reading check of grand_bend: No run was in progress.",
    ]
    assert set(Run.objects.values_list("status", flat=True)) == {"error", "success"}
    assert queued.runs.get().errors.get().payload == {"message": "Cancelled by admin."}
    assert history(running) == ["Cancelled the run."]


def test_jobs_are_resolved_and_unresolved(client):
    jobs = make_one_of_each_status()
    told = do(client, "resolve", *jobs.values())
    assert told[0] == "4 jobs marked as resolved."
    assert len(told) == 7
    resolved = set(Job.objects.exclude(resolved_at=None))
    assert resolved == {
        jobs[status]
        for status in (
            JobStatus.WAITING,
            JobStatus.ERROR,
            JobStatus.COMPLETE_WITH_ERRORS,
            JobStatus.COMPLETE_UNMATCHED,
            JobStatus.RESOLVED,
        )
    }
    error = Job.objects.get(pk=jobs[JobStatus.ERROR].pk)
    assert str(error.resolved_by) == "admin"
    told = do(client, "unresolve", error, jobs[JobStatus.COMPLETE])
    assert told == [
        "1 job reopened.",
        "Skipped Reading check of grand_bend: It was not marked as resolved.",
    ]
    error.refresh_from_db()
    assert (error.resolved_at, error.resolved_by) == (None, None)
    assert history(error) == ["Reopened the job.", "Marked the job as resolved."]


@pytest.mark.parametrize("action", ["run_again", "cancel", "resolve", "unresolve"])
def test_nobody_acts_on_jobs_of_others(action):
    status = Run.Status.RUNNING if action == "cancel" else Run.Status.ERROR
    resolved_at = timezone.now() if action == "unresolve" else None
    foreign = make_job(status, tenant="elsewhere", resolved_at=resolved_at)
    make_job()
    do(people.logged_in(people.make_user()), action, foreign)
    foreign.refresh_from_db()
    assert foreign.runs.get().status == status
    assert foreign.resolved_at == resolved_at
    assert history(foreign) == []


def test_what_is_no_job_is_no_error_of_ours(client):
    data = {"action": "run_again", "_selected_action": "not-an-id"}
    assert client.post(reverse("admin:earthbeam_job_changelist"), data).status_code == 400


def test_too_many_at_once_are_cut_and_the_person_is_told(client, monkeypatch):
    monkeypatch.setattr("earthbeam.admin.jobs.bulk_actions.MAX_AT_ONCE", 2)
    jobs = [make_job(Run.Status.ERROR) for _ in range(3)]
    told = do(client, "resolve", *jobs)
    assert "done for the newest 2" in told[0]
    assert "2 jobs marked as resolved." in told
    assert Job.objects.get(resolved_at=None) == jobs[0]
