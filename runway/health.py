"""Whether Runway can do its work now: for load balancers, monitors, and `manage.py status`.

Each check finds a state and says what to do about it. Checks that need other systems are limited in
time and never decide whether Runway is ready: what they find is no reason to take a machine out.
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import requests
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob, ProcrastinateWorker

from earthbeam.files import DirectoryStore, fault, open_store
from earthbeam.models import Run
from earthbeam.runs.durations import lasted
from earthbeam.tasks import HOUSEKEEPING_QUEUE, LAUNCH_QUEUE

WORKER_SEEN = timedelta(minutes=1)
"""A worker that has not been seen for so long counts as gone: it reports every ten seconds."""
HOUSEKEEPING_LATE = timedelta(minutes=5)
"""Housekeeping is due every minute, and done in seconds."""
LAUNCHES_LATE = timedelta(minutes=15)
"""Launches may wait while all executors are busy, but somebody should know."""
LEAST_FREE = 0.05
"""The part of the files' disk that should be free."""
NOTICES_LATE = timedelta(minutes=5)
EDU_SINCE = timedelta(hours=1)
_TIMEOUT = 3.0


@dataclass(frozen=True)
class Finding:
    """What a check has found, as a sentence. ``decides``: if it is bad, Runway is not ready."""

    name: str
    good: bool
    text: str
    decides: bool = True


def find() -> list[Finding]:
    """Return all findings. Without a database, there are no others that need it."""
    with ThreadPoolExecutor(4) as threads:
        outside = [threads.submit(check) for check in _outside()]
        return [*_database(), *(each.result() for each in outside)]


def is_ready(findings: list[Finding]) -> bool:
    """Whether Runway can do its work."""
    return all(each.good for each in findings if each.decides)


def _database() -> list[Finding]:
    found = [Finding("database", True, "The database answers.")]
    try:
        found.append(_migrations())
        if found[-1].good:
            now = timezone.now()
            found += [_workers(now), _housekeeping(now), _launches(now), _edu(now)]
    except DatabaseError as error:
        text = f"The database cannot be reached ({type(error).__name__}). Check DATABASE_URL."
        return [Finding("database", False, text)]
    return found


def _migrations() -> Finding:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not missing:
        return Finding("migrations", True, "All migrations are applied.")
    text = f"{len(missing)} migrations are not applied. Run `manage.py migrate`."
    return Finding("migrations", False, text)


def _workers(now: datetime) -> Finding:
    workers = ProcrastinateWorker.objects.filter(last_heartbeat__gt=now - WORKER_SEEN)
    if workers.exists():
        return Finding("worker", True, "A worker is running.")
    last = ProcrastinateWorker.objects.order_by("-last_heartbeat").first()
    seen = (
        f"the last one was seen {_lasted(now - last.last_heartbeat)} ago"
        if last
        else "none ever was"
    )
    text = f"No worker is running: {seen}. Start `manage.py worker`; jobs wait until then."
    return Finding("worker", False, text)


def _housekeeping(now: datetime) -> Finding:
    waiting = oldest_due(HOUSEKEEPING_QUEUE, now)
    if waiting is None or now - waiting < HOUSEKEEPING_LATE:
        return Finding("queue", True, "Housekeeping is up to date.")
    text = (
        f"Housekeeping has been waiting for {_lasted(now - waiting)}. The worker hangs, or is too "
        "slow: see its log, and start it again."
    )
    return Finding("queue", False, text)


def _launches(now: datetime) -> Finding:
    waiting = oldest_due(LAUNCH_QUEUE, now)
    if waiting is None or now - waiting < LAUNCHES_LATE:
        return Finding("launches", True, "No run is waiting for long.", decides=False)
    text = (
        f"A run has been waiting to be launched for {_lasted(now - waiting)}. If all executors are "
        "busy, run more workers, or `manage.py worker` with a higher --concurrency."
    )
    return Finding("launches", False, text, decides=False)


def oldest_due(queue: str, now: datetime) -> datetime | None:
    """Return since when the queue's oldest job that is due has been waiting."""
    jobs = ProcrastinateJob.objects.filter(
        Q(scheduled_at=None) | Q(scheduled_at__lte=now), queue_name=queue, status="todo"
    )
    queued = Min("procrastinateevent__at", filter=Q(procrastinateevent__type="deferred"))
    since = jobs.annotate(since=Coalesce("scheduled_at", queued)).order_by("since")
    return since.values_list("since", flat=True).first()


def _edu(now: datetime) -> Finding:
    wanted = Q(job__tenant__partner__cross_year_match_enabled=True)
    runs = Run.objects.filter(wanted, created_at__gt=now - EDU_SINCE)
    counts = runs.aggregate(
        all=Count("pk"),
        without=Count("pk", filter=~Q(edu_unavailable="")),
    )
    if not counts["without"]:
        return Finding("edu", True, "No run of the last hour went without EDU.", decides=False)
    partners = (
        runs.exclude(edu_unavailable="")
        .order_by("job__tenant__partner_id")
        .values_list("job__tenant__partner_id", flat=True)
        .distinct()
    )
    text = (
        f"{counts['without']} of {counts['all']} runs of the last hour had to do without EDU. "
        f"Run `manage.py check_edu` for: {', '.join(partners)}."
    )
    return Finding("edu", False, text, decides=False)


def _outside() -> Iterator[Callable[[], Finding]]:
    yield _files
    issuers = {each.issuer for each in settings.OIDC_ISSUERS}
    if settings.OAUTH2_ISSUER:
        issuers.add(settings.OAUTH2_ISSUER)
    if issuers:
        yield lambda: _issuers(sorted(issuers))


def _files() -> Finding:
    store = open_store(settings.FILES_BASE)
    try:
        store.exists("readyz")
        used = shutil.disk_usage(store.root) if isinstance(store, DirectoryStore) else None
    except FileNotFoundError:
        used = None  # no job has had files yet
    except OSError as error:
        text = f"The file storage cannot be read ({fault(error)}). Check FILES_BASE."
        return Finding("files", False, text, decides=False)
    if used is not None and used.free < used.total * LEAST_FREE:
        text = f"The disk of FILES_BASE is nearly full: {used.free / 1024**3:.1f} GB are free."
        return Finding("files", False, text, decides=False)
    return Finding("files", True, "The file storage answers.", decides=False)


def _issuers(issuers: list[str]) -> Finding:
    silent = []
    for issuer in issuers:
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            requests.get(url, timeout=_TIMEOUT, allow_redirects=False).raise_for_status()
        except requests.RequestException:
            silent.append(issuer)
    if not silent:
        return Finding("issuers", True, "The issuers of sign-ins and tokens answer.", decides=False)
    text = f"No answer from {', '.join(silent)}: people and systems cannot sign in with it."
    return Finding("issuers", False, text, decides=False)


def _lasted(length: timedelta) -> str:
    return lasted(length.total_seconds())
