"""What a preview would load, against what was loaded last of the same assessment and tenant."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from earthbeam import paths
from earthbeam.files import open_store
from earthbeam.models import OutputSet, Run, RunMatches
from earthbeam.runs import continued

SAMPLES = 3
RATE_DROP = 0.2
FEW_ROWS = 0.5
FEW_STUDENTS = 0.1
"""Below these shares of the last load, a preview is unusual."""

_RESULTS = "studentAssessments.jsonl"
_STUDENT = re.compile(rb'"studentUniqueId":\s*"([^"]+)"')


@dataclass(frozen=True)
class Figures:
    """A run's rows, the share of them that matched, and its students."""

    run: Run
    rows: int | None
    rate: float | None
    students: frozenset[str]


@dataclass(frozen=True)
class Comparison:
    """``last`` is None if nothing was loaded before. ``samples`` are records for the ODS."""

    now: Figures
    last: Figures | None
    samples: tuple[str, ...]

    @property
    def new_students(self) -> int:
        return len(self.now.students - self.last.students) if self.last else 0

    @property
    def gone_students(self) -> int:
        return len(self.last.students - self.now.students) if self.last else 0

    @property
    def warnings(self) -> list[str]:
        """What is unusual, in sentences."""
        now, last, found = self.now, self.last, []
        if last is None:
            return []
        if now.rate is not None and last.rate is not None and now.rate <= last.rate - RATE_DROP:
            found.append(
                f"Only {now.rate:.0%} of the rows matched a student; {last.rate:.0%} did the last "
                "time. Check that the file is of this district and year."
            )
        if now.rows and last.rows and now.rows <= FEW_ROWS * last.rows:
            found.append(
                f"The file has {now.rows:,} rows; the last one had {last.rows:,}. Check that it is "
                "complete."
            )
        both = len(now.students & last.students)
        if now.students and last.students and both < FEW_STUDENTS * len(now.students):
            found.append(
                f"Only {both:,} of the {len(now.students):,} students were in the last file. Check "
                "that the file is not of another school or grade."
            )
        return found


def compare(preview: Run) -> Comparison:
    """Return the preview's figures beside those of the last load. Raises OSError."""
    job = preview.job
    last_set = (
        OutputSet.objects.filter(
            run__job__tenant=job.tenant_id,
            run__job__bundle=job.bundle_id,
            published_at__isnull=False,
            withdrawn_at=None,
        )
        .exclude(run__job=job)
        .select_related("run__job__tenant")
        .order_by("-published_at")
        .first()
    )
    sets = continued.sets_of(preview)
    ods = next((each for each in sets if each.sent_to_ods), None)
    samples = []
    for line in _lines(ods) if ods else ():
        samples.append(json.dumps(json.loads(line), indent=2, ensure_ascii=False))
        if len(samples) == SAMPLES:
            break
    last = _figures(last_set.run) if last_set else None
    return Comparison(_figures(preview), last, tuple(samples))


def _figures(run: Run) -> Figures:
    matches = RunMatches.objects.filter(run=run).first()
    students = {
        student.decode(errors="replace")
        for each in continued.sets_of(run)
        for line in _lines(each)
        for student in _STUDENT.findall(line)
    }
    if matches is None or not matches.input_rows:
        return Figures(run, None, None, frozenset(students))
    matched = matches.ods_matched + matches.cross_year_matched
    return Figures(run, matches.input_rows, matched / matches.input_rows, frozenset(students))


def _lines(output_set: OutputSet) -> Iterator[bytes]:
    """Yield the set's results of students; none if they are no longer stored."""
    if _RESULTS not in output_set.files:
        return
    store = open_store(paths.app_data_base_path(output_set.run.job))
    folder = paths.set_folder(output_set)
    try:
        with store.open(f"{folder}/{_RESULTS}") as lines:
            yield from (line for line in lines if not line.isspace())
    except FileNotFoundError:
        return
