"""AWS in tests: credentials that may do what a policy says, and moto made to heed it."""

import itertools
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from moto.core.authorization import enable_iam_authentication
from moto.moto_api import state_manager

from runway import aws

__all__ = ["ACCOUNT", "Answering", "iam_enforced", "make_cluster", "make_network", "variables_of"]

ACCOUNT = "123456789012"

_numbers = itertools.count(1)

iam_enforced = enable_iam_authentication
"""While it is entered, moto evaluates the policies of whoever asks, and checks signatures."""


def variables_of(policy: Mapping[str, Any] | str) -> dict[str, str]:
    """The variables with credentials that may do what ``policy`` allows, and nothing else.

    moto heeds a role's own policies, not those of a session; so the policy becomes its role's.
    """
    name = f"role-{next(_numbers)}"
    iam, sts = aws.client("iam"), aws.client("sts")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    document = policy if isinstance(policy, str) else json.dumps(policy)
    iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=document)
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    credentials = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }


def make_network() -> tuple[list[str], str]:
    """Two subnets and a security group."""
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    # Without, moto forgets a name that it asks for.
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{part}.0/24")["Subnet"]["SubnetId"]
        for part in (0, 1)
    ]
    group = ec2.create_security_group(VpcId=vpc, GroupName="group", Description="executors")
    return subnets, group["GroupId"]


def make_cluster(label: str, role: str, network: tuple[list[str], str]) -> dict[str, str]:
    """A cluster for executors, with all that docs/ecs.md asks for; the SSM parameters."""
    subnets, group = network
    ecs = aws.client("ecs")
    cluster = ecs.create_cluster(clusterName=label)["cluster"]["clusterArn"]
    values = {
        "EcsClusterArn": cluster,
        "EcsTaskRoleArn": role,
        **{
            f"EcsTaskDefinition{size}Arn": ecs.register_task_definition(
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
    parameters = {f"/ecs/environments/{label}/{key}": value for key, value in values.items()} | {
        "/environments/runway/PrivateSubnetIds": ",".join(subnets),
        f"/environments/{label}/LambdaDefaultSG": group,
    }
    for name, value in parameters.items():
        aws.client("ssm").put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
    # Tasks run until a test stops them.
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": 1_000})
    return parameters


class Answering:
    """A service of AWS that gives every call the same answer; enter it with ``with``.

    ``calls`` are the calls it got: the operation's name and the request.
    """

    def __init__(self, answer: Mapping[str, Any], status: int = 200) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        calls, body = self.calls, json.dumps(answer).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = self.rfile.read(int(self.headers["Content-Length"]))
                calls.append((self.headers["X-Amz-Target"].split(".")[1], json.loads(request)))
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Answering":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
