import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from earthbeam.models import Run
from earthbeam.runs import tokens
from tests import factories


@dataclass
class Executor:
    """An executor's side of the API: calls about one run, with a token or without."""

    run: Run
    token: str | None = None

    def get(self, call: str = "", **headers: str) -> Any:
        return Client().get(self.url(call), headers=self._headers(headers))

    def post(self, call: str, body: Any, **headers: str) -> Any:
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return Client().post(
            self.url(call), data, content_type="application/json", headers=self._headers(headers)
        )

    def url(self, call: str) -> str:
        if call == "init":
            return f"/api/earthbeam/auth/{self.run.pk}/init"
        return f"/api/earthbeam/jobs/{self.run.pk}" + (f"/{call}" if call else "")

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        if self.token is None:
            return headers
        return {"Authorization": f"Bearer {self.token}"} | headers


@pytest.fixture
def run(db: None) -> Run:
    return factories.make_run(status=Run.Status.RUNNING)


@pytest.fixture
def executor(run: Run) -> Executor:
    return Executor(run, tokens.access_token(run))
