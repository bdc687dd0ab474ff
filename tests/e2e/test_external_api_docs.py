"""The worked example of docs/external-api.md, run as it stands there."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from runway.sandbox.oidc import SandboxOidc
from runway.sandbox.oidc_issuer import Machine
from runway.sandbox.population import TENANT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DOCS = Path(__file__).resolve().parents[2] / "docs" / "external-api.md"
SCOPES = (
    *("create:jobs", "read:jobs", "read:jobs:output-files", "read:jobs:students"),
    "partner:ea",
)


def test_the_example_in_the_docs_works(district, interim, tmp_path, monkeypatch):
    blocks = re.findall(r"```bash\n(.*?)```", DOCS.read_text(), re.DOTALL)
    with SandboxOidc(machines={"my-client": Machine("sandbox-secret", SCOPES)}) as oidc:
        monkeypatch.setenv("OAUTH2_ISSUER", oidc.url)
        district.stop("web")
        district.start_web()
        district.start_worker()
        try:
            done = subprocess.run(
                ("bash", "-euo", "pipefail", "-c", "\n".join(blocks)),
                cwd=tmp_path,
                env=os.environ
                | {
                    "RUNWAY": district.url,
                    "ISSUER": oidc.url,
                    "CLIENT_ID": "my-client",
                    "CLIENT_SECRET": "sandbox-secret",
                    "TENANT": TENANT,
                    "FILE": str(interim.path),
                },
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            district.stop("web")
    assert done.returncode == 0, done.stdout + done.stderr
    expected = interim.expected.cross_year
    assert done.stdout.splitlines()[-1] == f"{expected} records, {expected} rows"
    assert "complete_with_errors" in done.stdout.splitlines()
    assert "load: complete_unmatched" in done.stdout.splitlines()
    open_rows = (tmp_path / "open-rows.csv").read_text().splitlines()
    assert len(open_rows) == 1 + interim.expected.unmatched
