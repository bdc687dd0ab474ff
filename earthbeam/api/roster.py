"""Stream the cross-year roster to the run's executor.

``edu.roster`` explains a stream's life and who owns what.
"""

import socket
import struct
import threading

from django.conf import settings
from django.db import connection
from django.http import HttpResponseBase, StreamingHttpResponse
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from earthbeam import metrics
from earthbeam.api.compression import Gzipped, prefers_gzip
from earthbeam.api.views import RunView
from earthbeam.models import Run
from earthbeam.runs import reports
from edu import connections
from edu.errors import EduError
from partners.models import Partner

CONTENT_TYPE = "application/x-ndjson"
RETRY_AFTER = 15
"""How many seconds an executor that was refused should wait before retrying."""
SEND_TIMEOUT = 60
"""How many seconds a client may read nothing before its connection is closed."""


class RosterView(RunView):
    """``application/x-ndjson``, one student per line; JSON with ``code`` and ``detail`` if refused.

    ``?with=names`` adds names and birth dates, for partners with identity checks. Gzipped for a
    client that prefers gzip.

    After the first byte, an error can only cut the connection, so that a client of chunked HTTP
    sees an incomplete body.
    """

    http_method_names = ["get"]

    def get(self, request: Request, run_id: str) -> HttpResponseBase:
        run = self.run()
        tenant = run.job.tenant
        if run.status not in Run.UNFINISHED:
            return _refusal(status.HTTP_409_CONFLICT, "run_ended", "The run has ended.")
        if not tenant.partner.cross_year_match_enabled:
            return _refusal(
                status.HTTP_409_CONFLICT,
                "cross_year_match_disabled",
                "Cross-year matching is not enabled for this partner.",
            )
        extra = request.query_params.get("with")
        if extra not in (None, "names"):
            return _refusal(
                status.HTTP_400_BAD_REQUEST, "unknown_parameter", "with can only be: names."
            )
        if extra and tenant.partner.identity_checks == Partner.IdentityChecks.OFF:
            return _refusal(
                status.HTTP_409_CONFLICT,
                "identity_checks_disabled",
                "Identity checks are not turned on for this partner, so names are not given.",
            )
        if request.META.get("SERVER_PROTOCOL") == "HTTP/1.0":
            # With HTTP/1.0, a body that is cut off looks complete.
            return _refusal(
                status.HTTP_505_HTTP_VERSION_NOT_SUPPORTED,
                "http_version",
                "The roster needs HTTP/1.1: a proxy in between must not speak HTTP/1.0.",
            )
        if not _slots.take():
            return _refusal(
                status.HTTP_503_SERVICE_UNAVAILABLE,
                "roster_streams_exhausted",
                "This server streams as many rosters as it may. Try again later.",
            )
        try:
            if run.job.send_to_ods:
                reports.record_cross_year(run)
            # Opening and streaming take minutes, and need no database connection.
            connection.close()
            stream = connections.open_roster(
                partner_id=tenant.partner_id,
                generation=tenant.partner.edu_generation,
                tenant_code=tenant.code,
                label=str(run.pk),
                with_names=extra == "names",
                on_end=_slots.give_back,
            )
        except EduError as error:
            _slots.give_back()
            return _refusal(error.status, error.code, error.message)
        except BaseException:
            _slots.give_back()
            raise
        _limit_sending(request)
        headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
        if not prefers_gzip(request.headers.get("Accept-Encoding", "")):
            return StreamingHttpResponse(stream, content_type=CONTENT_TYPE, headers=headers)
        return StreamingHttpResponse(
            Gzipped(stream),
            content_type=CONTENT_TYPE,
            headers=headers | {"Content-Encoding": "gzip"},
        )


class _Slots:
    """The streams that this process may serve at once: fewer than it has threads.

    A stream holds its thread until the client has read all of it, and executors' reports need
    threads too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0

    def take(self) -> bool:
        with self._lock:
            if self._taken >= settings.ROSTER_STREAMS_MAX:
                return False
            self._taken += 1
            return True

    def give_back(self) -> None:
        with self._lock:
            self._taken -= 1


_slots = _Slots()


def _refusal(http_status: int, code: str, detail: str) -> Response:
    metrics.STREAMS_REFUSED.labels(code).inc()
    headers = {"Cache-Control": "no-store"}
    if http_status == status.HTTP_503_SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER)
    return Response({"code": code, "detail": detail}, status=http_status, headers=headers)


def _limit_sending(request: Request) -> None:
    """Time out a client that stops reading, to free its thread; gunicorn alone would not."""
    client: socket.socket | None = request.META.get("gunicorn.socket")
    if client is not None:
        limit = struct.pack("ll", SEND_TIMEOUT, 0)  # a timeval
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
