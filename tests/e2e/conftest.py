import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Page, sync_playwright

from partners.models import Partner
from runway.demo.seed import seed
from runway.sandbox.bundle_repository import create_bundle_repository
from runway.sandbox.chunked_snowflake import ChunkedSnowflake, lines_table
from runway.sandbox.edu import SandboxEdu
from runway.sandbox.input_files import InputFile, write_interim_file, write_summative_file
from runway.sandbox.ods import SandboxOds
from runway.sandbox.population import students
from tests import database, people
from tests.browser import chromium
from tests.browser.conftest import session_cookie
from tests.e2e import impatient
from tests.e2e.stack import Stack
from tests.earthbeam.executor.conftest import edu_roster


@pytest.fixture(scope="package")
def edu() -> Iterator[SandboxEdu]:
    with SandboxEdu() as edu:
        yield edu


@pytest.fixture
def halting_edu() -> Iterator[ChunkedSnowflake]:
    """An EDU that sends its roster in two parts, for a fault in between."""
    lines = [line.decode() for line in edu_roster()]
    with ChunkedSnowflake([lines_table(lines[:400]), lines_table(lines[400:])]) as snowflake:
        yield snowflake


@pytest.fixture(scope="package")
def running_stack(
    django_db_setup: None,
    django_db_blocker: Any,
    edu: SandboxEdu,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """Web and worker on the tests' database; they stay while the database is emptied."""
    folder = tmp_path_factory.mktemp("e2e")
    repository = create_bundle_repository(folder / "bundles")
    stack = Stack(folder, repository, edu.environment())
    try:
        yield stack
    finally:
        stack.stop("worker", "web")
        with django_db_blocker.unblock():
            database.empty((*database.QUEUE, "procrastinate_workers"))


@pytest.fixture
def ods() -> Iterator[SandboxOds]:
    """The district's ODS, with nothing in it but the roster."""
    with SandboxOds(students()) as ods:
        yield ods


@pytest.fixture
def district(
    transactional_db: None, running_stack: Stack, ods: SandboxOds, settings: Any
) -> Iterator[Stack]:
    """A partner whose one district has this ODS; jobs of it find both."""
    settings.BUNDLE_REPO = str(running_stack.bundle_repository)
    database.empty(database.QUEUE)  # not the workers: this stack's own lives on
    seed(ods.url)
    logs = {name: len(running_stack.log(name)) for name in ("web", "worker")}
    yield running_stack
    running_stack.tidy_up()
    with connection.cursor() as cursor:
        # Emptying all tables may meet a process that tells of its EDU connections: that gives way.
        cursor.execute("set deadlock_timeout = '30s'")
    for name, before in logs.items():  # shown for a test that failed
        sys.stdout.write(f"--- {name}\n{running_stack.log(name)[before:][-5000:]}\n")


@pytest.fixture
def stack(district: Stack) -> Stack:
    """Runway at that district's service, as it is deployed."""
    district.start_web()
    district.start_worker()
    return district


@pytest.fixture
def impatient_stack(district: Stack) -> Stack:
    """The same with programs that soon give up: for what never gets better."""
    district.start_web(impatient.WEB)
    district.start_worker(*impatient.WORKER)
    return district


@pytest.fixture
def interim(tmp_path: Path) -> InputFile:
    return write_interim_file(tmp_path)


@pytest.fixture
def summative(tmp_path: Path) -> InputFile:
    return write_summative_file(tmp_path)


@pytest.fixture
def open_page(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Page]]:
    """Opens a page of the stack's web server as a partner admin."""
    program = chromium.program()
    if program is None:
        (pytest.fail if chromium.REQUIRED else pytest.skip)(chromium.MISSING)
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright's loop runs here
    cookie = session_cookie(people.make_partner_admin(partner=Partner.objects.get()), stack.url)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=chromium.ARGUMENTS)
        context = browser.new_context(base_url=stack.url, viewport={"width": 1280, "height": 900})
        context.add_cookies([cookie])

        def open_page(path: str) -> Page:
            page = context.new_page()
            page.goto(path)
            return page

        yield open_page
        browser.close()
        connection.close()  # made while playwright's loop runs, so no later test finds it
