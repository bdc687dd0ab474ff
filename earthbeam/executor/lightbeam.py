"""lightbeam as a child process: the only one that gets the ODS's credentials."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from earthbeam.executor import processes
from earthbeam.executor.job import Job, Ods
from earthbeam.executor.workspace import Workspace


def run(
    command: tuple[str, ...],
    job: Job,
    ods: Ods,
    workspace: Workspace,
    *,
    data: Path,
    settings: Mapping[str, str] | None = None,
    stop_when: Callable[[str], bool] = lambda line: False,
) -> processes.Completed:
    """Run lightbeam with the bundle's own configuration, on the files in ``data``.

    ``settings`` overrule the configuration, by their dotted names. So does where the credentials
    go: to the job's ODS, whatever address the bundle names.
    """
    state = workspace.folder("lightbeam", "state")
    overrides = {
        **(settings or {}),
        "edfi_api.base_url": ods.url,
        "edfi_api.oauth_url": "",
        "edfi_api.dependencies_url": "",
        "edfi_api.open_api_metadata_url": "",
        "edfi_api.resources_swagger_url": "",
        "edfi_api.descriptors_swagger_url": "",
    }
    return processes.run(
        (
            # Isolated: only installed code runs with the credentials, nothing from a folder where
            # bundles may have left some.
            *(sys.executable, "-I", "-u", "-X", "utf8", "-m", "lightbeam"),
            *("-c", str(workspace.bundle / "lightbeam.yaml")),
            *command,
            *("--set", *(word for item in overrides.items() for word in item)),
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
