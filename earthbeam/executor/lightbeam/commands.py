"""Run lightbeam as a child process, the only one that gets the ODS's credentials."""

import sys
from collections.abc import Callable
from pathlib import Path

from earthbeam.executor.job import Ods
from earthbeam.executor.lightbeam import config
from earthbeam.executor.lightbeam.config import BundleSettings
from earthbeam.executor.processes import running
from earthbeam.executor.workspace.folders import Workspace

_PROGRAM = Path(__file__).with_name("guarded_lightbeam.py")


class Lightbeam:
    """lightbeam for one ODS. A new folder holds what it keeps between commands."""

    def __init__(self, ods: Ods, settings: BundleSettings, workspace: Workspace) -> None:
        self._ods, self._settings, self._workspace = ods, settings, workspace
        self.folder = workspace.fresh_folder("lightbeam")

    def run(
        self,
        *command: str,
        data: Path,
        page_size: int | None = None,
        stop_when: Callable[[str], bool] = lambda line: False,
    ) -> running.Completed:
        """Run a command on the files in ``data``, with our own configuration."""
        configuration = self.folder / "lightbeam.yaml"
        config.write(configuration, self._settings, self._ods, page_size)
        return running.run(
            (
                # Isolated: only installed code runs with the credentials, nothing from a folder
                # where bundles may have left some.
                *(sys.executable, "-I", "-u", "-X", "utf8", str(_PROGRAM)),
                *("-c", str(configuration)),
                *command,
            ),
            label="lightbeam",
            cwd=self.folder,
            stop_when=stop_when,
            env={
                **self._workspace.child_environment(),
                **config.variables(self._ods, data, self.folder / "state"),
            },
        )
