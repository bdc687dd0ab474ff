"""Destroy what a job has once the partner's retention is over, and record that.

Contract section 13. Days count from the end of the job's last run. A job on legal hold keeps
everything. What is due is decided under the job's lock, which starting a run takes as well.

The audit trail is of the whole installation, and is kept for ``KEEP_AUDIT_DAYS``.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from auditlog.models import LogEntry
from django.conf import settings
from django.db import transaction
from django.db.models import ExpressionWrapper, F, Q, QuerySet
from django.db.models.fields import DateTimeField, DurationField
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from earthbeam import paths
from earthbeam.files import FileStore, fault, open_store
from earthbeam.models import Destruction, Job, OutputFile, Run, RunLog, RunUpdate
from earthbeam.stored_files import SEND_RESULTS
from partners.batches import delete_in_batches
from partners.models import Partner

logger = logging.getLogger(__name__)

_WITH_SETS = ("output/ods/", "output/non-ods/", f"output/{SEND_RESULTS}", "output/em-results")
"""What output sets consist of, and what a withdrawal needs besides them. All else is input."""


@dataclass(frozen=True)
class Due:
    """Something of a job whose days are over."""

    what: Destruction.What
    job_id: UUID
    partner: str

    @property
    def days(self) -> str:
        return f"keep_{self.what}_days"


def due() -> Iterator[Due]:
    """Yield what is to be destroyed now."""
    for what in Destruction.RETAINED:
        jobs = _due_jobs(what).order_by("pk").values_list("pk", "tenant__partner_id")
        for job_id, partner in jobs.iterator():
            yield Due(what, job_id, partner)


def destroy(each: Due) -> Destruction | None:
    """Destroy what is due, and record it. None if it is not due any more.

    Raises OSError if the file storage fails; then nothing is recorded, and the next time destroys
    what is left.
    """
    with transaction.atomic():
        # Locked first, and then looked at: a run that has begun meanwhile is seen only so.
        Job.objects.select_for_update().filter(pk=each.job_id).first()
        jobs = _due_jobs(each.what).select_related("tenant__partner")
        job = jobs.filter(pk=each.job_id).first()
        if job is None:
            return None
        count = _destroy_logs(job) if each.what == Destruction.What.LOG else _delete(job, each.what)
        setattr(job, f"{each.what}_destroyed_at", timezone.now())
        job.save(update_fields=[f"{each.what}_destroyed_at"])
        partner: Partner = job.tenant.partner
        return Destruction.objects.create(
            partner=partner,
            tenant=job.tenant.code,
            job=job.pk,
            what=each.what,
            files=count,
            rule=f"{getattr(partner, each.days)} days after the last run",
        )


def apply() -> int:
    """Destroy all that is due, and return how many records of it were made.

    What the file storage fails to delete stays due.
    """
    made = failed = 0
    for each in due():
        try:
            made += destroy(each) is not None
        except OSError as error:
            failed += 1
            logger.warning("%s of job %s is left: %s", each.what.label, each.job_id, fault(error))
    if made or failed:
        logger.info("Retention: destroyed %d, left %d for the next time", made, failed)
    return made


def forget_audit() -> int:
    """Delete the audit trail's entries that were kept long enough, but not those of held jobs."""
    before = timezone.now() - timedelta(days=settings.KEEP_AUDIT_DAYS)
    held = [str(job) for job in Job.objects.filter(legal_hold=True).values_list("pk", flat=True)]
    old = LogEntry.objects.filter(timestamp__lt=before).exclude(object_pk__in=held)
    return delete_in_batches(old)


def still_stored() -> Q:
    """The condition on published output sets that their files have not been destroyed."""
    destroyed = "run__job__output_destroyed_at"
    return Q(**{destroyed: None}) | Q(published_at__gt=F(destroyed))


def _due_jobs(what: Destruction.What) -> QuerySet[Job]:
    destroyed = f"{what}_destroyed_at"
    # A run since then has made others.
    something = Q(**{destroyed: None}) | Q(**{f"{destroyed}__lt": F("last_run__ended_at")})
    idle = Q(last_run=None) | ~Q(last_run__status__in=Run.UNFINISHED)
    kept = ExpressionWrapper(
        F(f"tenant__partner__keep_{what}_days") * timedelta(days=1), DurationField()
    )
    ended = Coalesce("last_run__ended_at", "created_at")
    until = ExpressionWrapper(ended + kept, DateTimeField())
    jobs = Job.objects.filter(something, idle, legal_hold=False)
    return jobs.alias(until=until).filter(until__lt=Now())


def _delete(job: Job, what: Destruction.What) -> int:
    store = open_store(paths.app_data_base_path(job))
    keys = [
        key
        for key in store.list()
        if key.startswith(_WITH_SETS) == (what == Destruction.What.OUTPUT)
    ]
    for key in keys:
        store.delete(key)
    _forget(job, store)
    return len(keys)


def _forget(job: Job, store: FileStore) -> None:
    """Have the job's pages offer no files that are gone."""
    left = {key.removeprefix("output/") for key in store.list()}
    OutputFile.objects.filter(run__job=job).exclude(path__in=left).delete()


def _destroy_logs(job: Job) -> int:
    count, _ = RunLog.objects.filter(run__job=job).delete()
    # Of a run that failed, its steps say why.
    RunUpdate.objects.filter(run__job=job, run__status=Run.Status.SUCCESS).delete()
    return count
