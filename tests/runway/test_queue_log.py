import logging

import pytest
from procrastinate.jobs import Job

from earthbeam import tasks
from earthbeam.notify import notices
from runway.queue_log import QUIET, HideHousekeeping


def record(queue, level):
    job = Job(id=1, queue=queue, lock=None, queueing_lock=None, task_name="any")
    extra = {"job": job.log_context()}
    return logging.getLogger("x").makeRecord(
        "x", level, "", 1, "Starting job", (), None, extra=extra
    )


@pytest.mark.parametrize("queue", QUIET)
def test_housekeeping_that_goes_well_is_not_logged_and_what_goes_wrong_is(queue):
    assert not HideHousekeeping().filter(record(queue, logging.INFO))
    assert HideHousekeeping().filter(record(queue, logging.ERROR))


def test_launches_and_other_lines_are_logged():
    assert HideHousekeeping().filter(record("launch", logging.INFO))
    assert HideHousekeeping().filter(logging.makeLogRecord({"msg": "x", "levelno": logging.INFO}))


def test_the_quiet_queues_are_those_of_tasks():
    assert set(QUIET) == {
        *(tasks.HOUSEKEEPING_QUEUE, tasks.BUNDLES_QUEUE, tasks.RETENTION_QUEUE),
        notices.QUEUE,
    }
