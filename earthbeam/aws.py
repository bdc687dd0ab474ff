"""Clients of AWS: one place for their timeouts and retries.

Credentials, region and endpoints come from where AWS's own tools take them: the environment (such
as ``AWS_ENDPOINT_URL_S3``), else the role of the machine or container.
"""

import os
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=32,  # threads of a process share the client
)


@lru_cache
def client(service: str) -> Any:
    """This process's client of ``service``, such as ``s3``; threads may share it.

    Raises ValueError when the environment names an endpoint that is no URL, and botocore's errors
    for a missing region.
    """
    # A session of its own: boto3's default one is not safe among threads. AWS's services read
    # AWS_REGION, which botocore itself does not.
    session = boto3.session.Session(region_name=os.environ.get("AWS_REGION") or None)
    return session.client(service, config=_CONFIG)
