"""Where executors run on AWS, read from the deployment's SSM parameters."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

from earthbeam.errors import LauncherMisconfigured
from earthbeam.runs.relaunch import LARGE, MEDIUM
from runway import aws

KEEP_SECONDS = 300


@dataclass(frozen=True)
class EcsParameters:
    """The parameters' values, and the names derived from the environment's label."""

    cluster: str
    task_definitions: Mapping[str, str]
    containers: Mapping[str, str]
    task_role: str
    subnets: tuple[str, ...]
    security_group: str


def get_parameters() -> EcsParameters:
    """Return the parameters, cached for five minutes. Raises LauncherMisconfigured."""
    if not settings.ENVLABEL:
        raise LauncherMisconfigured(
            "ENVLABEL is not set, so nobody knows where in AWS executors run. Set it to the "
            "environment's label."
        )
    return _read(settings.ENVLABEL, int(time.monotonic() // KEEP_SECONDS))


def forget_parameters() -> None:
    """Clear the cache, since what the parameters name may have been replaced."""
    _read.cache_clear()


@lru_cache(maxsize=1)
def _read(label: str, period: int) -> EcsParameters:
    environment = f"/ecs/environments/{label}"
    names = {
        "cluster": f"{environment}/EcsClusterArn",
        MEDIUM: f"{environment}/EcsTaskDefinitionMediumArn",
        LARGE: f"{environment}/EcsTaskDefinitionLargeArn",
        "role": f"{environment}/EcsTaskRoleArn",
        "subnets": "/environments/runway/PrivateSubnetIds",
        "group": f"/environments/{label}/LambdaDefaultSG",
    }
    answer = aws.client("ssm").get_parameters(Names=list(names.values()), WithDecryption=True)
    if answer["InvalidParameters"]:
        missing = ", ".join(sorted(answer["InvalidParameters"]))
        raise LauncherMisconfigured(
            f"SSM has no parameters {missing}. Store them, or set ENVLABEL to the environment "
            "that has them."
        )
    values = {entry["Name"]: entry["Value"].strip() for entry in answer["Parameters"]}
    return EcsParameters(
        cluster=values[names["cluster"]],
        task_definitions={size: values[names[size]] for size in (MEDIUM, LARGE)},
        containers={size: f"{label}-JobExecutor{size.title()}" for size in (MEDIUM, LARGE)},
        task_role=values[names["role"]],
        subnets=tuple(part.strip() for part in values[names["subnets"]].split(",")),
        security_group=values[names["group"]],
    )
