"""/healthz, /readyz, and /metrics: whether this process lives, whether Runway works, and figures.

A middleware, so that they answer whatever host and scheme are asked for: load balancers and
monitors ask a machine by its address, and without TLS.
"""

import threading
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST

from runway import gauges, health, metrics
from runway.health import Finding

KEPT = 5.0
"""Seconds that findings are kept, so that nobody can make Runway check all the time."""


class Probes:
    """Middleware that answers these addresses, and passes on all other requests."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._lock = threading.Lock()
        self._findings: list[Finding] = []
        self._found_at = -KEPT

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/healthz":
            return HttpResponse("ok", content_type="text/plain")
        if request.path == "/readyz":
            return self._readiness()
        if request.path == "/metrics":
            return self._metrics(request)
        return self._get_response(request)

    def _readiness(self) -> HttpResponse:
        """Say for each check whether it is good; what is wrong is for `manage.py status` alone."""
        findings = self._current()
        ready = health.is_ready(findings)
        body = {
            "ready": ready,
            "checks": {each.name: "ok" if each.good else "bad" for each in findings},
        }
        answer = JsonResponse(body, status=200 if ready else 503)
        answer["Cache-Control"] = "no-store"
        return answer

    def _metrics(self, request: HttpRequest) -> HttpResponse:
        if not metrics.may_read(request):
            return HttpResponse("Not found", status=404, content_type="text/plain")
        body = metrics.counted() + gauges.current(self._current())
        return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)

    def _current(self) -> list[Finding]:
        # While one request checks, others get what was found before, and occupy no threads.
        if self._lock.acquire(blocking=not self._findings):
            try:
                if time.monotonic() - self._found_at > KEPT:
                    self._findings = health.find()
                    self._found_at = time.monotonic()
            finally:
                self._lock.release()
        return self._findings
