"""Keep the log to the queue's launches and problems, without the tasks of every minute."""

import logging

QUIET = ("housekeeping", "notices", "bundles", "retention")
"""Queues whose tasks log by themselves if they had something to do."""


class HideHousekeeping(logging.Filter):
    """Leaves out that such a task was queued, began, and ended well."""

    def filter(self, record: logging.LogRecord) -> bool:
        job = getattr(record, "job", None)
        queue = job.get("queue") if isinstance(job, dict) else None
        return not (record.levelno <= logging.INFO and queue in QUIET)
