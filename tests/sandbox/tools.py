"""Runs the real lightbeam and earthmover as children, with nothing but the given variables."""

import os
import subprocess
import sys
from pathlib import Path

from runway.sandbox.ods import SandboxOds

ROSTER = "studentEducationOrganizationAssociations"
BUNDLES_URL = "https://github.com/edanalytics/earthmover_edfi_bundles.git"

_BIN = Path(sys.executable).parent


def run_lightbeam(
    ods: SandboxOds, config: Path, *arguments: str, data: Path, scratch: Path
) -> subprocess.CompletedProcess[str]:
    """Run lightbeam against the ODS; ``data`` is the folder of its JSONL files."""
    data.mkdir(parents=True, exist_ok=True)
    return _run(
        (str(_BIN / "lightbeam"), "-c", str(config), *arguments),
        scratch,
        {
            "DATA_DIR": str(data),
            "STATE_DIR": str(scratch / "lightbeam"),
            "EDFI_API_BASE_URL": ods.url,
            "EDFI_API_CLIENT_ID": ods.client_id,
            "EDFI_API_CLIENT_SECRET": ods.client_secret,
            "API_YEAR": "2026",
        },
    )


def fetch_roster(ods: SandboxOds, config: Path, scratch: Path) -> subprocess.CompletedProcess[str]:
    """Fetch the roster into ``scratch/roster`` in pages of 500."""
    paging = ("--set", "fetch.page_size", "500")
    return run_lightbeam(
        ods, config, "fetch", "-s", ROSTER, *paging, data=scratch / "roster", scratch=scratch
    )


def run_earthmover(
    command: str, config: Path, repository: Path, output: Path, scratch: Path, **variables: str
) -> None:
    """Run earthmover; git finds the bundles' public address in ``repository``."""
    result = _run(
        (str(_BIN / "earthmover"), "-c", str(config), command),
        scratch,
        {
            "OUTPUT_DIR": str(output),
            "STATE_FILE": str(scratch / "runs.csv"),
            "TEMPORARY_DIRECTORY": str(scratch),
            "API_YEAR": "2026",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf",
            "GIT_CONFIG_VALUE_0": BUNDLES_URL,
            **variables,
        },
    )
    assert result.returncode == 0, result.stdout + result.stderr


def _run(
    command: tuple[str, ...], scratch: Path, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(scratch), **variables}
    return subprocess.run(
        command, cwd=scratch, env=environment, capture_output=True, text=True, timeout=300
    )
