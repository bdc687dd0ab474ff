"""Remove EDU's rosters from a job's files, unless support has them kept for a day.

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
"""For a job that does not go to an ODS: EDU's roster, or a copy of the tenant's roster file."""


def are_kept(partner: Partner) -> bool:
    """Whether executors that start now leave EDU's rosters among the job's files."""
    until = partner.keep_edu_rosters_until
    return until is not None and timezone.now() < until


def remove(run: Run, store: FileStore) -> None:
    """Remove EDU's rosters that an executor has stored, whichever executor it is.

    Logs a failure of the storage, so that the run's end does not wait for it.
    """
    until = run.job.tenant.partner.keep_edu_rosters_until
    if until is not None and run.created_at < until:
        return
    for key in (_CROSS_YEAR,) if run.job.send_to_ods else (_CROSS_YEAR, _ONLY):
        try:
            store.delete(key)
        except OSError as error:
            logger.warning("run %s: a roster of EDU's may be left: %s", run.pk, fault(error))
