from collections.abc import Callable, Iterator
from typing import Any

import pytest

from access.issuers import Issuer
from runway.sandbox.oidc import Person, SandboxOidc


@pytest.fixture(scope="session")
def sandbox_oidc() -> Iterator[SandboxOidc]:
    """An issuer for the whole run; ``oidc`` gives each test its people."""
    with SandboxOidc([]) as issuer:
        yield issuer


@pytest.fixture
def oidc(sandbox_oidc: SandboxOidc, settings: Any) -> Iterator[Callable[..., SandboxOidc]]:
    """Configures the issuer, with its people and the e-mail domains that it may vouch for."""

    def configure(
        *people: Person, email_domains: tuple[str, ...] = ("example.org",)
    ) -> SandboxOidc:
        sandbox_oidc.people = {each.subject: each for each in people}
        sandbox_oidc.broken = set()
        settings.OIDC_ISSUERS = (
            Issuer(
                "schools",
                "Example Schools",
                sandbox_oidc.url,
                sandbox_oidc.client_id,
                sandbox_oidc.client_secret,
                email_domains,
            ),
        )
        return sandbox_oidc

    yield configure
    sandbox_oidc.broken = set()
