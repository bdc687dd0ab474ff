"""How Runway is at this moment, for Prometheus: the checks of /readyz, and figures of the database.

They are found out for each scrape, so every web process answers the same.
"""

from collections.abc import Iterable, Iterator

from django.db import DatabaseError, connection
from django.db.models import Count, Sum
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob, ProcrastinateWorker
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from earthbeam.models import Notice, Run
from partners.edu_processes import alive
from runway import health
from runway.health import Finding


def current(findings: Iterable[Finding]) -> bytes:
    """Return all gauges. If the database fails, those that need none."""
    registry = CollectorRegistry()
    registry.register(Now(findings))
    return generate_latest(registry)


class Now(Collector):
    """A collector of gauges: findings of health checks, and figures of the database."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._findings = findings

    def collect(self) -> Iterator[Metric]:
        good = GaugeMetricFamily(
            "runway_check_ok", "1 if a check of /readyz is good.", labels=["check"]
        )
        for each in self._findings:
            good.add_metric([each.name], float(each.good))
        yield good
        try:
            yield from _of_the_database()
        except DatabaseError:
            connection.close()


def _of_the_database() -> Iterator[Metric]:
    now = timezone.now()
    runs = GaugeMetricFamily("runway_runs", "Runs that have not ended.", labels=["status"])
    counts = dict(
        Run.objects.filter(status__in=Run.UNFINISHED).values_list("status").annotate(Count("pk"))
    )
    for status in Run.UNFINISHED:
        runs.add_metric([status.value], counts.get(status, 0))
    yield runs

    jobs = GaugeMetricFamily("runway_queue_jobs", "Jobs in the queue.", labels=["queue", "status"])
    oldest = GaugeMetricFamily(
        "runway_queue_oldest_seconds", "Since when the oldest job is due.", labels=["queue"]
    )
    waiting = ProcrastinateJob.objects.filter(status__in=("todo", "doing"))
    counted = list(waiting.values_list("queue_name", "status").annotate(Count("pk")))
    for queue, status, count in counted:
        jobs.add_metric([queue, status], count)
    for queue in sorted({queue for queue, *_ in counted}):
        since = health.oldest_due(queue, now)
        oldest.add_metric([queue], (now - since).total_seconds() if since else 0.0)
    yield from (jobs, oldest)

    seen = ProcrastinateWorker.objects.filter(last_heartbeat__gt=now - health.WORKER_SEEN)
    yield GaugeMetricFamily("runway_workers", "Queues that a worker serves.", seen.count())

    late = Notice.objects.filter(next_try_at__lt=now - health.NOTICES_LATE)
    yield GaugeMetricFamily(
        "runway_notices_late", "Webhooks and events that should have been sent.", late.count()
    )

    pools = GaugeMetricFamily(
        "runway_edu_connections",
        "Connections to EDU of all web processes; waiting: threads that want one.",
        labels=["partner", "state"],
    )
    states = ("in_use", "idle", "connecting", "waiting")
    sums = {state: Sum(state) for state in states}
    by_partner = alive().values("partner_id").annotate(**sums).order_by("partner_id")
    for partner, *counts_of in by_partner.values_list("partner_id", *states):
        for state, count in zip(states, counts_of, strict=True):
            pools.add_metric([partner, state], count)
    yield pools
