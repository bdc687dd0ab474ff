"""Second factors and sessions in a browser: passkeys by its own authenticator, without a finger."""

import re
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import expect

from access import factors, limits
from tests import factories, people
from tests.access.second_factors import PASSWORD, code, give_app
from tests.browser.screens import look


@pytest.fixture(autouse=True)
def as_in_production(settings):
    settings.REQUIRE_SECOND_FACTOR = True


@pytest.fixture
def open_local(open_page, live_server):
    """A page at localhost: browsers give passkeys to no address that is a number."""

    def open_local(path="/admin/"):
        page = open_page()
        page.goto(live_server.url.replace("127.0.0.1", "localhost") + path)
        return page

    return open_local


def make_superuser(name="root"):
    user = people.make_superuser(name)
    user.set_password(PASSWORD)
    user.save()
    return user


def give_code(page, given):
    page.get_by_label(re.compile("^(Code|Recovery code)")).fill(given)
    page.keyboard.press("Enter")


def log_out_button(page):
    return page.get_by_role("button", name="Log out")


def give_password(page, name="root"):
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")


@contextmanager
def authenticator(page, *, present=True):
    """What holds passkeys: one in the machine, that says yes, or does not answer."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasUserVerification": True,
                "isUserVerified": present,
                "automaticPresenceSimulation": present,
            }
        },
    )
    yield
    devtools.send("WebAuthn.disable")


def test_somebody_sets_an_app_up_by_keyboard_keeps_the_codes_and_signs_in_with_one(open_page):
    make_superuser()
    page = open_page(path="/admin/earthbeam/job/")
    give_password(page)
    expect(page.get_by_role("heading", name="Set up a second factor")).to_be_visible()
    look(page, "second-factor-choose")
    page.get_by_role("link", name="Set up an authenticator app").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Enter the key by hand").click()
    secret = page.locator(".rw-key").inner_text().replace(" ", "")
    look(page, "second-factor-app")
    page.get_by_label("Code").fill("000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This code is not right")
    look(page, "second-factor-app-wrong")
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(code(secret))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    look(page, "recovery-codes")
    codes = page.locator(".rw-codes code").all_inner_texts()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "runway-recovery-codes.txt"
    kept = Path(download.value.path()).read_text()
    assert "root" in kept
    assert re.findall(r"\d{8}", kept) == codes
    page.get_by_role("link", name="I have saved them. Continue").click()
    expect(log_out_button(page)).to_be_visible()
    assert page.url.endswith("/admin/earthbeam/job/")
    log_out_button(page).click()
    page.goto("/admin/")
    give_password(page)
    expect(page.get_by_label("Code from your authenticator app")).to_be_focused()
    look(page, "second-step-app")
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")
    expect(log_out_button(page)).to_be_visible()


def test_somebody_sets_a_passkey_up_and_signs_in_with_it(open_local):
    make_superuser()
    page = open_local()
    with authenticator(page):
        give_password(page)
        page.get_by_role("link", name="Set up a passkey").click()
        expect(page.get_by_label("Name")).to_be_focused()
        look(page, "passkey-add")
        page.get_by_label("Name").fill("Work laptop")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
        page.get_by_role("link", name="I have saved them. Continue").click()
        log_out_button(page).click()
        page.goto(page.url.partition("/admin/")[0] + "/admin/partners/tenant/")
        give_password(page)
        expect(page.get_by_role("button", name="Use your passkey")).to_be_visible()
        look(page, "second-step-passkey")
        expect(page.get_by_role("button", name="Use your passkey")).to_be_focused()
        page.keyboard.press("Enter")
        expect(log_out_button(page)).to_be_visible()
        assert page.url.endswith("/admin/partners/tenant/")
    [row] = factors.of(User.objects.get())
    assert factors.name_of(row) == "Work laptop"
    assert row.last_used_at


def test_a_passkey_of_somebody_else_is_refused(open_local):
    make_superuser("ann")
    make_superuser("root")
    page = open_local()
    with authenticator(page):
        give_password(page, "ann")
        page.get_by_role("link", name="Set up a passkey").click()
        page.get_by_role("button", name="Create the passkey").click()
        expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
        page.get_by_role("link", name="I have saved them. Continue").click()
        log_out_button(page).click()
        # Ann's own passkey answers for root, who has an app.
        [hers] = factors.of(User.objects.get(username="ann"))
        page.goto(page.url.partition("/admin/")[0] + "/admin/")
        give_app(User.objects.get(username="root"))
        give_password(page, "root")
        expect(page.get_by_label("Code from your authenticator app")).to_be_visible()
        expect(page.get_by_role("button", name="Use your passkey")).to_be_hidden()
        answer = page.evaluate(
            """async (id) => {
              const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON({
                challenge: id, allowCredentials: [{ type: "public-key", id }] });
              const made = await navigator.credentials.get({ publicKey });
              return JSON.stringify(made.toJSON());
            }""",
            hers.data["credential"]["id"],
        )
        page.evaluate(
            """(answer) => {
              const form = document.querySelector("form.rw-step");
              form.querySelector("[name=code]").remove();
              const field = document.createElement("input");
              form.append(Object.assign(field, { name: "credential", value: answer }));
              form.submit();
            }""",
            answer,
        )
        expect(page.get_by_role("alert")).to_contain_text("This passkey was not accepted")
    page.goto(page.url.partition("/second-factor/")[0] + "/admin/")
    expect(log_out_button(page)).to_be_hidden()


def test_a_browser_without_passkeys_says_so_and_what_else_there_is(open_page):
    make_superuser()
    page = open_page()
    page.add_init_script("delete window.PublicKeyCredential")
    give_password(page)
    page.get_by_role("link", name="Set up a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose a different method")
    expect(page.get_by_role("button", name="Create the passkey")).to_be_disabled()


def test_somebody_adds_and_removes_factors_after_the_password(open_local):
    user = make_superuser()
    give_app(user)
    page = open_local()
    give_password(page)
    give_code(page, code())
    page.get_by_role("link", name="Security").click()
    expect(page.get_by_text("10 unused recovery codes")).to_be_visible()
    look(page, "security")
    page.get_by_role("link", name="Add a second factor").click()
    expect(page.get_by_label("Your password")).to_be_focused()
    look(page, "security-confirm")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This is not your password")
    page.get_by_label("Your password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Add a second factor").click()
    with authenticator(page):
        page.get_by_role("link", name="Set up a passkey").click()
        page.get_by_role("button", name="Create the passkey").click()
        expect(page.get_by_text("The passkey was added.")).to_be_visible()
    look(page, "security-two")
    page.get_by_role("button", name="Remove Authenticator app").click()
    expect(page.get_by_text("It was removed.")).to_be_visible()
    expect(page.get_by_text("you cannot remove the last one")).to_be_visible()
    assert [each.type for each in factors.of(user)] == ["webauthn"]


def test_too_many_wrong_codes_say_when_to_try_again(open_page):
    user = make_superuser()
    give_app(user)
    for _ in range(limits.CODES_PER_ACCOUNT):
        limits.count_code(user.pk)
    page = open_page()
    give_password(page)
    give_code(page, code())
    expect(page.get_by_role("alert")).to_contain_text("Try again in 15 minutes")
    look(page, "second-step-limited")


def test_a_superuser_resets_the_second_factor_of_somebody(open_page, settings):
    settings.REQUIRE_SECOND_FACTOR = False
    ann = people.make_partner_admin("ann")
    give_app(ann)
    page = open_page(people.make_superuser(), f"/admin/auth/user/{ann.pk}/change/")
    look(page, "person-second-factor")
    page.get_by_role("button", name="Reset the second factor").click()
    expect(page.get_by_text("The second factor of ann was reset")).to_be_visible()
    assert factors.of(ann) == []


# --- Sessions -------------------------------------------------------------------------------------


def move_end(left):
    Session.objects.update(expire_date=timezone.now() + left)


@pytest.fixture
def open_form(open_page, settings):
    """A form of an admin with the page's clock in the test's hand."""
    settings.REQUIRE_SECOND_FACTOR = False

    def open_form(path="/admin/partners/partner/ea/change/"):
        page = open_page()
        page.clock.install()
        give_password(page)
        expect(log_out_button(page)).to_be_visible()
        page.goto(path)
        return page

    return open_form


def test_who_is_about_to_be_signed_out_is_warned_and_stays(open_form):
    factories.make_partner()
    make_superuser()
    page = open_form()
    move_end(timedelta(seconds=100))
    page.clock.fast_forward("28:00")
    expect(page.get_by_role("alert")).to_contain_text("You will be signed out in two minutes")
    look(page, "session-ends")
    page.get_by_role("button", name="Stay signed in").press("Enter")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert Session.objects.get().expire_date > timezone.now() + timedelta(minutes=20)


def test_what_is_typed_outlives_the_session_and_is_saved_after_signing_in_elsewhere(open_form):
    factories.make_partner()
    make_superuser()
    page = open_form()
    page.locator("#id_name").fill("Typed for an hour")
    move_end(timedelta(seconds=-1))
    page.clock.fast_forward("31:00")
    expect(page.get_by_role("alert")).to_contain_text("What you typed is still on this page")
    look(page, "session-ended")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in again in a new tab").click()
    give_password(opened.value)
    expect(log_out_button(opened.value)).to_be_visible()
    page.bring_to_front()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    expect(page.get_by_text("Typed for an hour").first).to_be_visible()


def test_a_page_that_follows_a_run_says_that_one_was_signed_out(open_form):
    run = factories.make_run(status="running")
    make_superuser()
    page = open_form(f"/admin/earthbeam/job/{run.job_id}/change/")
    move_end(timedelta(seconds=-1))
    page.clock.fast_forward("00:20")
    expect(page.locator("#job-trouble")).to_contain_text("You have been signed out.")
    look(page, "job-signed-out")
    page.locator("#job-trouble").get_by_role("link", name="Sign in again").click()
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    look(page, "sign-in-ended")
    give_password(page)
    expect(log_out_button(page)).to_be_visible()
    assert f"/admin/earthbeam/job/{run.job_id}/change/" in page.url


def test_the_panel_of_edu_says_that_one_was_signed_out(open_form):
    factories.make_partner()
    make_superuser()
    page = open_form("/admin/")
    page.route("**/edu/", lambda route: (move_end(timedelta(seconds=-1)), route.continue_())[1])
    page.goto("/admin/partners/partner/ea/change/")
    expect(page.locator("#edu-panel")).to_contain_text("You have been signed out")
