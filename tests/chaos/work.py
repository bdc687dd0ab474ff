"""The jobs: what each is to do, and how far it has come."""

import csv
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from django.db import Error as DatabaseFault
from django.db import connection

from earthbeam.errors import LoadInProgress, RunInProgress, WithdrawalInProgress
from earthbeam.jobs.later_runs import start_resend, start_withdrawal
from earthbeam.jobs.lifecycle import create_job, start_run, store_file
from earthbeam.jobs.rules import JobRequest
from earthbeam.models import Bundle, Job, Run
from partners.models import SchoolYear, Tenant
from runway.sandbox.input_files import NO_LEVEL
from runway.sandbox.population import CURRENT, EARLIER, UNKNOWN, Student, in_group
from tests.chaos.world import DISTRICTS

Kind = Run.Kind
PLANS: dict[str, tuple[tuple[Kind, ...], int]] = {
    "load": ((Kind.LOAD,), 12),
    "preview, load": ((Kind.PREVIEW, Kind.LOAD), 3),
    "load, resend": ((Kind.LOAD, Kind.RESEND), 2),
    "load, withdraw": ((Kind.LOAD, Kind.WITHDRAW), 2),
    "no ODS": ((Kind.LOAD,), 2),
}
"""Each kind of job: its runs, and how often it comes."""
SIZES = (12, 40, 120, 400)
TRIES_IN_A_STORM = 2


@dataclass
class Work:
    """A job with its file: rows of students in the ODS, of earlier ones, and of unknown ones.

    Each job's students took their test on a day of its own, so its records are only its own.
    """

    number: int
    plan: str
    district: str
    path: Path
    current: int
    earlier: int
    unknown: int
    refused: int
    job: Job | None = None
    is_stored: bool = False
    done: int = 0
    left_over: bool = False
    """Whether the last run succeeded, but the ODS did not take records that are right."""
    failures: Counter[str] = field(default_factory=Counter)
    _seen: set[object] = field(default_factory=set)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return PLANS[self.plan][0]

    @property
    def is_done(self) -> bool:
        return self.done == len(self.kinds)

    @property
    def day(self) -> date:
        return date(2025, 8, 1) + timedelta(days=self.number)

    @property
    def in_ods(self) -> int:
        """Records that the job has in the ODS once it is done."""
        return 0 if self.plan in ("no ODS", "load, withdraw") else self.current - self.refused

    def advance(self, tries: int | None = None) -> None:
        """Do the next thing, if nothing is in progress. After ``tries`` failed runs it rests."""
        try:
            self._advance(tries)
        except DatabaseFault:
            connection.close()
        except (LoadInProgress, RunInProgress, WithdrawalInProgress):
            pass  # it is this job's turn later

    def _advance(self, tries: int | None) -> None:
        if self.job is None:
            self.job = create_job(self._request())
        if not self.is_stored:
            with self.path.open("rb") as stream:
                store_file(self.job, "INPUT_FILE", self.path.name, stream)
            self.is_stored = True
        job = self.job = Job.objects.select_related("last_run", "tenant").get(pk=self.job.pk)
        run = job.last_run
        if run is not None and run.status in Run.UNFINISHED:
            return
        if run is not None and run.pk not in self._seen:
            self._seen.add(run.pk)
            if run.status == Run.Status.SUCCESS:
                self._count_success(run)
            else:
                self.failures[run.errors.values_list("code", flat=True).first() or "none"] += 1
        if self.is_done or (tries is not None and self.failures.total() >= tries):
            return
        self._start(job, self.kinds[self.done])

    def _count_success(self, run: Run) -> None:
        """Go on to the next kind, unless the ODS did not take all that it should."""
        failed = sum(run.summary.values_list("records_failed", flat=True))
        self.left_over = run.kind in Run.SENDING and failed > self.refused
        self.done += not self.left_over

    def _start(self, job: Job, kind: Kind) -> None:
        if kind == Kind.WITHDRAW:
            start_withdrawal(job, started_by=None)  # type: ignore[arg-type]
        elif kind != Kind.RESEND and not self.left_over:
            start_run(job, kind=kind)
        elif job.last_run is not None and job.last_run.status == Run.Status.SUCCESS:
            start_resend(job)
        else:
            start_run(job)  # as a resend that failed cannot be tried again

    def _request(self) -> JobRequest:
        year = "2425" if self.plan == "no ODS" else "2526"
        return JobRequest(
            tenant=Tenant.objects.get(code=self.district),
            school_year=SchoolYear.objects.get(pk=year),
            bundle=Bundle.objects.get(path="assessments/SAMPLE_INTERIM"),
            files={"INPUT_FILE": self.path.name},
            params={"API_YEAR": "2025" if self.plan == "no ODS" else "2026"},
        )


def make(count: int, rng: random.Random, folder: Path) -> list[Work]:
    """So many jobs of all kinds and sizes, with their files in ``folder``."""
    folder.mkdir()
    weights = [weight for _, weight in PLANS.values()]
    plans = list(PLANS)[:count] + rng.choices(list(PLANS), weights, k=max(0, count - len(PLANS)))
    return [_make(number, plan, rng, folder) for number, plan in enumerate(plans)]


def _make(number: int, plan: str, rng: random.Random, folder: Path) -> Work:
    size = rng.choice(SIZES)
    earlier, unknown = size // 5, size // 10
    refused = 1 if plan == "load, resend" else 0
    # While a withdrawal runs, its tenant's other jobs wait, and the other way around.
    district = DISTRICTS[-1] if plan == "load, withdraw" else rng.choice(DISTRICTS)
    path = folder / f"scores_{number}.csv"
    work = Work(number, plan, district, path, size - earlier - unknown, earlier, unknown, refused)
    rows = list(_rows(work, rng))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return work


def _rows(work: Work, rng: random.Random) -> Iterator[dict[str, str]]:
    chosen: list[Student] = [
        *rng.sample(in_group(CURRENT)[10:], work.current),
        *rng.sample(in_group(EARLIER), work.earlier),
        *(in_group(UNKNOWN) * 2)[: work.unknown],
    ]
    bands = [NO_LEVEL] * work.refused + ["Middle"] * len(chosen)
    for student, band in zip(chosen, bands, strict=False):
        yield {
            "TestWindow": "Fall",
            "SchoolName": "Grand Bend School",
            "StudentName": f"{student.last_name}, {student.first_name}",
            "StudentNumber": student.local_id,
            "StateStudentID": student.state_id,
            "Grade": str(student.grade),
            "Subject": "Mathematics",
            "TestDate": work.day.strftime("%m/%d/%Y"),
            "ScaleScore": "200",
            "StandardError": "3.1",
            "Percentile": "50",
            "Band": band,
        }
