"""lightbeam as a child process: the only one that gets the ODS's credentials."""

import sys
from collections.abc import Callable
from pathlib import Path

from earthbeam.executor import processes
from earthbeam.executor.job import Job, Ods
from earthbeam.executor.workspace import Workspace


def run(
    arguments: tuple[str, ...],
    job: Job,
    ods: Ods,
    workspace: Workspace,
    *,
    data: Path,
    stop_when: Callable[[str], bool] = lambda line: False,
) -> processes.Completed:
    """Run lightbeam with the bundle's own configuration, on the files in ``data``."""
    state = workspace.folder("lightbeam", "state")
    return processes.run(
        (
            *(sys.executable, "-m", "lightbeam"),
            *("-c", str(workspace.bundle / "lightbeam.yaml")),
            *arguments,
        ),
        label="lightbeam",
        cwd=workspace.folder("lightbeam"),
        stop_when=stop_when,
        env={
            **job.input_params,
            **workspace.child_environment(),
            "API_YEAR": ods.api_year,
            "DATA_DIR": str(data),
            "STATE_DIR": str(state),
            "EDFI_API_BASE_URL": ods.url,
            "EDFI_API_CLIENT_ID": ods.client_id,
            "EDFI_API_CLIENT_SECRET": ods.client_secret,
        },
    )
