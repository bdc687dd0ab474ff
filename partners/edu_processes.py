"""What each web process tells the others of its EDU connections, by way of the database.

A thread in each process looks every few seconds, and only while the process has connections or has
just lost its last: it gives up what a reset has made obsolete, and writes what there is. Rows of a
process that died are left out, and removed by the next one that writes.
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
"""Seconds between two looks; a reset has reached all processes after these."""
HEARTBEAT = 20.0
"""Seconds after which a process tells again though nothing has changed."""
GONE_AFTER = timedelta(seconds=60)
"""What a process told counts no longer after this time."""


def alive() -> QuerySet[EduProcess]:
    """What the processes that still run have told."""
    return EduProcess.objects.filter(seen_at__gt=timezone.now() - GONE_AFTER)


class Reporter:
    """One process's thread that tells. ``round`` is one look, for whoever does without thread."""

    def __init__(self, process: str = "") -> None:
        self.process = process or f"{socket.gethostname()}:{os.getpid()}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edu-processes", daemon=True)
        self._told: list[tuple[object, ...]] = []
        self._told_at = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and tell that this process has no connections any more."""
        self._stop.set()
        self._thread.join(EVERY)
        if self._told and not self._thread.is_alive():
            self._safe_round()

    def round(self) -> None:
        """Follow resets, and tell what has changed."""
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
            logger.warning("EDU connections could not be told: %s", type(error).__name__)
        finally:
            connection.close()


def note_connection(partner_id: str, seconds_ago: float = 0.0) -> None:
    """Keep when a connection to the partner's EDU was opened, unless a later one is known."""
    at = timezone.now() - timedelta(seconds=seconds_ago)
    older = Q(edu_connected_at=None) | Q(edu_connected_at__lt=at - timedelta(seconds=1))
    Partner.objects.filter(older, pk=partner_id).update(edu_connected_at=at)


_reporter: Reporter | None = None


def start() -> None:
    """Begin to tell of this process. For gunicorn's post_worker_init."""
    global _reporter
    _reporter = Reporter()
    _reporter.start()


def stop() -> None:
    """Take back what this process told. For gunicorn's worker_exit, after EDU's shutdown."""
    if _reporter is not None:
        _reporter.stop()
