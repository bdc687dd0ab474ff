"""Fixtures that several packages' tests share: AWS, by moto's server in this process, and EDU."""

import gc
import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import botocore.session
import hypothesis
import pytest
from moto.server import ThreadedMotoServer

from runway import aws
from runway.sandbox.edu import SandboxEdu
from tests import database

# How long an example takes says nothing on a machine that runs other tests too.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

AWS_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

_numbers = itertools.count(1)

# What botocore knows of AWS, which it would read from its files for each of a process's sessions.
botocore.session.create_loader = lru_cache(botocore.session.create_loader)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, so that no process is left with one when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """What has been imported and collected stays: no collection of garbage looks at it again."""
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, django_db_blocker: Any
) -> None:
    """How pytest-django makes this process's database, and leaves it after each test."""
    with django_db_blocker.unblock():
        database.copy_of_migrated()
    database.leave_quickly()


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The database goes with its server."""
    return True


@pytest.fixture(scope="session")
def sandbox_edu() -> Iterator[SandboxEdu]:
    """EDU with the sandbox's population, in a process of its own."""
    with SandboxEdu() as edu:
        yield edu


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """All of AWS at one URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws_environment(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables with which any program finds that AWS; set for this process as well."""
    variables = {**AWS_VARIABLES, "AWS_ENDPOINT_URL": moto_url, "AWS_ENDPOINT_URL_S3": moto_url}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def fresh_aws_clients() -> Iterator[None]:
    """Clients of AWS are made anew, for tests that set its variables by themselves."""
    aws.client.cache_clear()
    yield
    aws.client.cache_clear()


@pytest.fixture
def change_aws(
    aws_environment: dict[str, str], fresh_aws_clients: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Changes this process's variables for AWS, also for the clients that it has made."""

    def change(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        aws.client.cache_clear()

    return change


@pytest.fixture
def bucket(aws_environment: dict[str, str]) -> str:
    """An empty bucket of the test's own."""
    name = f"runway-{next(_numbers)}"
    aws.client("s3").create_bucket(Bucket=name)
    return name
