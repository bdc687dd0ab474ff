"""A real browser at a real server; without a browser the tests here say loudly that they are not
run, and in CI they fail."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests import people
from tests.browser import chromium

# Playwright's own five seconds are short on a machine that runs other tests too.
expect.set_options(timeout=20_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.django_db(transaction=True))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if any(
        chromium.MISSING in str(each.longrepr) for each in terminalreporter.getreports("skipped")
    ):
        terminalreporter.section("NOT TRIED IN A BROWSER", sep="!", red=True)
        terminalreporter.line(chromium.MISSING)


@pytest.fixture(scope="package")
def browser(django_db_setup: None) -> Iterator[Browser]:
    program = chromium.program()
    if program is None:
        (pytest.fail if chromium.REQUIRED else pytest.skip)(chromium.MISSING)
    # Playwright's loop runs in this thread, which tests also use the database from; it ends with
    # the package, since other tests run loops of their own here. The database is made before it:
    # a connection made while a loop runs is not the one of later tests.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=chromium.ARGUMENTS)
        yield browser
        browser.close()
        connection.close()  # this loop's own
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


# What the Content-Security-Policy has kept from a page counts as an error of its scripts.
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  if (window.ofTests) return;
  const what = [event.violatedDirective, event.blockedURI, event.sourceFile, event.sample];
  throw new Error(`policy: ${what.join(" ")}`);
});
"""


class Windows:
    """Browser contexts, each one person's window: for one test after the other, with nothing left
    in them but the server's static files, as opening a new one takes longer than most pages."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self._free: list[BrowserContext] = []

    def take(self) -> BrowserContext:
        if self._free:
            return self._free.pop()
        context = self._browser.new_context(
            base_url=self._url, viewport={"width": 1280, "height": 900}
        )
        # A page that stays: those of tests share its process.
        context.new_page().goto("/healthz")
        return context

    def give_back(self, context: BrowserContext) -> None:
        stays, *others = context.pages
        for page in others:
            page.close()
        if stays.evaluate("'__pwClock' in window"):  # a clock in a test's hand remains there
            context.close()
            return
        context.clear_cookies()
        stays.evaluate("localStorage.clear()")
        self._free.append(context)


@pytest.fixture(scope="package")
def windows(browser: Browser, live_server: Any) -> Windows:
    return Windows(browser, live_server.url)


@pytest.fixture
def open_page(windows: Windows, live_server: Any) -> Iterator[Callable[..., Page]]:
    """Opens a path of the admin as somebody; a test fails on what its pages' scripts throw."""
    contexts, thrown = [], []

    def open_page(user: User | None = None, path: str = "/admin/") -> Page:
        context = windows.take()
        contexts.append(context)
        if user is not None:
            context.add_cookies([session_cookie(user, live_server.url)])
        page = context.new_page()
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.add_init_script(TELL_VIOLATIONS)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        windows.give_back(context)
    assert thrown == []


def session_cookie(user: User, url: str) -> Any:
    """What the browser of somebody who has signed in holds."""
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": people.logged_in(user).cookies[name].value, "url": url}
