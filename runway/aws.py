"""AWS clients: the one place for their region, timeouts, and retries.

Credentials, region, and endpoints come from where AWS's own tools take them: the environment (such
as ``AWS_ENDPOINT_URL_S3``), else the role of the machine or container. This module imports none of
our other code, so that `edu` and the executor may use it.
"""

import os
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config


def region() -> str | None:
    """Return the region that clients use, or None if none is set.

    ECS and AWS's newer tools set AWS_REGION, which botocore does not read by itself.
    """
    return os.environ.get("AWS_REGION") or boto3.session.Session().region_name


@lru_cache
def client(service: str, *, read_timeout: float = 30, attempts: int = 4) -> Any:
    """Return this process's client of ``service``, such as ``s3``. Threads may share it.

    ``read_timeout`` is in seconds, for each of ``attempts``. Raises ValueError if the environment
    has an invalid endpoint URL, and botocore's NoRegionError without a region.
    """
    # A separate session, since boto3's default one is not thread-safe.
    session = boto3.session.Session(region_name=region())
    config = Config(
        connect_timeout=5,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=32,  # threads of a process share the client
    )
    return session.client(service, config=config)
