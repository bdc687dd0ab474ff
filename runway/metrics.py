"""Give Prometheus what processes have counted (edu/metrics.py, earthbeam/metrics.py).

Processes of one machine count together in PROMETHEUS_MULTIPROC_DIR, which gunicorn's configuration
sets. A worker elsewhere answers at a port of its own.
"""

import ipaddress
import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


def counted() -> bytes:
    """Return what this machine's processes have counted."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


def may_read(request: HttpRequest) -> bool:
    """Whether the client has METRICS_TOKEN, or its address is in METRICS_NETWORKS.

    The address counts only if it is the connection's own: what comes through a proxy has the
    proxy's, and is from anywhere.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return constant_time_compare(token.strip(), settings.METRICS_TOKEN)
    if "X-Forwarded-For" in request.headers:
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return any(address in network for network in settings.METRICS_NETWORKS)


def serve(port: int) -> None:
    """Answer at ``port`` with what this process has counted, in a thread: for workers."""
    server = make_server("", port, _answer, handler_class=_Silent)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _answer(environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
    if not may_read(WSGIRequest(environ)):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"Not found"]
    start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
    return [counted()]


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a scrape every few seconds is not worth a line."""
