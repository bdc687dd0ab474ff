import pytest
from playwright.sync_api import expect

from partners.models import OdsConnection
from runway.sandbox.ods import Faults
from tests import factories, people
from tests.browser.screens import look
from tests.partners.ods.servers import sandbox_ods


@pytest.fixture(scope="module")
def server():
    with sandbox_ods() as ods:
        yield ods


@pytest.fixture
def ods(server):
    yield server
    server.faults = Faults()


def test_a_connection_is_added_by_keyboard_and_saved_anyway_without_entering_the_secret_again(
    open_page, ods
):
    tenant, year = factories.make_tenant(), factories.make_year()
    ods.faults = Faults(refuse_credentials=True)
    path = f"/admin/partners/odsconnection/add/?tenant={tenant.pk}&school_year={year.pk}"
    page = open_page(people.make_partner_admin(), path)
    look(page, "ods-add")
    page.get_by_label("ODS URL:").focus()
    page.keyboard.type(ods.url)
    page.keyboard.press("Tab")
    page.keyboard.type(ods.client_id)
    page.keyboard.press("Tab")
    page.keyboard.type(ods.client_secret)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not accept this client ID")
    look(page, "ods-add-failed")
    page.get_by_label("Save it even though the test failed").focus()
    page.keyboard.press("Space")
    page.get_by_label("Why").focus()
    page.keyboard.type("The ODS opens on Monday.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("was added successfully")).to_be_visible()
    saved = OdsConnection.objects.get()
    assert saved.client_secret == ods.client_secret
    look(page, "ods-list-failed")


def test_the_tenant_of_a_connection_is_found_by_typing_a_part_of_its_name(open_page, ods):
    for number in range(30):
        factories.make_tenant(f"district-{number}")
    wanted, year = factories.make_tenant("grand_bend"), factories.make_year()
    elsewhere = factories.make_tenant("grand_rapids", partner=factories.make_partner("tx"))
    page = open_page(people.make_superuser(), "/admin/partners/odsconnection/add/")
    page.get_by_role("combobox", name="Tenant").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("grand")
    options = page.get_by_role("listbox", name="Tenant").get_by_role("option")
    expect(options).to_have_text([str(wanted), str(elsewhere)])
    look(page, "ods-add-tenant")
    page.keyboard.type(" ea")
    expect(options).to_have_text([str(wanted)])
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Tenant")).to_contain_text(str(wanted))
    page.get_by_label("School year:").select_option(str(year))
    page.get_by_label("ODS URL:").fill(ods.url)
    page.get_by_label("Client ID:").fill(ods.client_id)
    page.get_by_label("Client secret:").fill(ods.client_secret)
    page.keyboard.press("Enter")
    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert OdsConnection.objects.get().tenant == wanted


def test_a_connection_is_tested_again_from_its_page(open_page, ods):
    mine = factories.make_ods_connection(
        url=ods.url, client_id=ods.client_id, client_secret=ods.client_secret
    )
    page = open_page(
        people.make_partner_admin(), f"/admin/partners/odsconnection/{mine.pk}/change/"
    )
    look(page, "ods-never-tested")
    page.get_by_role("button", name="Test now").click()
    expect(page.get_by_text("This connection works.")).to_be_visible()
    look(page, "ods-works")
    ods.faults = Faults(roster_page_status=403)
    page.get_by_role("button", name="Test again").click()
    expect(page.get_by_text("not allowed to read students")).to_be_visible()
    look(page, "ods-fails")
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    page.reload()
    expect(page.get_by_text("This connection was retired")).to_be_visible()
    look(page, "ods-retired")


def test_while_a_test_runs_the_page_says_so_and_takes_no_second_one(open_page, ods):
    mine = factories.make_ods_connection(
        url=ods.url, client_id=ods.client_id, client_secret=ods.client_secret
    )
    page = open_page(
        people.make_partner_admin(), f"/admin/partners/odsconnection/{mine.pk}/change/"
    )
    # A navigation under way would keep the page from being looked at: the submit stays here.
    page.evaluate("addEventListener('submit', (event) => event.preventDefault())")
    page.get_by_role("button", name="Test now").click()
    expect(page.locator("form[data-submit-once] [role=status]")).to_contain_text("half a minute")
    expect(page.get_by_role("button", name="Test now")).to_be_disabled()


def test_several_connections_are_tested_from_the_list(open_page, ods):
    factories.make_ods_connection(
        url=ods.url, client_id=ods.client_id, client_secret=ods.client_secret
    )
    for code in ("north", "south"):
        factories.make_ods_connection(
            tenant=factories.make_tenant(code), url=ods.url, client_id="wrong"
        )
    page = open_page(people.make_partner_admin(), "/admin/partners/odsconnection/")
    look(page, "ods-list")
    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option("Test selected connections")
    page.get_by_role("button", name="Run the selected action").or_(
        page.get_by_role("button", name="Go")
    ).first.click()
    expect(page.get_by_text("1 of 3 connections tested work")).to_be_visible()
    look(page, "ods-list-tested")
