"""One whole run of the executor, from its handshake to its last report.

The app and the ODS take everything. Their own time and memory are not counted.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import ods
from benchmarks.inputs import Files, Subject
from benchmarks.measure import PROJECT, python, run_child
from runway.sandbox.ods.server import CLIENT_ID, CLIENT_SECRET
from tests.earthbeam.executor.recording_app import RUN, RecordingApp

KEY = f"ea/bench/2026/{RUN}"
_BLOCK = 512 * 1024


def run(
    subject: Subject,
    files: Files,
    repository: Path,
    place: Path,
    *,
    to_ods: bool,
    checkout: Path = PROJECT,
    prefix: Sequence[str] = (),
) -> dict[str, Any]:
    """Run a job on ``files`` with the executor of a checkout, and return what it took.

    Its results are left in ``place`` / ``results``. Without ``to_ods``, all matches are for EDU.
    Raises RuntimeError if the run fails.
    """
    stored = place / "files" / KEY
    (stored / "input").mkdir(parents=True)
    (stored / "input" / f"INPUT_FILE__{files.input_file.name}").hardlink_to(files.input_file)
    began: dict[str, float] = {}

    def note(name: str, body: dict[str, Any]) -> None:
        if name == "status" and body["status"] == "begin":
            began[body["action"]] = time.perf_counter()

    with RecordingApp(roster=partial(_blocks, files.edu_roster), on_report=note) as app:
        app.payload = {
            "appDataBasePath": f"file://{stored}",
            "inputFiles": {"INPUT_FILE": f"INPUT_FILE__{files.input_file.name}"},
            "inputParams": dict(subject.params),
            "customDescriptorMappings": None,
            "bundle": {"path": f"assessments/{subject.name}", "branch": "main"},
            "appUrls": app.app_urls(roster=True),
            "sendToOds": to_ods,
            "crossYearMatchAvailable": True,
        }
        with ExitStack() as until_done:
            if to_ods:
                options = ("--roster", str(files.ods_roster))
                app.payload["assessmentDatastore"] = {
                    "apiYear": "2026",
                    "url": until_done.enter_context(ods.serving(*options)),
                    "clientId": CLIENT_ID,
                    "clientSecret": CLIENT_SECRET,
                }
            cost = run_child(
                (*prefix, *python(str(checkout / "manage.py"), "executor")),
                env={
                    "PATH": os.environ["PATH"],
                    "INIT_TOKEN": "init-token-abc",
                    "INIT_JOB_URL": f"{app.url}/auth/{RUN}/init",
                    "BUNDLE_REPO": str(repository),
                    "TMPDIR": str(place),
                },
                cwd=place,
                log=place / "log",
            )
        if app.outcome() != "done success":
            raise RuntimeError(f"the run failed: {app.posted('error')}")
    (stored / "output").rename(place / "results")
    results = sorted((place / "results").glob("em-results*.json"))
    after = "lightbeam_send" if to_ods else "upload_output"
    return {
        **asdict(cost),
        "transform_step_seconds": round(began[after] - began["earthmover_run"], 2),
        # Of the set that took longest: both are made at the same time.
        "earthmover_seconds": max(json.loads(path.read_text())["runtime_sec"] for path in results),
    }


def _blocks(roster: Path) -> Iterator[bytes]:
    with roster.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
