"""AWS in tests: credentials that may do what a policy says, and moto made to heed it."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from moto.core.authorization import enable_iam_authentication

from earthbeam import aws

__all__ = ["iam_enforced", "variables_of"]

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
