"""Tell people by email that runs have failed or that rows need attention, as they have chosen.

What is to be told is a row, created in the transaction that ends the run. A process locks the rows
of a person while it sends them, so that no one gets a mail twice unless a process dies in between.
An email has names of districts and assessments, counts, and links, and nothing of a student.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from smtplib import SMTPException, SMTPRecipientsRefused
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from earthbeam import metrics
from earthbeam.models import Mail, MailChoice, Run, RunMatches
from partners.models import Membership
from partners.scoping import visible

logger = logging.getLogger(__name__)

TASK = "send_mails"
DAILY_AT = time(6, 0)
"""UTC."""
PAUSE = timedelta(minutes=10)
MOST_TRIES = 144
"""Tries, over a day, until a mail is given up."""
_NO_EDU = "Cross-year matching was left out, since EDU could not be used."
MOST_LISTED = 30
"""Jobs that one mail lists. It says how many there are besides."""


def announce(run: Run) -> None:
    """Note what is to be told about a run that ends, in the transaction that ends it."""
    what = _what(run)
    if what is None or not settings.EMAIL_URL:
        return
    now = timezone.now()
    choices = MailChoice.objects.filter(_may_see(run), user__is_active=True)
    choices = choices.exclude(**{what.value: MailChoice.How.OFF}).exclude(user__email="")
    Mail.objects.bulk_create(
        (
            Mail(user_id=each.user_id, run=run, what=what, due_at=_due(getattr(each, what), now))
            for each in choices.distinct()
        ),
        ignore_conflicts=True,
    )


def send_due() -> int:
    """Send each person what is due, in one mail, and return how many mails were sent."""
    due = Mail.objects.filter(due_at__lte=timezone.now())
    people = list(due.order_by("user").values_list("user", flat=True).distinct())
    return sum(_send_to(person) for person in people)


def _what(run: Run) -> Mail.What | None:
    if run.status == Run.Status.ERROR:
        return Mail.What.FAILED
    return Mail.What.ROWS if run.has_problems or run.has_errors or run.edu_unavailable else None


def _may_see(run: Run) -> Q:
    """Return the condition on choices that their person may see the run."""
    tenant = run.job.tenant
    member = Q(user__memberships__partner=tenant.partner_id)
    admin = Q(user__memberships__role=Membership.Role.PARTNER_ADMIN)
    of_tenant = Q(user__memberships__tenants=tenant)
    return Q(user__is_superuser=True) | (member & (admin | of_tenant))


def _due(how: str, now: datetime) -> datetime:
    if how == MailChoice.How.AT_ONCE:
        return now
    today = datetime.combine(now.date(), DAILY_AT, tzinfo=now.tzinfo)
    return today if today > now else today + timedelta(days=1)


def _send_to(user_id: int) -> bool:
    with transaction.atomic():
        due = Mail.objects.filter(user=user_id, due_at__lte=timezone.now())
        mails = list(due.select_for_update(skip_locked=True, of=("self",)).select_related("user"))
        if not mails:
            return False
        keys = [each.pk for each in mails]
        told = Mail.objects.filter(pk__in=keys)
        user = mails[0].user
        # Once more: the person may have lost a membership since, or the job has been run again.
        runs = visible(
            Run.objects.filter(mails__in=keys, job__last_run=F("pk")),
            user,
            partner="job__tenant__partner",
            tenant="job__tenant",
        )
        listed = runs.select_related("job__tenant", "job__school_year", "matches")
        failed = {each.run_id for each in mails if each.what == Mail.What.FAILED}
        try:
            sent = bool(listed) and bool(user.email) and _send(user, list(listed), failed)
        except SMTPRecipientsRefused:
            logger.warning("mail to user %s: the server does not take its address", user_id)
            told.delete()
            metrics.NOTICES.labels("person", "given_up").inc()
            return False
        except (SMTPException, OSError) as error:
            logger.warning("mail to user %s: %s; tried again", user_id, type(error).__name__)
            told.filter(tries__gte=MOST_TRIES).delete()
            told.update(due_at=timezone.now() + PAUSE, tries=F("tries") + 1)
            metrics.NOTICES.labels("person", "postponed").inc()
            return False
        told.delete()
    if sent:
        metrics.NOTICES.labels("person", "delivered").inc()
    return sent


def _send(user: User, runs: Sequence[Run], failed: set[UUID]) -> bool:
    runs = sorted(runs, key=lambda run: (run.pk not in failed, run.created_at))
    lines = [_line(run, run.pk in failed) for run in runs[:MOST_LISTED]]
    more = len(runs) - len(lines)
    if more:
        lines.append(f"and {more} more: {settings.APP_URL}/admin/earthbeam/job/\n")
    text = "\n".join(
        [*lines, f"What you are told is your choice: {settings.APP_URL}/notifications/\n"]
    )
    return EmailMessage(_subject(runs, failed), text, to=[user.email]).send() == 1


def _subject(runs: Sequence[Run], failed: set[UUID]) -> str:
    if len(runs) > 1:
        return f"Runway: {len(runs)} jobs need attention"
    (run,) = runs
    if run.pk in failed:
        said = "a run failed"
    elif run.edu_unavailable:
        said = "cross-year matching was left out"
    else:
        said = "rows need attention"
    return " ".join(f"Runway: {said}: {_job(run)}".split())


def _line(run: Run, has_failed: bool) -> str:
    said = "The run failed."
    if not has_failed:
        matches: RunMatches | None = getattr(run, "matches", None)
        parts = [
            f"{count:,} {words}"
            for count, words in (
                (matches.unmatched if matches else None, "unmatched rows"),
                (matches.refused_rows if matches else None, "rows with refused records"),
            )
            if count
        ]
        sentences = [_NO_EDU] if run.edu_unavailable else []
        if parts or not sentences:
            sentences.insert(0, f"{', '.join(parts) or 'Some rows'}: need attention.")
        said = " ".join(sentences)
    link = f"{settings.APP_URL}/admin/earthbeam/job/{run.job_id}/change/"
    return f"{_job(run)}\n{said}\n{link}\n"


def _job(run: Run) -> str:
    job = run.job
    name = str(job.bundle_template.get("display_name", job.bundle_id))
    return f"{name}, {job.tenant.name or job.tenant.code}, {job.school_year}"
