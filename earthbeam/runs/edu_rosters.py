"""Rosters that came from EDU: not kept among a job's files, unless support asks for them for a day.

They hold the students of all years of a district, far more than a job's own file.
"""

import logging

from django.utils import timezone

from earthbeam.files import FileStore, fault
from earthbeam.models import Run
from partners.models import Partner

logger = logging.getLogger(__name__)

_CROSS_YEAR = "output/cross_year_roster.jsonl"
_ONLY = "output/studentEducationOrganizationAssociations.jsonl"
"""Of a job that goes to no ODS: EDU's, or a copy of the tenant's roster file."""


def are_kept(partner: Partner) -> bool:
    """Whether executors that begin now leave EDU's rosters among the job's files."""
    until = partner.keep_edu_rosters_until
    return until is not None and timezone.now() < until


def remove(run: Run, store: FileStore) -> None:
    """Remove what an executor has stored of EDU's rosters, whoever's executor it is.

    A storage that does not do so is logged: the run's end does not wait for it.
    """
    until = run.job.tenant.partner.keep_edu_rosters_until
    if until is not None and run.created_at < until:
        return
    for key in (_CROSS_YEAR,) if run.job.send_to_ods else (_CROSS_YEAR, _ONLY):
        try:
            store.delete(key)
        except OSError as error:
            logger.warning("run %s: a roster of EDU's may be left: %s", run.pk, fault(error))
