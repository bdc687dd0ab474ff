import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runway.sandbox.bundle_repository import create_bundle_repository
from runway.sandbox.ods import SandboxOds
from runway.sandbox.population import TENANT, UNKNOWN, Student, students
from tests.earthbeam.executor.recording_app import RUN, RecordingApp

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def bundle_repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_bundle_repository(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def app() -> Iterator[RecordingApp]:
    with RecordingApp() as app:
        yield app


@pytest.fixture
def ods() -> Iterator[SandboxOds]:
    with SandboxOds(students()) as ods:
        yield ods


def roster_line(student: Student) -> bytes:
    codes = [("State", student.state_id), ("Local", student.local_id)]
    record = {
        "educationOrganizationReference": {
            "educationOrganizationId": student.ed_org_id,
            "link": {"rel": "LocalEducationAgency"},
        },
        "studentReference": {"studentUniqueId": student.unique_id},
        "studentIdentificationCodes": [
            {"studentIdentificationSystemDescriptor": kind, "identificationCode": code}
            for kind, code in codes
            if code
        ],
    }
    return json.dumps(record).encode() + b"\n"


def edu_roster() -> list[bytes]:
    """What EDU streams for the sample district: its students of all years."""
    known = [s for s in students() if s.tenant == TENANT and s.group != UNKNOWN]
    return [roster_line(student) for student in known]


@dataclass
class Workbench:
    """One job's files, and the executor started on them as a launcher does."""

    app: RecordingApp
    bundle_repo: Path
    root: Path
    base: str = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.root / "files" / "ea" / "grand_bend" / "2526" / RUN
        self.base = f"file://{self.folder}"

    def job(
        self,
        input_file: Path,
        bundle: str,
        ods: SandboxOds | None,
        *,
        cross_year: bool = False,
        **changes: Any,
    ) -> None:
        """Make the app hand out this job."""
        name = f"INPUT_FILE__{input_file.name}"
        (self.folder / "input").mkdir(parents=True, exist_ok=True)
        (self.folder / "input" / name).write_bytes(input_file.read_bytes())
        self.app.payload = {
            "appDataBasePath": self.base,
            "inputFiles": {"INPUT_FILE": name},
            "inputParams": {"API_YEAR": "2026"},
            "customDescriptorMappings": None,
            "bundle": {"path": bundle, "branch": "main"},
            "appUrls": self.app.app_urls(roster=cross_year),
            "sendToOds": ods is not None,
            "crossYearMatchAvailable": cross_year,
        }
        if ods is not None:
            self.app.payload["assessmentDatastore"] = {
                "apiYear": "2026",
                "url": ods.url,
                "clientId": ods.client_id,
                "clientSecret": ods.client_secret,
            }
        self.app.payload |= changes

    def start(self, **variables: str) -> "subprocess.Popen[str]":
        """The executor as a child process, from a foreign directory, with its variables alone."""
        env = {
            "PATH": os.environ["PATH"],
            "INIT_TOKEN": "init-token-abc",
            "INIT_JOB_URL": f"{self.app.url}/auth/{RUN}/init",
            "BUNDLE_REPO": str(self.bundle_repo),
            "TMPDIR": str(self.scratch),
            **variables,
        }
        return subprocess.Popen(
            (sys.executable, str(PROJECT / "manage.py"), "executor"),
            env=env,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, **variables: str) -> "Ended":
        process = self.start(**variables)
        log, _ = process.communicate(timeout=120)
        return Ended(process.returncode, log)

    @property
    def scratch(self) -> Path:
        folder = self.root / "scratch"
        folder.mkdir(exist_ok=True)
        return folder

    def output(self) -> dict[str, bytes]:
        """What the run left below ``output/``."""
        start = self.folder / "output"
        return {
            path.relative_to(start).as_posix(): path.read_bytes()
            for path in sorted(start.rglob("*"))
            if path.is_file()
        }


@dataclass(frozen=True)
class Ended:
    exit_status: int
    log: str


@pytest.fixture
def workbench(app: RecordingApp, bundle_repo: Path, tmp_path: Path) -> Workbench:
    return Workbench(app, bundle_repo, tmp_path)


WriteFile = Callable[[str, bytes], Path]


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write
