from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from earthbeam.models import Job, Run
from tests import factories, people
from tests.browser.screens import look

PATH = "/admin/earthbeam/job/"


def make_jobs(tenants: int = 2) -> User:
    """A job of each status, by people and by a client; the person who looks at them."""
    admin = people.make_partner_admin("ada")
    admin.first_name, admin.last_name = "Ada", "Vance"
    admin.save()
    for n in range(tenants):
        factories.make_tenant(f"district_{n}")
    tenant = factories.make_tenant("district_0")
    for status in (*Run.Status.values, None):
        job = factories.make_job(tenant=tenant, created_by=admin)
        if status:
            run = factories.make_run(job, status)
            if status == Run.Status.SUCCESS:
                factories.make_matches(run, rows=295)
    whole = factories.make_run(
        factories.make_job(tenant=tenant, api_client="nightly-loader"), Run.Status.SUCCESS
    )
    factories.make_matches(whole, rows=12_345, ods=9_345, across_years=2_987)
    done = factories.make_job(tenant=tenant, created_by=admin, resolved_at=timezone.now())
    factories.make_error(factories.make_run(done, Run.Status.ERROR))
    return admin


def test_the_list_shows_every_status(open_page):
    page = open_page(make_jobs(), PATH)
    look(page, "job-list")
    for status in ("Queued", "Running", "Error", "Complete", "Resolved", "Waiting for files"):
        expect(page.locator("#result_list").get_by_text(status, exact=True)).to_be_visible()


def test_with_many_tenants_one_is_found_by_typing(open_page):
    page = open_page(make_jobs(tenants=40), PATH)
    look(page, "job-list-many-tenants")
    box = page.get_by_role("combobox", name="Tenant")
    box.fill("district_7")
    page.keyboard.press("Enter")
    expect(page.get_by_text("0 jobs").first).to_be_visible()
    look(page, "job-list-nothing-found")
    page.get_by_role("link", name="Any tenant").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(7)


def test_jobs_are_resolved_by_keyboard(open_page):
    page = open_page(make_jobs(), PATH + "?status=error")
    row = page.get_by_role("checkbox", name="Select this object for an action")
    row.focus()
    page.keyboard.press("Space")
    action = page.get_by_label("Action:")
    action.focus()
    page.keyboard.type("M")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 job marked as resolved.")).to_be_visible()
    assert Job.objects.filter(resolved_by__username="ada").count() == 1
    look(page, "job-list-resolved")


def test_an_empty_list_says_so(open_page):
    page = open_page(people.make_partner_admin(), PATH)
    expect(page.get_by_text("0 jobs")).to_be_visible()
    look(page, "job-list-empty")
