"""Share each web process's EDU connections with the others, through the database.

A thread in each process runs every few seconds, but only while the process has connections or has
just lost its last. It drops connections that a reset has made obsolete, and records the current
ones. Rows of a process that died are ignored, and deleted by the next one that writes.
"""

import logging
import os
import socket
import threading
import time
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from edu import connections
from edu.pool import PoolStats
from partners.models import EduProcess, Partner

logger = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between rounds. A reset takes effect in all processes within this time."""
HEARTBEAT = 20.0
"""Seconds after which a process reports again although nothing has changed."""
GONE_AFTER = timedelta(seconds=60)
"""After this time without a report, a process no longer counts."""


def alive() -> QuerySet[EduProcess]:
    """Return the reports of processes that are still running."""
    return EduProcess.objects.filter(seen_at__gt=timezone.now() - GONE_AFTER)


class Reporter:
    """One process's reporting thread. Without a thread, call ``round``."""

    def __init__(self, process: str = "") -> None:
        self.process = process or f"{socket.gethostname()}:{os.getpid()}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edu-processes", daemon=True)
        self._told: list[tuple[object, ...]] = []
        self._told_at = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and report that this process has no connections any more."""
        self._stop.set()
        self._thread.join(EVERY)
        if self._told and not self._thread.is_alive():
            self._safe_round()

    def round(self) -> None:
        """Follow resets, and report changes."""
        stats = connections.stats()
        if stats:
            partners = Partner.objects.filter(pk__in={each.name for each in stats})
            for partner_id, generation in partners.values_list("pk", "edu_generation"):
                connections.follow(partner_id, generation)
            stats = connections.stats()
        now: list[tuple[object, ...]] = [
            (each.name, each.generation, each.in_use, each.idle, each.connecting, each.waiting)
            for each in stats
        ]
        if now == self._told and (not now or time.monotonic() - self._told_at < HEARTBEAT):
            return
        self._tell(stats)
        self._told, self._told_at = now, time.monotonic()

    def _tell(self, stats: list[PoolStats]) -> None:
        now = timezone.now()
        with transaction.atomic():
            EduProcess.objects.filter(
                Q(process=self.process) | Q(seen_at__lte=now - GONE_AFTER)
            ).delete()
            EduProcess.objects.bulk_create(
                EduProcess(
                    process=self.process,
                    partner_id=each.name,
                    generation=each.generation,
                    in_use=each.in_use,
                    idle=each.idle,
                    connecting=each.connecting,
                    waiting=each.waiting,
                    made_at=now - timedelta(seconds=each.age),
                    seen_at=now,
                )
                for each in stats
            )
            for partner_id, seconds in connections.connected_ago().items():
                note_connection(partner_id, seconds)

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self._safe_round()

    def _safe_round(self) -> None:
        try:
            self.round()
        except Exception as error:  # noqa: BLE001  (the next round tries again)
            logger.warning("EDU connections could not be recorded: %s", type(error).__name__)
        finally:
            connection.close()


def note_connection(partner_id: str, seconds_ago: float = 0.0) -> None:
    """Record when a connection to the partner's EDU was opened, unless a later one is known."""
    at = timezone.now() - timedelta(seconds=seconds_ago)
    older = Q(edu_connected_at=None) | Q(edu_connected_at__lt=at - timedelta(seconds=1))
    Partner.objects.filter(older, pk=partner_id).update(edu_connected_at=at)


_reporter: Reporter | None = None


def start() -> None:
    """Start reporting for this process. For gunicorn's post_worker_init."""
    global _reporter
    _reporter = Reporter()
    _reporter.start()


def stop() -> None:
    """Remove this process's report. For gunicorn's worker_exit, after EDU's shutdown."""
    if _reporter is not None:
        _reporter.stop()
