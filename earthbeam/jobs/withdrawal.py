"""What taking back a job would delete from the ODS, and what it leaves alone.

Deleted are the students' records of the job's last load: those that the ODS has taken, and that no
later job of the same assessment, tenant, and school year has loaded as well. Records are the same
if they have the same natural key, as in the ODS.
"""

import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from earthbeam import paths
from earthbeam.errors import LaunchFailed, NothingToWithdraw
from earthbeam.files import FileStore, fault, open_store
from earthbeam.jobs.retention import still_stored
from earthbeam.models import Job, OutputSet, Run
from earthbeam.runs import continued
from earthbeam.stored_files import SEND_RESULTS, STUDENT_ASSOCIATIONS, STUDENT_RESULTS

_KEYS: Mapping[str, tuple[str, ...]] = {
    STUDENT_RESULTS: (
        "assessmentReference.assessmentIdentifier",
        "assessmentReference.namespace",
        "studentAssessmentIdentifier",
        "studentReference.studentUniqueId",
    ),
    STUDENT_ASSOCIATIONS: (
        "studentAssessmentReference.assessmentIdentifier",
        "studentAssessmentReference.namespace",
        "studentAssessmentReference.studentAssessmentIdentifier",
        "studentAssessmentReference.studentUniqueId",
        "educationOrganizationAssociationTypeDescriptor",
        "educationOrganizationReference.educationOrganizationId",
    ),
}
"""The natural keys of students' records, as dotted paths: the Ed-Fi Data Standard."""

_STUDENTS = ("studentReference.studentUniqueId", "studentAssessmentReference.studentUniqueId")


@dataclass(frozen=True)
class Withdrawal:
    """What a withdrawal would do. ``records`` to delete, by resource, and their ``students``.

    ``left`` are the records that it leaves alone since a later job has loaded them as well.
    ``from_edu``: whether EDU's loaders are told to delete what they have of the job.
    """

    records: Mapping[str, int]
    students: Collection[str]
    left: Mapping[Job, int]
    from_edu: bool

    @property
    def total(self) -> int:
        return sum(self.records.values())


class _Record(NamedTuple):
    resource: str
    line: int
    key: bytes
    student: str


def why_not(job: Job) -> str:
    """Why the job cannot be withdrawn, as a sentence; empty if it can. Reads no files."""
    run = job.last_run
    if run is None:
        return "The job has loaded nothing."
    if run.outcome is None:
        return "The job has a run in progress. Wait until it ends."
    if job.output_is_destroyed:
        return "What it has loaded is no longer stored, since it was kept long enough."
    if run.outcome == Run.Outcome.WITHDRAWN:
        return "It has been withdrawn already."
    if not _published(job).filter(withdrawn_at=None).exists():
        return "The job has loaded nothing."
    return ""


def plan(job: Job) -> Withdrawal:
    """Return what a withdrawal of the job would do. Raises NothingToWithdraw, and OSError."""
    if reason := why_not(job):
        raise NothingToWithdraw(reason=reason)
    records: Counter[str] = Counter()
    students: set[str] = set()
    left: Counter[Job] = Counter()
    for record, later in _decided(job):
        if later is None:
            records[record.resource] += 1
            students.add(record.student)
        else:
            left[later] += 1
    from_edu = _published(job).filter(withdrawn_at=None, sent_to_ods=False).exists()
    return Withdrawal(dict(records), students, dict(left), from_edu)


def store_for(run: Run) -> None:
    """Store what the run of a withdrawal leaves alone, in the job's ``input/``.

    Raises LaunchFailed if the file storage fails.
    """
    store = _store(run.job)
    try:
        refused = [
            (resource, line) for resource, lines in _refused(run.job).items() for line in lines
        ]
        shared = [(each.resource, each.line) for each, later in _decided(run.job) if later]
        text = "".join(
            json.dumps({"resource": resource, "line": line}) + "\n"
            for resource, line in sorted({*refused, *shared})
        )
        store.save(io.BytesIO(text.encode()), f"input/{paths.LEAVE_NAME}")
    except OSError as error:
        raise LaunchFailed(
            f"What the job has loaded could not be read for its withdrawal: {fault(error)}"
        ) from error
    except NothingToWithdraw as error:
        raise LaunchFailed(str(error)) from error


def _decided(job: Job) -> Iterator[tuple[_Record, Job | None]]:
    """Yield each record that the ODS has taken, and the later job that has loaded it as well.

    Raises NothingToWithdraw if the stored files do not tell.
    """
    own = _ods_set(job)
    if own is None:
        return
    store = _store(job)
    later: dict[bytes, Job] = {}
    for other in _later_sets(own):
        for record in _records(_store(other.run.job), other):
            later[record.key] = other.run.job
    refused = _refused(job)
    for record in _records(store, own):
        if record.line not in refused[record.resource]:
            yield record, later.get(record.key)


def _published(job: Job) -> Any:
    sets = OutputSet.objects.filter(run__job=job, published_at__isnull=False)
    return sets.filter(still_stored())


def _ods_set(job: Job) -> OutputSet | None:
    """Return the set that the job's last load sent to the ODS, if it sent one."""
    run = continued.last_sent(job)
    sets = continued.sets_of(run) if run else []
    return next((each for each in sets if each.sent_to_ods), None)


def _later_sets(own: OutputSet) -> list[OutputSet]:
    """Return the newest set of each later job that may have the same records."""
    job = own.run.job
    sets = OutputSet.objects.filter(
        run__job__tenant=job.tenant_id,
        run__job__school_year=job.school_year_id,
        run__job__bundle=job.bundle_id,
        sent_to_ods=True,
        published_at__gt=own.published_at,
        withdrawn_at=None,
    ).exclude(run__job=job)
    newest = {
        each.run.job_id: each
        for each in sets.select_related("run__job__tenant").order_by("published_at")
    }
    return list(newest.values())


def _records(store: FileStore, output_set: OutputSet) -> Iterator[_Record]:
    folder = paths.set_folder(output_set)
    for resource, fields in _KEYS.items():
        name = f"{resource}.jsonl"
        if name not in output_set.files:
            continue
        with _reading(output_set.run.job, name), store.open(f"{folder}/{name}") as lines:
            for number, line in enumerate(lines, start=1):
                if line.isspace():
                    continue
                record = orjson.loads(line)
                values = [_value(record, field) for field in fields]
                key = hashlib.blake2b(
                    "\0".join([resource, *values]).encode(), digest_size=16
                ).digest()
                student = next(filter(None, (_value(record, each) for each in _STUDENTS)), "")
                yield _Record(resource, number, key, student)


def _value(record: Any, path: str) -> str:
    for name in path.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return "" if record is None else str(record)


def _refused(job: Job) -> defaultdict[str, set[int]]:
    """Return the lines that the ODS refused, by resource.

    An earlier job may have loaded their keys, so they are not deleted, and nothing is if they are
    not known.
    """
    refused: defaultdict[str, set[int]] = defaultdict(set)
    with _reading(job, SEND_RESULTS), _store(job).open(f"output/{SEND_RESULTS}") as stream:
        for resource, counts in orjson.loads(stream.read())["resources"].items():
            for failure in counts.get("failures") or ():
                refused[resource].update(failure["line_numbers"])
    return refused


@contextmanager
def _reading(job: Job, name: str) -> Iterator[None]:
    """Say why nothing is withdrawn if a stored file of the job is gone or damaged."""
    try:
        yield
    except FileNotFoundError:
        fate = "is no longer stored"
    except (ValueError, KeyError, TypeError, AttributeError):
        fate = "is damaged"
    else:
        return
    advice = "Run that job again first."
    if job.input_destroyed_at:
        advice = "Delete the records in the ODS by hand: that job's files were destroyed."
    raise NothingToWithdraw(
        reason=f"{name} of job {job.pk} {fate}, so it is not known which records are the job's "
        f"alone. {advice}"
    )


def _store(job: Job) -> FileStore:
    return open_store(paths.app_data_base_path(job))
