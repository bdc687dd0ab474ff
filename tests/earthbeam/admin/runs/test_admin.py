import pytest
from django.urls import reverse

from earthbeam.models import (
    OutputFile,
    OutputSet,
    ResourceSummary,
    RunError,
    RunLog,
    RunMatches,
    RunUpdate,
    UnmatchedIds,
)
from earthbeam.paths import base_path
from tests import factories, people

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    """A run that has reported all that a run can report."""
    run = factories.make_run(status="error")
    RunUpdate.objects.create(run=run, action="earthmover_run", status="failure")
    trace = "Traceback:\n  line 1 <b>"
    RunError.objects.create(run=run, code="earthmover_run", payload={"stacktrace": trace, "at": 7})
    ResourceSummary.objects.create(
        run=run, resource="studentAssessments", records_processed=41, records_skipped=0,
        records_failed=3,
    )  # fmt: skip
    RunMatches.objects.create(
        run=run, input_rows=50, ods_matched=41, cross_year_matched=5, unmatched=4, blank_ids=1,
        ambiguous_ids=1, id_name="local_id", id_type="Local", match_rate=0.92,
    )  # fmt: skip
    UnmatchedIds.objects.create(run=run, name="local_id", type="Local", count=4)
    OutputSet.objects.create(
        run=run,
        partner=run.job.tenant.partner,
        path=f"{base_path(run.job)}/output/ods",
        sent_to_ods=True,
        files=["a.jsonl"],
    )
    OutputFile.objects.create(run=run, path="em-results.json", size=12)
    RunLog.objects.create(run=run, text="step one\n<script>alert(1)</script>")
    return run


def page(run, what="change"):
    return reverse(f"admin:earthbeam_run_{what}", args=[run.pk])


TRACE, LOG = "Traceback:\n  line 1 &lt;b&gt;", "step one\n&lt;script&gt;"


def test_users_see_what_a_run_reported_without_its_stack_trace_and_log(run):
    shown = people.logged_in(people.make_user()).get(page(run)).content.decode()
    assert "earthmover_run" in shown
    assert "studentAssessments" in shown
    assert TRACE not in shown
    assert LOG not in shown


def test_a_runs_page_shows_all_that_it_reported(run):
    shown = people.logged_in(people.make_partner_admin()).get(page(run)).content.decode()
    for text in (
        "Matching and transforming",
        TRACE,
        "studentAssessments",
        "0.92",
        "local_id",
        "/files/output/ods/a.jsonl",
        "/files/output/em-results.json",
        LOG,
    ):
        assert text in shown


def test_runs_are_listed_filtered_and_found(run):
    client = people.logged_in(people.make_user())
    url = reverse("admin:earthbeam_run_changelist")
    for query, found in (
        ({}, True),
        ({"status__exact": "error"}, True),
        ({"status__exact": "success"}, False),
        ({"q": str(run.pk)[:8]}, True),
        ({"q": "earthmover_run"}, True),
        ({"q": "nothing like it"}, False),
    ):
        assert (page(run) in client.get(url, query).content.decode()) is found


def test_nobody_edits_what_runs_reported(run):
    client = people.logged_in(people.make_superuser())
    assert client.post(page(run), {"status": "success"}).status_code == 403
    assert client.get(reverse("admin:earthbeam_run_add")).status_code == 403


@pytest.mark.parametrize("model", ["run", "outputset"])
def test_what_belongs_to_another_tenant_is_not_there(run, model):
    client = people.logged_in(people.make_user(tenant=factories.make_tenant("elsewhere")))
    key = run.pk if model == "run" else run.output_sets.get().pk
    listed = client.get(reverse(f"admin:earthbeam_{model}_changelist"))
    assert listed.status_code == 200
    assert str(key).encode() not in listed.content
    assert b"grand_bend" not in listed.content
    for what in ("change", "history", "delete"):
        url = reverse(f"admin:earthbeam_{model}_{what}", args=[key])
        assert client.get(url).status_code in (302, 403)


def test_output_sets_are_listed_and_link_to_their_files(run):
    client = people.logged_in(people.make_partner_admin())
    output_set = run.output_sets.get()
    listed = client.get(reverse("admin:earthbeam_outputset_changelist"), {"sent_to_ods__exact": 1})
    assert str(output_set.pk) in listed.content.decode()
    url = reverse("admin:earthbeam_outputset_change", args=[output_set.pk])
    assert "/files/output/ods/a.jsonl" in client.get(url).content.decode()


def test_a_page_takes_as_many_queries_for_many_files_as_for_one(run, django_assert_max_num_queries):
    OutputFile.objects.bulk_create(OutputFile(run=run, path=f"f{n}", size=1) for n in range(50))
    for person in (people.make_partner_admin(), people.make_user()):
        client = people.logged_in(person)
        with django_assert_max_num_queries(20):
            client.get(page(run))
