"""Clients of AWS: the one place for their region, timeouts, and retries.

Credentials, region, and endpoints come from where AWS's own tools take them: the environment (such
as ``AWS_ENDPOINT_URL_S3``), else the role of the machine or container. This module uses nothing
else of ours, so that `edu` and the executor may use it.
"""

import os
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config


def region() -> str | None:
    """The region that clients use; None where nothing names one.

    ECS and AWS's newer tools set AWS_REGION, which botocore does not read by itself.
    """
    return os.environ.get("AWS_REGION") or boto3.session.Session().region_name


@lru_cache
def client(service: str, *, read_timeout: float = 30, attempts: int = 4) -> Any:
    """This process's client of ``service``, such as ``s3``; threads may share it.

    ``read_timeout`` is in seconds, for each of ``attempts``. Raises ValueError when the environment
    names an endpoint that is no URL, and botocore's NoRegionError where there is no region.
    """
    # A session of its own: boto3's default one is not safe among threads.
    session = boto3.session.Session(region_name=region())
    config = Config(
        connect_timeout=5,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=32,  # threads of a process share the client
    )
    return session.client(service, config=config)
