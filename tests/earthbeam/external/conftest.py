"""A real issuer on loopback, and clients with its tokens."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client as HttpClient

from earthbeam.external import issuer as issuer_module
from earthbeam.models import Job, OutputSet, Run
from runway.sandbox.oidc import SandboxOidc
from tests import factories

AUDIENCE = "https://runway.example.org"
ALL_SCOPES = "create:jobs read:jobs read:jobs:output-files read:jobs:students decide:students"


@pytest.fixture(scope="session")
def oidc() -> Iterator[SandboxOidc]:
    with SandboxOidc() as oidc:
        yield oidc


@pytest.fixture
def issuer(oidc: SandboxOidc, settings: Any, db: None) -> Iterator[SandboxOidc]:
    """The issuer that this app trusts."""
    settings.OAUTH2_ISSUER = oidc.url
    settings.OAUTH2_AUDIENCE = AUDIENCE
    issuer_module._discover.cache_clear()
    yield oidc
    oidc.broken.clear()
    issuer_module._discover.cache_clear()


@dataclass
class ApiClient:
    """Calls with a token, or without."""

    token: str | None = None

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> Any:
        return HttpClient().get(f"/api/v1/{path}", query, headers=self._headers(headers))

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return HttpClient().post(
            f"/api/v1/{path}",
            body,
            content_type="application/json",
            headers=self._headers(headers),
        )

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return (
            headers if self.token is None else {"Authorization": f"Bearer {self.token}"} | headers
        )


@pytest.fixture
def client_with(issuer: SandboxOidc) -> Callable[..., ApiClient]:
    """Makes clients: ``client_with(scope=…, partners=…)``; more become claims of the token."""

    def make(scope: str = ALL_SCOPES, partners: str = "ea", **claims: Any) -> ApiClient:
        granted = " ".join([scope, *(f"partner:{code}" for code in partners.split())])
        return ApiClient(issuer.access_token(scope=granted, **{"audience": AUDIENCE, **claims}))

    return make


@pytest.fixture
def client(client_with: Callable[..., ApiClient]) -> ApiClient:
    """A client of partner ea that may do everything."""
    return client_with()


@pytest.fixture
def body(db: None) -> dict[str, Any]:
    """A request for a job that is fine."""
    factories.make_config()
    factories.make_ods_connection()
    factories.make_bundle()
    return {
        "partner": "ea",
        "tenant": "grand_bend",
        "bundle": "assessments/Reading_Check",
        "schoolYear": "2026",
        "files": {"INPUT_FILE": "scores.csv"},
        "params": {"FORM": "A"},
    }


def make_set(job: Job | None = None, *, sent_to_ods: bool = False, **fields: Any) -> OutputSet:
    """An output set of a successful run, with a file in the store."""
    run = factories.make_run(job, Run.Status.SUCCESS)
    return factories.make_output_set(run, sent_to_ods=sent_to_ods, **fields)
