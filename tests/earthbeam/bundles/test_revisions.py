"""Which commit of the bundle repository is used: synced, approved, and gone back from."""

from functools import partial

import pytest
from auditlog.models import LogEntry
from django.db import connection
from django.urls import reverse

from earthbeam import tasks
from earthbeam.bundles import revisions
from earthbeam.models import Bundle, BundleRevision, Run
from earthbeam.runs import payload
from tests import factories, people
from tests.at_once import at_once
from tests.earthbeam.bundles import test_registry

pytestmark = pytest.mark.django_db

repository = test_registry.repository
entry, sync = test_registry.entry, test_registry.sync


def current():
    return BundleRevision.objects.get(is_current=True).commit


def listed():
    return set(Bundle.objects.filter(in_registry=True).values_list("display_name", flat=True))


def make_current(revision, client=None):
    client = client or people.logged_in(people.make_superuser())
    url = reverse("admin:earthbeam_bundlerevision_make_current", args=[revision.pk])
    assert client.post(url).status_code == 302


def test_a_newer_commit_is_used_as_soon_as_it_is_synced(repository):
    repository(entry("alpha"))
    sync()
    first = current()
    repository(entry("alpha"), entry("beta"))
    sync()
    assert current() != first
    assert BundleRevision.objects.get(is_current=True).changes == ["M\tregistry.json"]


def test_or_waits_for_approval_with_what_is_different(repository, settings):
    settings.BUNDLE_APPROVAL = "manual"
    repository(entry("alpha"))
    sync()  # the first needs none
    first = current()
    repository(entry("alpha"), entry("beta"), yamls={"beta": "version: 2\n"})
    assert "A newer version is available" in sync()
    assert (current(), listed()) == (first, {"Alpha"})
    newer = BundleRevision.objects.exclude(commit=first).get()
    assert newer.changes == ["A\tassessments/beta/earthmover.yaml", "M\tregistry.json"]
    assert "+version: 2" in newer.diff

    client = people.logged_in(people.make_superuser())
    page = client.get(reverse("admin:earthbeam_bundlerevision_change", args=[newer.pk]))
    assert "added: assessments/beta/earthmover.yaml" in page.content.decode()
    make_current(newer, client)
    assert (current(), listed()) == (newer.commit, {"Alpha", "Beta"})
    kept = LogEntry.objects.filter(additional_data__event="bundles made current").latest("pk")
    assert kept.additional_data["commit"] == newer.commit
    assert kept.additional_data["before"] == first


def test_nobody_is_moved_forward_again_who_went_back(repository):
    repository(entry("alpha"))
    sync()
    first = BundleRevision.objects.get()
    repository(entry("alpha"), entry("beta"))
    sync()
    make_current(first)
    assert (current(), listed()) == (first.commit, {"Alpha"})
    sync()
    assert current() == first.commit
    repository(entry("alpha"), entry("gamma"))
    sync()
    assert listed() == {"Alpha", "Gamma"}


def test_a_run_keeps_the_commit_that_it_began_with():
    first = factories.make_bundle_revision("a" * 40, is_current=True)
    run = factories.make_run(status=Run.Status.RUNNING)
    assert payload.build(run)["bundle"]["commit"] == first.commit
    newer = factories.make_bundle_revision("b" * 40)
    revisions.make_current(newer)
    assert payload.build(Run.objects.get(pk=run.pk))["bundle"]["commit"] == first.commit


def test_before_a_first_sync_it_is_the_head_of_the_branch():
    run = factories.make_run(status=Run.Status.RUNNING)
    assert "commit" not in payload.build(run)["bundle"]


@pytest.mark.django_db(transaction=True)
def test_of_several_approvals_at_once_one_is_current():
    factories.make_bundle_revision("0" * 40, is_current=True)
    others = [factories.make_bundle_revision(str(number) * 40) for number in range(1, 5)]
    results = at_once([partial(revisions.make_current, each) for each in others])
    assert not [each for each in results if isinstance(each, Exception)]
    assert BundleRevision.objects.filter(is_current=True).count() == 1


def test_the_release_before_still_creates_runs():
    # While an installation is upgraded, its old processes insert rows without the new column.
    job = factories.make_job()
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into earthbeam_run (id, job_id, status, timeout_seconds, created_at,"
            " has_problems, executor_size, api_client, launch_reference)"
            " values (gen_random_uuid(), %s, 'new', 60, now(), false, '', '', '')",
            [job.pk],
        )
    assert Run.objects.get().bundle_commit == ""


def test_bundles_are_synced_every_hour_and_the_page_says_how_it_went(
    repository, settings, caplog, tmp_path
):
    client = people.logged_in(people.make_superuser())
    url = reverse("admin:earthbeam_bundle_changelist")
    assert "has not been read yet" in client.get(url).content.decode()
    repository(entry("alpha"))
    tasks.sync_bundles(timestamp=0)
    assert "1 added, 0 changed" in client.get(url).content.decode()

    settings.BUNDLE_REPO = str(tmp_path / "gone")
    tasks.sync_bundles(timestamp=0)
    assert listed() == {"Alpha"}
    page = client.get(url).content.decode()
    assert "The bundle registry could not be read" in page
    assert "Bundles stay as they are since" in page
    assert "check BUNDLE_REPO" in page
    [line] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert line.getMessage().startswith("Bundles stay as they are: The bundle registry could not")


def test_a_repository_that_hangs_does_not_keep_lost_runs_from_being_ended():
    assert tasks.sync_bundles.queue not in (tasks.reap_runs.queue, tasks.launch_run.queue)


def test_a_bundle_has_changed_if_its_files_or_packages_did_since(db):
    def revision(commit, *changes, **fields):
        lines = [f"M\t{path}" for path in changes]
        return factories.make_bundle_revision(commit * 40, changes=lines, **fields)

    revision("a")
    revision("b", "assessments/Alpha/earthmover.yaml", "README.md")
    revision("c", "assessments/Alphabet/earthmover.yaml", is_current=True)
    assert revisions.has_changed("main", "a" * 40, "assessments/Alpha")
    assert not revisions.has_changed("main", "b" * 40, "assessments/Alpha")
    assert revisions.has_changed("main", "b" * 40, "assessments/Alphabet")
    for commit in ("c" * 40, "d" * 40):
        assert not revisions.has_changed("main", commit, "assessments/Alpha")
    revision("e", "packages/student_ids/earthmover.yaml")
    BundleRevision.objects.update(is_current=False)
    BundleRevision.objects.filter(commit="e" * 40).update(is_current=True)
    assert revisions.has_changed("main", "c" * 40, "assessments/Alpha")
    # Also after going back to an earlier revision.
    BundleRevision.objects.update(is_current=False)
    BundleRevision.objects.filter(commit="a" * 40).update(is_current=True)
    assert revisions.has_changed("main", "b" * 40, "assessments/Alpha")
