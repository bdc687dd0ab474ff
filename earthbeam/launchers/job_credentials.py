"""AWS credentials for one run's executor, limited to its own job's files."""

import json
from typing import Any

from earthbeam import paths
from earthbeam.errors import LauncherMisconfigured
from earthbeam.files import is_s3
from earthbeam.models import Job, Run
from runway import aws

# STS's limits: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
SHORTEST_SECONDS, LONGEST_SECONDS = 15 * 60, 12 * 60 * 60
_PATTERNS = "*?$"


def assume(run: Run, role_arn: str) -> dict[str, str]:
    """Return variables with credentials for ``run``, valid for its time limit.

    Raises LauncherMisconfigured, and botocore's errors.
    """
    partition = role_arn.split(":")[1]
    answer = aws.client("sts").assume_role(
        RoleArn=role_arn,
        RoleSessionName=f"run-{run.pk}",
        Policy=json.dumps(job_policy(run.job, partition), separators=(",", ":")),
        DurationSeconds=min(max(run.timeout_seconds, SHORTEST_SECONDS), LONGEST_SECONDS),
    )
    credentials = answer["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }


def job_policy(job: Job, partition: str = "aws") -> dict[str, Any]:
    """Return the session policy for ``job``; see ``session_policy``.

    A job that does not go to an ODS may need its tenant's roster file. Whether it does is known
    only when the executor requests its job, since EDU may become available or unavailable until
    then.
    """
    roster = None
    if not job.send_to_ods:
        roster = f"{job.files_base}/{paths.roster_key(job.tenant, job.school_year)}"
    return session_policy(paths.app_data_base_path(job), roster, partition)


def session_policy(base: str, roster: str | None, partition: str = "aws") -> dict[str, Any]:
    """Allow reading and storing below ``base``, and reading the file ``roster``, but no listing.

    Raises LauncherMisconfigured if the files are not on S3, or if their location would be a
    pattern.
    """
    statements = [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": f"{_arn(base, partition)}/*",
        }
    ]
    if roster is not None:
        statements.append(
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": _arn(roster, partition)}
        )
    return {"Version": "2012-10-17", "Statement": statements}


def _arn(location: str, partition: str) -> str:
    if not is_s3(location):
        raise LauncherMisconfigured(
            "The job's files are not on S3, where alone ECS executors reach them. Set FILES_BASE "
            "to s3://BUCKET, then submit the job anew."
        )
    if any(character in location for character in _PATTERNS):
        raise LauncherMisconfigured(
            f"FILES_BASE must hold none of {_PATTERNS}, which mean more than themselves in AWS's "
            "policies."
        )
    return f"arn:{partition}:s3:::{location.removeprefix('s3://')}"
