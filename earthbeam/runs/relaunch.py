"""Retry a run that ran out of memory, with a larger executor: see docs/ecs.md.

Only executors on ECS have sizes. Elsewhere there is no second try.
"""

import logging

from django.db import transaction

from earthbeam.models import Run, RunLog
from earthbeam.runs import states
from earthbeam.tasks import launch_run

logger = logging.getLogger(__name__)

MEDIUM, LARGE = "medium", "large"
NEXT_SIZE = {MEDIUM: LARGE}
"""The deployment may also have a small size, which no run uses."""


def after_failure(run: Run) -> bool:
    """Start over a running run whose executor reports that it ran out of memory. False if not."""
    return (
        run.status == Run.Status.RUNNING
        and run.errors.filter(payload__out_of_memory=True).exists()
        and with_more_memory(run)
    )


def with_more_memory(run: Run) -> bool:
    """Start ``run`` over with the next size, since its executor ran out of memory.

    False if there is no larger size, or if the run has ended or started over since it was read.
    """
    size = NEXT_SIZE.get(run.executor_size)
    if size is None:
        return False
    with transaction.atomic():
        if not states.start_over(run, executor_size=size):
            return False
        text = (
            f"The executor ({run.executor_size}) ran out of memory; it is started again ({size}).\n"
        )
        RunLog.objects.update_or_create(run=run, defaults={"text": text})
        launch_run.defer(run_id=str(run.pk))
    logger.warning("run %s ran out of memory and starts over as %s", run.pk, size)
    return True
