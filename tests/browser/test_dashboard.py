from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import expect

from earthbeam.models import Job, Run, RunUpdate
from partners.models import Tenant
from tests import factories, people
from tests.browser.screens import look


def make_season():
    """Jobs of all kinds, over some weeks, and a year and connections that want somebody."""
    partner = factories.make_partner(name="Plains Collaborative", cross_year_match_enabled=True)
    tenants = [factories.make_tenant(code, partner=partner) for code in ("grand_bend", "oakvale")]
    tenants[0].name = "Grand Bend ISD"
    tenants[0].save()
    factories.make_tenant("unconnected", partner=partner)
    for week in range(10):
        run = factories.make_run(factories.make_job(tenant=tenants[week % 2]), Run.Status.SUCCESS)
        factories.make_matches(run, rows=100 + 40 * week, ods=80 + 30 * week, across_years=15)
        Job.objects.filter(pk=run.job_id).update(
            created_at=timezone.now() - timedelta(weeks=week),
            resolved_at=timezone.now() if week > 2 else None,
        )
    failed = factories.make_run(factories.make_job(tenant=tenants[0]), Run.Status.ERROR)
    factories.make_error(failed, "lightbeam_fetch")
    running = factories.make_run(factories.make_job(tenant=tenants[1]), Run.Status.RUNNING)
    RunUpdate.objects.create(run=running, action="earthmover_run", status="begin")
    factories.make_run(factories.make_job(tenant=tenants[1]), Run.Status.NEW)


def test_the_dashboard_shows_what_needs_somebody(open_page):
    make_season()
    page = open_page(people.make_partner_admin())
    look(page, "dashboard")
    expect(page.get_by_role("heading", name="Needs attention")).to_be_visible()
    expect(page.get_by_text("No ODS connection for 1 of 3 tenants: unconnected.")).to_be_visible()
    expect(page.get_by_text("ODS of Grand Bend ISD (ea) for 2025-26.")).to_be_visible()
    expect(page.get_by_text("EDU of Plains Collaborative.")).to_be_visible()
    expect(page.get_by_text("Matching and transforming")).to_be_visible()
    page.get_by_role("link", name="All jobs that need attention").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(4)


def test_the_chart_has_a_table(open_page):
    make_season()
    page = open_page(people.make_partner_admin())
    page.get_by_text("As a table").click()
    table = page.get_by_role("region", name="Rows matched, week by week")
    expect(table.get_by_role("row")).to_have_count(13)
    look(page, "dashboard-table")


def test_all_is_done_by_keyboard(open_page):
    make_season()
    page = open_page(people.make_partner_admin())
    new_job = page.get_by_role("link", name="New job")
    for _ in range(12):
        page.keyboard.press("Tab")
        if new_job.evaluate("link => link === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/earthbeam/job/add/")
    page.go_back()
    pages = page.get_by_text("All pages")
    pages.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Output sets")).to_be_visible()
    look(page, "dashboard-all-pages")


def test_an_empty_installation_says_where_to_begin(open_page):
    factories.make_ods_connection()
    factories.make_config()
    page = open_page(people.make_partner_admin())
    look(page, "dashboard-empty")
    expect(page.get_by_text("Nothing needs attention.")).to_be_visible()
    expect(page.get_by_text("No jobs yet.")).to_be_visible()
    assert Tenant.objects.count() == 1


def test_a_user_is_told_who_can_help(open_page):
    make_season()
    page = open_page(people.make_user(tenant=factories.make_tenant("unconnected")))
    look(page, "dashboard-user")
    expect(page.get_by_text("A partner admin can set this up.")).to_be_visible()
    expect(page.get_by_text("Grand Bend")).to_have_count(0)
