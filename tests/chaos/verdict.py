"""What must be true once the storm is over and all jobs have been run again where they failed."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam import paths
from earthbeam.files import DirectoryStore, open_store
from earthbeam.models import Job, OutputSet, Run
from partners.models import EduProcess
from runway.database_time import database_now
from tests.chaos.work import Work
from tests.chaos.world import DISTRICTS, World


def faults(world: World, works: list[Work]) -> Iterator[str]:
    """What is wrong, in words."""
    yield from _runs()
    for work in works:
        if not work.is_done:
            yield f"job {work.number} ({work.plan}) was not done: {dict(work.failures)}"
            continue
        yield from _ledger(work)
        yield from _sets(work)
    for district in DISTRICTS:
        yield from _ods(world, district, [work for work in works if work.district == district])
    yield from _left(world)


def _runs() -> Iterator[str]:
    for run in Run.objects.filter(status__in=Run.UNFINISHED):
        yield f"{run} has not ended"
    for run in Run.objects.filter(status=Run.Status.ERROR, errors=None):
        yield f"{run} does not say why it failed"


def _ledger(work: Work) -> Iterator[str]:
    assert work.job is not None
    loads = work.job.runs.filter(kind__in=(Run.Kind.LOAD, Run.Kind.PREVIEW))
    run = loads.filter(status=Run.Status.SUCCESS, matches__isnull=False).latest("created_at")
    matches = run.matches
    found = [matches.ods_matched, matches.cross_year_matched, matches.unmatched]
    expected = [work.current, work.earlier, work.unknown]
    if work.plan == "no ODS":
        found[:2], expected[:2] = [sum(found[:2])], [sum(expected[:2])]
    if found != expected or sum(found) != matches.input_rows:
        yield f"job {work.number} ({work.plan}) counts {found} rows instead of {expected}"


def _sets(work: Work) -> Iterator[str]:
    """Every published set is whole, and the last run's files are those that it is known for.

    Files of earlier runs stay where later ones have none of that name.
    """
    assert work.job is not None
    store = open_store(paths.app_data_base_path(work.job))
    assert isinstance(store, DirectoryStore)
    output = store.root / "output"
    job = Job.objects.select_related("last_run").get(pk=work.job.pk)
    run = job.last_run
    assert run is not None
    known = set(run.output_files.values_list("path", "size"))
    listed = store.list("output", since=run.files_since).items()
    found = {(key.removeprefix("output/"), size) for key, size in listed}
    if known != found:
        yield f"job {work.number} ({work.plan}) has other files than it says: {known ^ found}"
    for each in OutputSet.objects.filter(run__job=job, published_at__isnull=False):
        folder = output / each.path.rsplit("/", 1)[1]
        for name in each.files:
            if not (folder / name).is_file():
                yield f"job {work.number}: {name} of a published set is absent"


def _ods(world: World, district: str, works: list[Work]) -> Iterator[str]:
    received = world.odses[district].received("studentAssessments")
    by_day = Counter(str(record["administrationDate"]) for record in received)
    keys = {record["studentAssessmentIdentifier"] for record in received}
    if len(keys) != len(received):
        yield f"the ODS of {district} has records twice"
    for work in works:
        if by_day.pop(work.day.isoformat(), 0) != work.in_ods:
            yield f"job {work.number} ({work.plan}) has other records in the ODS than expected"
    if by_day:
        yield f"the ODS of {district} has records of no job"


def _left(world: World) -> Iterator[str]:
    if left := world.stack.left_behind():
        yield f"left behind: {left}"
    # Those of workers that were killed stay until the night.
    launches = ProcrastinateJob.objects.filter(task_name="launch_run", status="doing")
    alive = database_now() - timedelta(seconds=30)
    if doing := launches.filter(worker__last_heartbeat__gt=alive).count():
        yield f"{doing} launches are still being done"
    if busy := sum(EduProcess.objects.values_list("in_use", flat=True)):
        yield f"{busy} connections to EDU are in use"
    world.stack.stop("worker", "web")
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity "
            "where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        if count := cursor.fetchone()[0]:
            yield f"{count} connections to the database are left"
