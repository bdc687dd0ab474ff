"""Start runs of what a job has stored: send refused records again, or take all back."""

from django.contrib.auth.models import User

from earthbeam import errors
from earthbeam.jobs import withdrawal
from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import Job, Run
from earthbeam.runs import continued
from earthbeam.stored_files import REFUSED_RECORDS


def why_no_resend(job: Job) -> str:
    """Why the job's refused records cannot be sent again, as a sentence; empty if they can."""
    run = job.last_run
    if run is None or run.outcome is None:
        return "The job has no run that has ended."
    if run.kind not in Run.SENDING or run.outcome == Run.Outcome.ERROR:
        return "The last run sent nothing. Run the job again instead."
    if not run.has_errors:
        return "The ODS refused no records of the last run."
    if job.input_destroyed_at or job.output_is_destroyed:
        return "The job's files were destroyed, since they had been kept long enough."
    if not run.output_files.filter(path=REFUSED_RECORDS).exists():
        return (
            "The run did not keep which records the ODS refused, since it is of an earlier version "
            "of Runway. Run the job again instead."
        )
    return ""


def start_resend(job: Job, *, started_by: User | None = None, api_client: str = "") -> Run:
    """Start a run that sends the refused records again.

    Raises NothingToResend, and what start_run raises.
    """
    if reason := why_no_resend(job):
        raise errors.NothingToResend(reason=reason)
    return start_run(
        job,
        kind=Run.Kind.RESEND,
        continues=job.last_run,
        started_by=started_by,
        api_client=api_client,
    )


def start_withdrawal(job: Job, *, started_by: User) -> Run:
    """Start a run that takes back what the job has loaded.

    Raises NothingToWithdraw, and what start_run raises.
    """
    if reason := withdrawal.why_not(job):
        raise errors.NothingToWithdraw(reason=reason)
    return start_run(
        job,
        kind=Run.Kind.WITHDRAW,
        continues=continued.last_sent(job),
        started_by=started_by,
    )
