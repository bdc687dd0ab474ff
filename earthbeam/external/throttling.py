"""Limit a client's requests per minute, counted in the database for all processes."""

import time

from django.conf import settings
from django.db import connection
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from earthbeam.external.authentication import caller

_COUNT = """
    insert into earthbeam_requestcount (client, minute, count) values (%s, %s, 1)
    on conflict (minute, client) do update set count = earthbeam_requestcount.count + 1
    returning count
"""


class ClientThrottle(BaseThrottle):
    """Respond 429 with Retry-After to a client's requests above API_REQUESTS_PER_MINUTE."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, [caller(request).id, int(time.time()) // 60])
            (count,) = cursor.fetchone()
        return bool(count <= settings.API_REQUESTS_PER_MINUTE)

    def wait(self) -> float:
        """Return the seconds until the next minute begins."""
        return 60 - time.time() % 60
