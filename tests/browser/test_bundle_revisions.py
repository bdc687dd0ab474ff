"""Bundle revisions in a browser: what is available, what is different, and making it current."""

from django.urls import reverse
from playwright.sync_api import expect

from earthbeam.models import BundleRevision
from tests import factories, people
from tests.browser.screens import look

LIST = reverse("admin:earthbeam_bundlerevision_changelist")
DIFF = "--- a/assessments/MAP/earthmover.yaml\n+++ b/assessments/MAP/earthmover.yaml\n+version: 2\n"


def test_a_newer_revision_is_reviewed_and_made_current(open_page):
    factories.make_bundle_revision("a" * 40, is_current=True)
    newer = factories.make_bundle_revision(
        "b" * 40,
        changes=["M\tassessments/MAP/earthmover.yaml", "A\tassessments/MAP/seeds/grades.csv"],
        diff=DIFF,
    )
    page = open_page(people.make_superuser(), LIST)
    expect(page.get_by_role("cell", name="Available")).to_be_visible()
    look(page, "bundle-revisions")
    page.get_by_role("link", name="b" * 12).click()
    expect(page.get_by_text("changed: assessments/MAP/earthmover.yaml")).to_be_visible()
    look(page, "bundle-revision")
    page.get_by_role("button", name="Make current").click()
    expect(page.get_by_text(f"use commit {'b' * 12}")).to_be_visible()
    look(page, "bundle-revisions-after")
    assert BundleRevision.objects.get(is_current=True) == newer


def test_rosters_from_edu_are_kept_for_a_day(open_page):
    factories.make_partner()
    path = reverse("admin:partners_partner_change", args=["ea"])
    page = open_page(people.make_partner_admin(), path)
    page.get_by_role("button", name="Keep rosters for a day").click()
    expect(page.get_by_text("Kept with the files of jobs")).to_be_visible()
    look(page, "partner-rosters-kept")
    page.get_by_role("button", name="Stop keeping rosters").click()
    expect(page.get_by_text("Used for matching, then deleted.")).to_be_visible()
