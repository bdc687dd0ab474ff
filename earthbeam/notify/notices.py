"""Notify webhooks and the event bus of ended runs, at least once each, with retries.

A notice is a row, created in the transaction that ends its run. A process claims it before delivery
by a conditional update that also sets when it is due again, so that a process that dies delays its
notices but loses none. A receiver recognizes a repeated message by its ID.
"""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from earthbeam import metrics
from earthbeam.models import Notice, Run, Webhook
from earthbeam.notify import chat, events, webhooks
from partners.batches import delete_in_batches
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
"""Delays between tries. After the last one, a notice is given up."""
CLAIM = timedelta(minutes=2)
"""How long a claim lasts if its process dies; well above the duration of a try."""
KEEP = timedelta(days=30)
"""How long notices can be looked at, and those that were given up be tried again."""
AT_ONCE = 8
MOST = 5_000
"""The most notices per round."""
ROUND = 50.0
"""Seconds after which a round starts no more deliveries. The next round checks what is due."""


def announce(run: Run) -> None:
    """Create the notices of a run that ends, in the transaction that ends it."""
    wanted = Webhook.objects.filter(partner=run.job.tenant.partner_id, enabled=True)
    if not chat.is_worth_it(run):
        wanted = wanted.filter(format=Webhook.Format.SIGNED)
    receivers: list[Webhook | None] = list(wanted.defer("secret", "previous_secret"))
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
    """Try the notices that are due, several at once, and return how many were tried.

    If a receiver cannot be reached, its other notices of the round are postponed too.
    """
    ids = due()
    if not ids:
        return 0
    end, away = time.monotonic() + ROUND, dict[int | None, str]()

    def deliver(notice_id: UUID) -> bool:
        if time.monotonic() > end:
            return False
        try:
            return _deliver(notice_id, away)
        except Exception:
            logger.exception("notice %s: it is tried again", notice_id)
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return sum(threads.map(deliver, ids))


def forget_old() -> int:
    """Delete notices that were delivered or given up, and are old. Those that are due stay."""
    before = timezone.now() - KEEP
    return delete_in_batches(Notice.objects.filter(next_try_at=None, created_at__lt=before))


def due() -> list[UUID]:
    """Return the notices of the next round. Webhooks take turns, so that none blocks the others."""
    turn = Window(RowNumber(), partition_by="webhook", order_by="next_try_at")
    waiting = Notice.objects.filter(next_try_at__lte=timezone.now()).annotate(turn=turn)
    return list(waiting.order_by("turn").values_list("pk", flat=True)[:MOST])


def _deliver(notice_id: UUID, away: dict[int | None, str]) -> bool:
    """Try one notice. False if another process has. ``away``: why webhooks could not be reached."""
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
    if (reason := away.get(notice.webhook_id)) is not None:
        _not_delivered(notice, reason)
        return True
    try:
        outcome = _try(notice)
    except webhooks.NotReached as error:
        away[notice.webhook_id] = str(error)
        _not_delivered(notice, str(error))
    except webhooks.NotAccepted as error:
        _not_delivered(notice, str(error), gone=error.gone)
    except UndecryptableSecret:
        _not_delivered(notice, "Its secret cannot be decrypted: make a new one.")
    except (events.NotTaken, BotoCoreError, ClientError) as error:
        _not_delivered(notice, f"The event bus did not take it ({type(error).__name__}).")
    except Exception:
        logger.exception("notice %s", notice.pk)
        _not_delivered(notice, "Something went wrong on our side; the log says what.")
    else:
        metrics.NOTICES.labels(_receiver(notice), "delivered").inc()
        Notice.objects.filter(pk=notice.pk).update(
            next_try_at=None, delivered_at=timezone.now(), outcome=outcome
        )
    return True


def _receiver(notice: Notice) -> str:
    return "webhook" if notice.webhook_id else "event_bus"


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
    metrics.NOTICES.labels(_receiver(notice), "postponed" if again else "given_up").inc()
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
