import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto.moto_api import state_manager
from moto.sts.models import sts_backends

from earthbeam.launchers.ecs import EcsLauncher
from earthbeam.launchers.ecs_parameters import forget_parameters
from runway import aws
from tests.aws import ACCOUNT


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
    """Two subnets and a security group."""
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    ec2 = session.client("ec2", endpoint_url=moto_url)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    # Without, moto forgets a name that it asks for.
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{part}.0/24")["Subnet"]["SubnetId"]
        for part in (0, 1)
    ]
    group = ec2.create_security_group(VpcId=vpc, GroupName="group", Description="executors")
    return subnets, group["GroupId"]


@pytest.fixture
def ecs(bucket, network, settings):
    """ECS as the setting EXECUTOR_LAUNCHER=ecs needs it; jobs' files on S3."""
    label = f"env{uuid.uuid4().hex[:8]}"
    made = Ecs(label, bucket, *network)
    client = aws.client("ecs")
    cluster = client.create_cluster(clusterName=label)["cluster"]["clusterArn"]
    values = {
        "EcsClusterArn": cluster,
        "EcsTaskRoleArn": made.role,
        **{
            f"EcsTaskDefinition{size}Arn": client.register_task_definition(
                family=f"{label}-{size}",
                networkMode="awsvpc",
                requiresCompatibilities=["FARGATE"],
                cpu="1024",
                memory="4096",
                containerDefinitions=[
                    {"name": f"{label}-JobExecutor{size}", "image": "executor", "memory": 4096}
                ],
            )["taskDefinition"]["taskDefinitionArn"]
            for size in ("Small", "Medium", "Large")
        },
    }
    made.parameters = {f"/ecs/environments/{label}/{key}": value for key, value in values.items()}
    made.parameters |= {
        "/environments/runway/PrivateSubnetIds": ",".join(made.subnets),
        f"/environments/{label}/LambdaDefaultSG": made.group,
    }
    for name, value in made.parameters.items():
        aws.client("ssm").put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
    # Tasks run until a test stops them.
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": 1_000})
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
