from playwright.sync_api import expect

from tests import people
from tests.browser.screens import look


def test_somebody_signs_in_by_keyboard(open_page):
    people.make_superuser("root")
    page = open_page()
    look(page, "sign-in")
    page.keyboard.type("root")
    page.keyboard.press("Tab")
    page.keyboard.type("x")
    page.keyboard.press("Enter")
    expect(
        page.get_by_role("link", name="Log out").or_(page.get_by_role("button", name="Log out"))
    ).to_be_visible()


def test_the_start_page_looks_right(open_page):
    look(open_page(people.make_partner_admin()), "start")
