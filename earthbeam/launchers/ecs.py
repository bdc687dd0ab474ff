"""Executors as ECS tasks on Fargate: see docs/ecs.md.

``launch`` returns as soon as ECS has accepted the task. ``watch`` finds out later how it ended: see
ecs_watcher.py.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db.models.functions import Now

from earthbeam.errors import LauncherMisconfigured, LaunchFailed
from earthbeam.launchers import ecs_watcher, job_credentials, passed_on
from earthbeam.launchers.ecs_parameters import EcsParameters, forget_parameters, get_parameters
from earthbeam.launchers.executor_size import size_for
from earthbeam.models import Run
from earthbeam.runs import payload, tokens
from runway import aws

logger = logging.getLogger(__name__)

_MESSAGE_LENGTH = 500
# Errors that a retry a minute later cannot fix. Other errors may pass: no capacity, too many tasks
# or calls, a task definition that has just been replaced.
_NO_RETRY = {
    "AccessDenied",
    "AccessDeniedException",
    "BlockedException",
    "ClusterNotFoundException",
    "InvalidClientTokenId",
    "InvalidParameterException",
    "MalformedPolicyDocument",
    "PackedPolicyTooLarge",
    "PlatformTaskDefinitionIncompatibilityException",
    "PlatformUnknownException",
    "UnrecognizedClientException",
    "UnsupportedFeatureException",
    "ValidationError",
}


class EcsLauncher:
    """Starts a task for each run.

    The worker's role needs ssm:GetParameters, sts:AssumeRole, ecs:RunTask, ecs:ListTasks,
    ecs:DescribeTasks, ecs:StopTask, and iam:PassRole.
    """

    def launch(self, run: Run, should_stop: Callable[[], bool]) -> None:
        """See Launcher. Stores the task's ARN as the run's launch_reference."""
        with _faults_told():
            parameters = get_parameters()
            credentials = job_credentials.assume(run, parameters.task_role)
            size = run.executor_size or size_for(run.job)
            # Saved before the task starts, because its tokens contain it.
            run.executor_size = size
            run.save(update_fields=["executor_size"])
            task = _run_task(run, parameters, size, credentials)
        launched = Run.objects.filter(pk=run.pk, executor_size=size)
        launched.update(launched_at=Now(), launch_reference=task)
        logger.info("run %s was launched as %s: %s", run.pk, size, task)

    def watch(self) -> None:
        """See Launcher."""
        ecs_watcher.watch()


def _run_task(run: Run, parameters: EcsParameters, size: str, credentials: dict[str, str]) -> str:
    """Start the task on ECS, and return its ARN. Raises LaunchFailed if there is no capacity.

    A call that is repeated because its response was lost starts no second task: botocore sends the
    same clientToken each time.
    """
    ecs = aws.client("ecs")
    environment = _environment(run, credentials, ecs.meta.region_name)
    answer = ecs.run_task(
        cluster=parameters.cluster,
        taskDefinition=parameters.task_definitions[size],
        launchType="FARGATE",
        count=1,
        startedBy=str(run.pk),
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": list(parameters.subnets),
                "securityGroups": [parameters.security_group],
                "assignPublicIp": "DISABLED",
            }
        },
        overrides={
            "containerOverrides": [
                {
                    "name": parameters.containers[size],
                    "environment": [
                        {"name": name, "value": value} for name, value in environment.items()
                    ],
                }
            ]
        },
    )
    if not answer["tasks"]:
        reasons = {failure.get("reason", "unknown") for failure in answer["failures"]}
        raise LaunchFailed(f"ECS could not place the executor: {', '.join(sorted(reasons))}.")
    arn: str = answer["tasks"][0]["taskArn"]
    return arn


def _environment(run: Run, credentials: dict[str, str], region: str) -> dict[str, str]:
    """Return all variables that an executor gets: contract section 7."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3")
    return {
        "INIT_TOKEN": tokens.init_token(run),
        "INIT_JOB_URL": payload.init_url(run.pk),
        "TIMEOUT_SECONDS": str(run.timeout_seconds),
        "BUNDLE_REPO": settings.BUNDLE_REPO,
        **passed_on(),
        **credentials,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **({"AWS_ENDPOINT_URL_S3": endpoint} if endpoint else {}),
    }


@contextmanager
def _faults_told() -> Iterator[None]:
    """Turn AWS's errors into LaunchFailed, or LauncherMisconfigured if a retry cannot help."""
    try:
        yield
    except ClientError as error:
        forget_parameters()
        details = error.response.get("Error", {})
        code = details.get("Code", "unknown")
        message = " ".join(details.get("Message", "").split())[:_MESSAGE_LENGTH]
        text = f"AWS refused {error.operation_name} ({code}): {message}"
        if code in _NO_RETRY:
            raise LauncherMisconfigured(text) from error
        raise LaunchFailed(text) from error
    except (BotoCoreError, ValueError) as error:
        raise LaunchFailed(
            f"AWS could not be asked to start the executor ({type(error).__name__})."
        ) from error
