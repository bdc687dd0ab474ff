"""Idempotency-Key: repeating a request to create a job creates no second job.

Keys are deleted after a day: see tasks.forget_requests.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from earthbeam.external.authentication import caller
from earthbeam.external.errors import KeyReused
from earthbeam.models import IdempotencyKey, Job

HEADER = "Idempotency-Key"
_LENGTH = 255


def made_once(request: Request, body: dict[str, Any], make: Callable[[], Job]) -> Job:
    """Return the job that ``make`` creates, or the existing one if the client repeats a request.

    If several requests come at once, the database lets one create the job, and the others get it.
    Raises KeyReused if the key was used with another request, and ValidationError for an invalid
    key.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return make()
    if not key.strip() or len(key) > _LENGTH or not key.isprintable():
        raise ValidationError({HEADER: [f"Give 1 to {_LENGTH} printable characters."]})
    client = caller(request).id
    fingerprint = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    if (known := _known(client, key, fingerprint)) is not None:
        return known
    try:
        with transaction.atomic():
            job = make()
            IdempotencyKey.objects.create(client=client, key=key, fingerprint=fingerprint, job=job)
    except IntegrityError:
        # Another request with the key was faster, so the job created here is rolled back.
        known = _known(client, key, fingerprint)
        if known is None:
            raise
        return known
    return job


def _known(client: str, key: str, fingerprint: str) -> Job | None:
    row = (
        IdempotencyKey.objects.select_related("job__tenant").filter(client=client, key=key).first()
    )
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise KeyReused
    return row.job
