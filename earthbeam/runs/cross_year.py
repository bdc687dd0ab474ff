"""Whether a partner's jobs can be matched across years now, and if not, why.

Cross-year matching that is on but cannot be had is never silent: a run keeps the reason (contract
section 3), and a job that has no other roster waits for EDU before it is launched.
"""

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from earthbeam import paths
from earthbeam.files import open_store
from earthbeam.models import Job, Run
from edu import connections
from edu.errors import EduError, NoCredentials, sentence
from partners.models import Partner

logger = logging.getLogger(__name__)

WAIT = timedelta(minutes=15)
"""How long a launch waits for EDU before its run fails."""
RETRY = timedelta(minutes=1)


def is_available(partner: Partner) -> bool:
    """Whether the partner wants cross-year matching and its EDU can be reached."""
    return partner.cross_year_match_enabled and not unavailable(partner)


def unavailable(partner: Partner) -> str:
    """Why the partner's EDU cannot be used although cross-year matching is on: a code of
    edu/errors.py. Empty if it can, or if cross-year matching is off.

    May ask AWS for EDU's credentials and so take seconds. A failed look-up counts as not
    available: rows that one roster leaves stay unmatched then, which is better than a run that
    fails.
    """
    if not partner.cross_year_match_enabled:
        return ""
    try:
        there = connections.available(partner.id, partner.edu_generation)
    except EduError as error:
        logger.warning("EDU of partner %s counts as not available: %s", partner.id, error)
        return error.code
    return "" if there else NoCredentials.code


def problem_of(run: Run) -> str:
    """Why the run's executor had to do without EDU, as a sentence; empty if it had not."""
    return sentence(run.edu_unavailable) if run.edu_unavailable and run.started_at else ""


def must_wait(run: Run) -> str:
    """Why ``run`` cannot be launched yet: it needs EDU's roster, and EDU is unavailable.

    Empty if it can be launched. Keeps on the run since when it has been waiting.
    """
    job = run.job
    reason = "" if job.send_to_ods else unavailable(job.tenant.partner)
    if reason and _has_roster_file(job):
        reason = ""
    since = (run.waiting_for_edu_since or timezone.now()) if reason else None
    if (since, reason) != (run.waiting_for_edu_since, run.edu_unavailable):
        run.waiting_for_edu_since, run.edu_unavailable = since, reason
        Run.objects.filter(pk=run.pk, status=Run.Status.NEW).update(
            waiting_for_edu_since=since, edu_unavailable=reason
        )
    return reason


def waits_until(run: Run) -> datetime | None:
    """When a run that waits for EDU fails; None for a run that does not wait."""
    since = run.waiting_for_edu_since
    return since + WAIT if since and run.status == Run.Status.NEW else None


def has_waited_enough(run: Run) -> bool:
    """Whether a run that waits for EDU is to fail now."""
    until = waits_until(run)
    return until is not None and timezone.now() >= until


def gave_up(reason: str) -> str:
    """The error of a run that has waited for EDU in vain."""
    return (
        "This job is matched to EDU's roster, and EDU stayed unavailable for "
        f"{WAIT // timedelta(minutes=1)} minutes: {sentence(reason)} "
        "Have a partner admin test the EDU connection, then run the job again."
    )


def _has_roster_file(job: Job) -> bool:
    """Whether the job's roster file exists, or may exist: its executor will know."""
    try:
        return open_store(job.files_base).exists(paths.roster_key(job.tenant, job.school_year))
    except OSError:
        logger.exception("whether job %s has a roster file is not known", job.pk)
        return True
