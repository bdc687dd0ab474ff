"""`manage.py status`: how Runway is, on one screen."""

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from earthbeam.models import Notice, Run
from runway import __version__, health

UNWELL, NOT_READY = 1, 3
"""Exit statuses. 2 is a wrong command line."""
_HOUR = timedelta(hours=1)


class Command(BaseCommand):
    help = (
        "Shows how Runway is and what to do. Exit status: 0 all is well; 1 someone should look, "
        "but jobs run; 3 jobs do not run."
    )
    requires_system_checks: list[str] = []  # they could hide what is wrong

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Runway {__version__}, {timezone.now():%Y-%m-%d %H:%M} UTC\n\n")
        findings = health.find()
        for each in findings:
            mark, style = ("ok", self.style.SUCCESS) if each.good else ("BAD", self.style.ERROR)
            self.stdout.write(f"{style(f'{mark:4}')} {each.name:11} {each.text}")
        if all(each.good for each in findings if each.name in ("database", "migrations")):
            self.stdout.write("")
            for name, figures in _figures():
                self.stdout.write(f"     {name:16} {figures}")
        if not health.is_ready(findings):
            sys.exit(NOT_READY)
        if not all(each.good for each in findings):
            sys.exit(UNWELL)


def _figures() -> Iterator[tuple[str, str]]:
    now = timezone.now()
    runs = Run.objects.all()
    waiting = runs.filter(status=Run.Status.NEW).count()
    running = runs.filter(status=Run.Status.RUNNING).count()
    yield "runs", f"{running} running, {waiting} waiting"
    ended = runs.filter(ended_at__gt=now - _HOUR)
    endings = Counter(
        str(run.outcome.label)
        for run in ended.select_related("matches", "unmatched_ids").iterator(500)
        if run.outcome
    )
    yield "ended, last hour", _counts(endings)
    failed = ended.filter(status=Run.Status.ERROR).values_list("errors__code", flat=True)
    yield "errors, last hour", _counts(Counter(code or "none reported" for code in failed))
    late = Notice.objects.filter(next_try_at__lt=now - health.NOTICES_LATE)
    yield "notices", f"{late.count()} webhook messages and events are late"


def _counts(counter: "Counter[str]") -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common()) or "none"
