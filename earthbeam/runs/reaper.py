"""End the runs that nothing else will end, because their executor or its worker is gone.

Each rule waits longer than the executor and the launcher do, so that they can report first: an
executor reports its own time limit, and the local launcher reports how its child ended. All times
are the database's, so that a worker with a wrong clock ends no run.
"""

import logging
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam.models import Run
from earthbeam.runs import states
from earthbeam.runs.tokens import INIT_LIFE
from runway.database_time import database_now

logger = logging.getLogger(__name__)

LAUNCH_TASK = "launch_run"
OVERTIME = timedelta(minutes=5)
"""After a run's time limit. The local launcher ends its child in a fraction of this time."""
HANDSHAKE = INIT_LIFE + timedelta(minutes=1)
"""After an executor was started, when its init token has expired."""
LONGEST_WAIT = timedelta(days=1)
"""In the queue."""
WORKER_SILENCE = timedelta(minutes=1)
"""Workers report every ten seconds."""

NOT_QUEUED = (
    "The launch of this run was lost, most likely with its worker. Check that the worker is "
    "running, then run the job again."
)
WAITED_TOO_LONG = (
    "No worker launched this run for a day. Check that the worker is running and that it can run "
    "enough executors at once, then run the job again."
)
NEVER_REPORTED = (
    "An executor was started, but it never reported to Runway. Check that executors can reach the "
    "app at EXECUTOR_APP_URL, or APP_URL, and read the run's log, then run the job again."
)


def reap() -> int:
    """End all lost runs, and return how many."""
    now = database_now()
    return _end_overdue(now) + _end_never_begun(now)


def _end_overdue(now: datetime) -> int:
    ended = 0
    running = Run.objects.filter(status=Run.Status.RUNNING)
    for run in running.only("started_at", "timeout_seconds", "executor_size"):
        since = run.started_at or now
        if now > since + timedelta(seconds=run.timeout_seconds) + OVERTIME and states.fail(
            run.id,
            "executor_timeout",
            {"timeout_seconds": run.timeout_seconds},
            executor_size=run.executor_size,
        ):
            logger.warning("run %s outlived its time limit", run.id)
            ended += 1
    return ended


def _end_never_begun(now: datetime) -> int:
    new = Run.objects.filter(status=Run.Status.NEW)
    waiting = new.filter(launched_at=None)
    return (
        _fail(new.filter(launched_at__lt=now - HANDSHAKE), NEVER_REPORTED)
        + _fail(waiting.exclude(Exists(live_launches(now))), NOT_QUEUED)
        + _fail(waiting.filter(created_at__lt=now - LONGEST_WAIT), WAITED_TOO_LONG)
    )


def live_launches(now: datetime) -> QuerySet[ProcrastinateJob]:
    """Return queue jobs that will launch, or are launching, the run of the outer query."""
    alive = Q(status="todo") | Q(status="doing", worker__last_heartbeat__gt=now - WORKER_SILENCE)
    return ProcrastinateJob.objects.annotate(run_id=KT("args__run_id")).filter(
        alive, task_name=LAUNCH_TASK, run_id=Cast(OuterRef("pk"), TextField())
    )


def _fail(lost: QuerySet[Run], message: str) -> int:
    ended = 0
    for run_id, size in lost.values_list("pk", "executor_size"):
        if states.fail_to_start(run_id, {"message": message}, executor_size=size):
            logger.warning("run %s never began: %s", run_id, message)
            ended += 1
    return ended
