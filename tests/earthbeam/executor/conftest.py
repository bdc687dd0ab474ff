import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from earthbeam.files import FileStore, open_store
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


KEY_PREFIX = f"ea/grand_bend/2526/{RUN}"


@dataclass
class Workbench:
    """One job's files, and the executor started on them as a launcher does."""

    app: RecordingApp
    bundle_repo: Path
    root: Path
    files_base: str
    variables: dict[str, str] = field(default_factory=dict)
    """What the executor gets beside the contract's four: access to the files."""
    checkout: Path = PROJECT
    """Where the executor's code lies."""

    @property
    def base(self) -> str:
        return f"{self.files_base}/{KEY_PREFIX}"

    @property
    def files(self) -> FileStore:
        """The job's files."""
        return open_store(self.base)

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
        self.files.upload(input_file, f"input/{name}")
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
            **self.variables,
            **variables,
        }
        return subprocess.Popen(
            (sys.executable, str(self.checkout / "manage.py"), "executor"),
            env=env,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *, seconds: float = 300, **variables: str) -> "Ended":
        with self.start(**variables) as process:
            try:
                log, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.terminate()
                raise
        return Ended(process.returncode, log)

    @property
    def scratch(self) -> Path:
        folder = self.root / "scratch"
        folder.mkdir(exist_ok=True)
        return folder

    def output(self) -> dict[str, bytes]:
        """What the run left below ``output/``."""
        return {
            key.removeprefix("output/"): self.files.open(key).read()
            for key in sorted(self.files.list("output"))
        }


@dataclass(frozen=True)
class Ended:
    exit_status: int
    log: str


on_file_and_s3 = pytest.mark.parametrize("storage", ["file", "s3"])
"""Tries a test's runs on a directory and on S3."""


@pytest.fixture
def storage() -> str:
    return "file"


@pytest.fixture
def workbench(
    app: RecordingApp,
    bundle_repo: Path,
    tmp_path: Path,
    storage: str,
    request: pytest.FixtureRequest,
) -> Workbench:
    if storage == "file":
        return Workbench(app, bundle_repo, tmp_path, f"file://{tmp_path}/files")
    location = f"s3://{request.getfixturevalue('bucket')}"
    variables = request.getfixturevalue("aws_environment")
    return Workbench(app, bundle_repo, tmp_path, location, variables)


WriteFile = Callable[[str, bytes], Path]


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write
