"""Telling webhooks and the event bus that runs have ended: at least once each, with patience.

A notice is a row, made in the transaction that ends its run; whoever delivers it claims it first by
a conditional update that also sets when it is due again, so that a process that dies in the middle
delays its notices and loses none. A receiver knows a message that it gets twice by its id.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from earthbeam import events, webhooks
from earthbeam.models import Notice, Run, Webhook
from partners.encryption import UndecryptableSecret

logger = logging.getLogger(__name__)

TASK = "deliver_notices"
QUEUE = "notices"

PAUSES = [
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
]
"""Between tries; after the last of them a notice is given up."""
CLAIM = timedelta(minutes=2)
"""How long a notice is somebody's who may have died; well above the time that a try takes."""
AT_ONCE = 8


def announce(run: Run) -> None:
    """Make the notices of a run that ends, in the transaction that ends it."""
    receivers: list[Webhook | None] = list(
        Webhook.objects.filter(partner=run.job.tenant.partner_id, enabled=True).defer(
            "secret", "previous_secret"
        )
    )
    if settings.EVENT_BUS:
        receivers.append(None)
    if not receivers:
        return
    body, now = events.detail(run), timezone.now()
    Notice.objects.bulk_create(
        (Notice(run=run, webhook=each, body=body, next_try_at=now) for each in receivers),
        ignore_conflicts=True,
    )
    deliver_soon()


def deliver_soon() -> None:
    """Have a worker deliver what is due, once the transaction has been committed."""
    with suppress(AlreadyEnqueued), transaction.atomic():
        app.configure_task(TASK, queue=QUEUE, queueing_lock=TASK).defer(timestamp=0)


def deliver_due() -> int:
    """Try all notices that are due, several at once; returns how many were tried."""
    due = list(Notice.objects.filter(next_try_at__lte=timezone.now()).values_list("pk", flat=True))
    if not due:
        return 0
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return sum(threads.map(_deliver_in_thread, due))


def _deliver_in_thread(notice_id: UUID) -> bool:
    try:
        return _deliver(notice_id)
    except Exception:
        logger.exception("notice %s: it is tried again", notice_id)
        return False
    finally:
        connection.close()


def _deliver(notice_id: UUID) -> bool:
    """Try one; False if somebody else has."""
    now = timezone.now()
    claimed = Notice.objects.filter(pk=notice_id, next_try_at__lte=now).update(
        next_try_at=now + CLAIM, tries=F("tries") + 1
    )
    if not claimed:
        return False
    notice = (
        Notice.objects.select_related("run", "webhook")
        .defer("webhook__secret", "webhook__previous_secret")
        .get(pk=notice_id)
    )
    try:
        outcome = _try(notice)
    except webhooks.NotAccepted as error:
        _not_delivered(notice, str(error), gone=error.gone)
    except UndecryptableSecret:
        _not_delivered(notice, "Its secret cannot be decrypted: make a new one.")
    except (events.NotTaken, BotoCoreError, ClientError) as error:
        _not_delivered(notice, f"The event bus did not take it ({type(error).__name__}).")
    else:
        Notice.objects.filter(pk=notice.pk).update(
            next_try_at=None, delivered_at=timezone.now(), outcome=outcome
        )
    return True


def _try(notice: Notice) -> str:
    if notice.webhook is None:
        events.put(notice.body)
        return "On the event bus."
    if not notice.webhook.enabled:
        raise webhooks.NotAccepted("It has been turned off.", gone=True)
    at = notice.run.ended_at or notice.created_at
    return f"It answered {webhooks.send(notice.webhook, notice.pk, notice.body, at)}."


def _not_delivered(notice: Notice, outcome: str, gone: bool = False) -> None:
    again = None if gone or notice.tries > len(PAUSES) else PAUSES[notice.tries - 1]
    logger.warning(
        "notice %s of run %s to %s: %s %s",
        notice.pk,
        notice.run_id,
        f"webhook {notice.webhook_id}" if notice.webhook_id else "the event bus",
        outcome,
        f"Tried again in {again}." if again else "Given up.",
    )
    Notice.objects.filter(pk=notice.pk).update(
        next_try_at=timezone.now() + again if again else None, outcome=outcome
    )
    if gone and notice.webhook_id:
        Webhook.objects.filter(pk=notice.webhook_id).update(enabled=False)
