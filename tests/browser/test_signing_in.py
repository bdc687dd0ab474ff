import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from access import limits
from access.issuers import Issuer
from runway.sandbox.oidc import Person, SandboxOidc
from tests import factories, people
from tests.browser.screens import look


@pytest.fixture
def issuer(settings):
    people_there = [Person("1", "ann@example.org"), Person("2", "stranger@example.org")]
    with SandboxOidc(people_there) as issuer:
        settings.OIDC_ISSUERS = (
            Issuer(
                "schools",
                "Example Schools",
                issuer.url,
                issuer.client_id,
                issuer.client_secret,
                ("example.org",),
            ),
            Issuer("state", "State Education Agency", "http://127.0.0.1:9", "client", "secret"),
        )
        yield issuer


def log_out_button(page):
    return page.get_by_role("button", name="Log out")


def test_somebody_signs_in_by_keyboard(open_page):
    people.make_superuser("root")
    page = open_page()
    look(page, "sign-in")
    page.keyboard.type("root")
    page.keyboard.press("Tab")
    page.keyboard.type("x")
    page.keyboard.press("Enter")
    expect(log_out_button(page)).to_be_visible()


def test_the_start_page_looks_right(open_page):
    look(open_page(people.make_partner_admin()), "start")


def test_a_partner_admin_signs_in_by_an_issuer_and_lands_where_they_wanted(open_page, issuer):
    User.objects.filter(pk=people.make_partner_admin("ann").pk).update(email="ann@example.org")
    page = open_page(path="/admin/partners/tenant/")
    look(page, "sign-in-issuers")
    # By keyboard: name, password, the form's button, the first issuer.
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Sign in with Example Schools")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign in as ann@example.org").click()
    expect(log_out_button(page)).to_be_visible()
    assert page.url.endswith("/admin/partners/tenant/")
    log_out_button(page).click()
    expect(log_out_button(page)).to_be_hidden()
    page.goto("/admin/")
    expect(page.get_by_label("Username")).to_be_visible()


def test_who_is_not_known_is_told_what_to_do(open_page, issuer):
    page = open_page()
    page.get_by_role("button", name="Sign in with Example Schools").click()
    page.get_by_role("button", name="Sign in as stranger@example.org").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "Runway has no account with the e-mail address stranger@example.org"
    )
    look(page, "sign-in-unknown")
    page.get_by_role("link", name="Back to the sign-in page").click()
    expect(page.get_by_label("Username")).to_be_visible()


def test_an_issuer_that_is_down_is_a_page_that_says_so(open_page, issuer):
    page = open_page()
    page.get_by_role("button", name="Sign in with State Education Agency").click()
    expect(page.get_by_role("alert")).to_contain_text("State Education Agency does not answer")


def test_who_has_no_membership_sees_what_is_missing_and_signs_out(open_page):
    user = User.objects.create_user("ann", password="x", is_staff=True)
    page = open_page(user)
    expect(page.get_by_role("heading", name="Your account has no access yet")).to_be_visible()
    look(page, "sign-in-no-access")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Username")).to_be_visible()


def test_too_many_wrong_passwords_say_when_to_try_again(open_page):
    people.make_superuser("root")
    for _ in range(limits.PER_ACCOUNT):
        limits.count_attempt("root", None)
    page = open_page()
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill("x")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Try again in 15 minutes")).to_be_visible()
    look(page, "sign-in-limited")


def test_superusers_read_the_audit_trail(open_page):
    root = people.make_superuser("root")
    partner = factories.make_partner(name="Example")
    partner.descriptor_namespace = "uri://example.org"
    partner.save()
    people.logged_in(root)  # a session, told of in the trail
    page = open_page(root, "/admin/auditlog/logentry/")
    expect(page.get_by_role("cell", name="signed in").first).to_be_visible()
    look(page, "audit-trail")
    page.goto("/admin/auditlog/logentry/?what=changed&thing=partner")
    page.locator("#result_list tbody th a").first.click()
    expect(page.get_by_text("uri://example.org").first).to_be_visible()
    look(page, "audit-trail-entry")


def test_error_pages_look_like_the_rest(open_page):
    page = open_page(people.make_user(), "/admin/no/such/page/")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    look(page, "error-404")


def test_a_memberships_fields_have_names_for_those_who_do_not_see_them(open_page):
    page = open_page(people.make_superuser(), "/admin/partners/membership/add/")
    expect(page.get_by_role("combobox", name="User")).to_be_visible()
    expect(page.get_by_role("searchbox", name="Tenants")).to_be_visible()
    look(page, "membership-add")
