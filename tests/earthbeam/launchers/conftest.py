import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from moto.moto_api import state_manager
from moto.sts.models import sts_backends

from earthbeam.launchers.ecs import EcsLauncher
from earthbeam.launchers.ecs_parameters import forget_parameters
from tests.aws import ACCOUNT, make_cluster, make_network
from tests.conftest import AWS_VARIABLES


@dataclass
class Ecs:
    """An environment's cluster in moto, with all that the launcher's parameters name."""

    label: str
    bucket: str
    subnets: list[str]
    group: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def role(self) -> str:
        return f"arn:aws:iam::{ACCOUNT}:role/{self.label}-executor"

    def tasks(self) -> list[Any]:
        """The tasks that were started, as moto keeps them: what they may say can be set."""
        from moto.ecs.models import ecs_backends  # slow to import

        backend = ecs_backends[ACCOUNT]["us-east-1"]
        return list(backend.tasks.get(self.label, {}).values())

    def environment(self, task: Any) -> dict[str, str]:
        (container,) = task.overrides["containerOverrides"]
        return {entry["name"]: entry["value"] for entry in container["environment"]}

    def stop(
        self, task: Any, reason: str, /, *, code: str = "EssentialContainerExited", **container
    ):
        """Let a task end as ECS tells it; ``container`` is what its container says."""
        task.last_status = task.desired_status = "STOPPED"
        task.stopped_reason, task.stop_code = reason, code
        for name, value in container.items():
            setattr(task.containers[0], name, value)

    def session(self) -> Any:
        """The latest session of a role, as STS was asked for it."""
        return sts_backends[ACCOUNT]["aws"].assumed_roles[-1]


@pytest.fixture(scope="session")
def network(moto_url) -> tuple[list[str], str]:
    variables = {**AWS_VARIABLES, "AWS_ENDPOINT_URL": moto_url}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return make_network()


@pytest.fixture
def ecs(bucket, network, settings):
    """ECS as the setting EXECUTOR_LAUNCHER=ecs needs it; jobs' files on S3."""
    label = f"env{uuid.uuid4().hex[:8]}"
    made = Ecs(label, bucket, *network)
    made.parameters = make_cluster(label, made.role, network)
    settings.ENVLABEL = label
    settings.EXECUTOR_LAUNCHER = "ecs"
    settings.FILES_BASE = f"s3://{bucket}"
    forget_parameters()
    yield made
    forget_parameters()
    state_manager.unset_transition("ecs::task")


@pytest.fixture
def launcher(ecs):
    return EcsLauncher()


def policy_of(session) -> dict[str, Any]:
    return json.loads(session.policy)
