"""The demo's first two jobs: submit them in the admin like a person, watch them, check them."""

import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote
from urllib.request import urlopen
from uuid import UUID

import requests
from django.core.management import call_command

from earthbeam import paths
from earthbeam.files import DirectoryStore, open_store
from earthbeam.models import OutputSet, Run, RunUpdate
from partners.models import SchoolYear, Tenant
from runway.demo.services import PROJECT
from runway.demo.sideloading import Sideloading
from runway.sandbox.input_files import InputFile, write_interim_file, write_summative_file

_RECORDS = "studentAssessments"
_ACTIONS = RunUpdate.Action
_PATIENCE_SECONDS = 240.0


@dataclass(frozen=True)
class Result:
    """One job's results, as reported by the app, the ODS, the files, and EDU."""

    sample: InputFile
    run: Run
    received_by_ods: int
    offered_to_edu: int
    arrived_in_edu: int

    def is_what_the_seed_implies(self) -> bool:
        expected, matches = self.sample.expected, getattr(self.run, "matches", None)
        return (
            self.run.status == Run.Status.SUCCESS
            and matches is not None
            and (matches.input_rows, matches.ods_matched, matches.cross_year_matched)
            == (expected.rows, expected.ods, expected.cross_year)
            and matches.unmatched == expected.unmatched
            and self.received_by_ods == expected.ods
            and self.offered_to_edu == expected.cross_year
            and self.arrived_in_edu == expected.cross_year
        )


def migrate() -> None:
    """Create the database's tables."""
    call_command("migrate", verbosity=0)


def run_all(person: "Person", ods_url: str, sideloading: Sideloading, folder: Path) -> bool:
    """Submit, follow, and report each sample job. True if all had the seed's expected results."""
    good, in_edu = True, 0
    for title, sample in (
        ("Most students are in this year's ODS", write_interim_file(folder)),
        ("Most students have left: below the threshold", write_summative_file(folder)),
    ):
        print(f"\n{title}: {sample.path.name}, {sample.expected.rows} rows")
        before = received(ods_url)
        run = Run.objects.get(job_id=person.submit(sample))
        watch(run)
        sideloading.poll()
        arrived, in_edu = sideloading.arrived() - in_edu, sideloading.arrived()
        result = Result(sample, run, received(ods_url) - before, _offered(run), arrived)
        _tell(result)
        good = good and result.is_what_the_seed_implies()
    print(f"\n  cross-year records that have arrived in EDU: {in_edu}")
    return good


class Person:
    """A person in the admin, with their own session."""

    def __init__(self, admin: str, username: str, password: str) -> None:
        self._admin = admin
        self._session = requests.Session()
        self._session.trust_env = False
        login = {"username": username, "password": password, "next": "/admin/"}
        self._post(f"{admin}login/", login)

    def submit(self, sample: InputFile) -> UUID:
        """Submit a job with the file, and return the job's ID."""
        url = f"{self._admin}earthbeam/job/add/?bundle={sample.bundle}"
        fields = {
            "tenant": str(Tenant.objects.get().pk),
            "school_year": str(SchoolYear.objects.get().pk),
        }
        with sample.path.open("rb") as file:
            page = self._post(url, fields, {"file_INPUT_FILE": (sample.path.name, file)})
        return self._job_of(page)

    def correct(self, job: UUID, page: str, wrong: str, right: str) -> UUID:
        """Replace the cells that hold ``wrong`` on a page of the job, and load their rows again.

        Returns the new job's ID.
        """
        url = f"{self._admin}earthbeam/job/{job}/{page}/"
        form = self._session.get(url, timeout=30).text
        content = re.search(r'name="content" value="([0-9a-f]+)"', form)
        cells = re.findall(rf'name="(cell-\d+-\d+)" value="{re.escape(wrong)}"', form)
        if content is None or not cells:
            raise RuntimeError(f"{url} has no cell with {wrong!r}.")
        fields = {"content": content.group(1), "do": "rerun", **dict.fromkeys(cells, right)}
        return self._job_of(self._post(url, fields))

    def withdraw(self, job: UUID) -> None:
        """Take back what the job has loaded."""
        url = f"{self._admin}earthbeam/job/{job}/withdraw/"
        number = re.search(r"records to delete: (\d+)", self._session.get(url, timeout=30).text)
        if number is None:
            raise RuntimeError(f"{url} does not say how many records would be deleted.")
        self._job_of(self._post(url, {"typed": number.group(1)}))

    def _job_of(self, page: requests.Response) -> UUID:
        """Return the ID of the job whose page this is."""
        job = re.search(r"/job/([0-9a-f-]{36})/change/", page.url)
        if job is None:
            said = r'class="(?:errorlist|rw-callout rw-bad)[^>]*>(.*?)</(?:ul|div)>'
            errors = re.findall(said, page.text, re.DOTALL)
            raise RuntimeError(f"The admin did not take the job: {errors}")
        return UUID(job.group(1))

    def _post(
        self, url: str, fields: dict[str, str], files: dict[str, object] | None = None
    ) -> requests.Response:
        form = self._session.get(url, timeout=30)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
        if token is None:
            raise RuntimeError(f"{url} shows no form (status {form.status_code})")
        data = {**fields, "csrfmiddlewaretoken": token.group(1)}
        page = self._session.post(url, data=data, files=files, timeout=60)  # type: ignore[arg-type]
        page.raise_for_status()
        return page


def watch(run: Run, *, quiet: bool = False) -> None:
    """Show each step as it happens, until the run has ended."""
    began = time.monotonic()
    shown: set[str] = set()
    while True:
        run.refresh_from_db()
        ended = run.status not in Run.UNFINISHED
        updates = list(run.updates.exclude(action=_ACTIONS.DONE))
        times = {(update.action, update.status): update.at for update in updates}
        for update in updates:
            if not quiet and update.status != "begin" and update.action not in shown:
                shown.add(update.action)
                seconds = (update.at - times[update.action, "begin"]).total_seconds()
                mark = "✓" if update.status == "success" else "✗"
                _line(f"  {mark} {_ACTIONS(update.action).label:<28}{seconds:6.1f} s", end="\n")
        if ended:
            break
        current = next((u for u in reversed(updates) if u.action not in shown), None)
        doing = _ACTIONS(current.action).label if current else "Waiting for the executor"
        if sys.stdout.isatty() and not quiet:
            _line(f"  … {doing:<28}{time.monotonic() - began:6.1f} s", end="\r")
        if time.monotonic() - began > _PATIENCE_SECONDS:
            raise RuntimeError("The run takes too long; see the worker's log.")
        time.sleep(0.2)


def _line(text: str, end: str) -> None:
    print(f"{text:<60}", end=end, flush=True)


def _tell(result: Result) -> None:
    run, expected = result.run, result.sample.expected
    if run.status != Run.Status.SUCCESS:
        for error in run.errors.all():
            print(f"  failed: {error.code} {error.payload.get('message', '')}")
        return
    matches = run.matches
    folder = _folder(run)
    sets = {output.sent_to_ods: output for output in run.output_sets.all()}
    rows = (
        ("rows in the file", matches.input_rows, expected.rows, ""),
        ("matched, sent to the ODS", matches.ods_matched, expected.ods, _where(sets.get(True))),
        ("  received, by the ODS's own count", result.received_by_ods, expected.ods, ""),
        (
            *("matched to a prior year, for EDU", matches.cross_year_matched, expected.cross_year),
            _where(sets.get(False)),
        ),
        ("  records offered to EDU", result.offered_to_edu, expected.cross_year, ""),
        ("  arrived in EDU, by its own count", result.arrived_in_edu, expected.cross_year, ""),
        (
            *("unmatched, handed back", matches.unmatched, expected.unmatched),
            _short(folder / "output" / "input_no_student_id_match.csv"),
        ),
    )
    print()
    for label, count, wanted, where in rows:
        verdict = "" if count == wanted else f"  expected {wanted}!"
        print(f"  {label:<36}{count:>5}{verdict}   {where}".rstrip())


def _where(output: OutputSet | None) -> str:
    if output is None:
        return ""
    return _short(_folder(output.run) / "output" / output.path.rsplit("/", 1)[-1])


def _folder(run: Run) -> Path:
    store = open_store(paths.app_data_base_path(run.job))
    assert isinstance(store, DirectoryStore)
    return store.root


def _short(path: Path) -> str:
    return unquote(str(path.relative_to(PROJECT)))


def _offered(run: Run) -> int:
    """Return how many student records are in the set that was not sent to the ODS."""
    file = _folder(run) / "output" / "non-ods" / f"{_RECORDS}.jsonl"
    if not file.exists():
        return 0
    with file.open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def received(ods_url: str) -> int:
    """Return how many student records the ODS has accepted, by its own count."""
    with urlopen(f"{ods_url}/sandbox/received", timeout=10) as answer:  # noqa: S310  our own
        counts: dict[str, int] = json.load(answer)
    return counts.get(_RECORDS, 0)
