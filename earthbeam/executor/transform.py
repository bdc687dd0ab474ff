"""earthmover as child processes: a bundle made ready, and run once for each output set."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthbeam.executor import fast_earthmover_path, prepare_bundle_path, processes
from earthbeam.executor.bundles import Mirror
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import Job
from earthbeam.executor.workspace import Workspace
from earthbeam.matching import DEFAULT_REQUIRED_RATE

STUDENT_ID_COLUMN = "edFi_studentUniqueID"
"""The column that matching adds, and that every bundle reads the student from."""

_RAW_INPUT = "$sources.input"
_DELIMITERS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True)
class BundleDescription:
    """What matching must know of how a bundle reads its input."""

    source: dict[str, Any]
    parameters: dict[str, str]

    def parameter(self, name: str, job: Job) -> str | None:
        """A parameter's value: the job's, else the bundle's default."""
        return job.input_params.get(name) or self.parameters.get(name)

    def delimiter(self, job: Job, input_file: Path) -> str:
        """How the raw input is delimited.

        Raises StepFailed(earthmover_run) where ids cannot be read from the raw input: another node
        is matched, or the input is not delimited text with a header of one row.
        """
        node = self.parameter("EARTHMOVER_NODE_TO_XWALK", job) or _RAW_INPUT
        kind = str(self.source.get("type") or input_file.suffix.lstrip(".").lower())
        header = self.source.get("header_rows", 1)
        if node != _RAW_INPUT or kind not in _DELIMITERS or not _is_row_number(header):
            raise StepFailed(
                "earthmover_run",
                f"The bundle {job.bundle_name} matches students on something else than a delimited"
                " input file with one header row, which is not supported yet.",
            )
        return _DELIMITERS[kind]

    @property
    def header_row(self) -> int:
        """The header's row, from 1."""
        return max(1, int(self.source.get("header_rows", 1)))

    @property
    def renamed_columns(self) -> tuple[str, ...] | None:
        """The names that the bundle gives the columns by position, if it does."""
        return tuple(self.source["columns"]) if self.source.get("rename_cols") else None


def _is_row_number(header: Any) -> bool:
    return str(header).isdecimal()


def prepare_bundle(job: Job, mirror: Mirror, workspace: Workspace) -> BundleDescription:
    """Install the packages that the bundle names, compile it, and tell how it reads its input.

    Raises StepFailed(earthmover_deps).
    """
    description = workspace.root / "bundle.json"
    inputs = {key: workspace.input / local_name(key, name) for key, name in job.input_files.items()}
    done = processes.run(
        (
            *(sys.executable, "-I", str(prepare_bundle_path)),
            *(str(workspace.bundle / "earthmover.yaml"), str(description)),
        ),
        label="earthmover deps",
        cwd=workspace.bundle,
        env={
            **_environment(job, workspace, inputs, workspace.folder("prepare")),
            **mirror.redirection(),
        },
    )
    if done.exit_code != 0 or not description.exists():
        raise StepFailed(
            "earthmover_deps",
            "earthmover could not install or read the bundle; see the log for its reason.",
            stacktrace=done.tail,
        )
    read = json.loads(description.read_text())
    return BundleDescription(source=read["input"], parameters=read["parameters"])


def transform_set(
    name: str, input_file: Path, job: Job, workspace: Workspace, results_file: Path
) -> Path:
    """Run the bundle on one set's rows; returns the folder with its JSONL files.

    Writes earthmover's results (records a destination) to ``results_file``. Raises
    StepFailed(earthmover_run).
    """
    output = workspace.set_output(name)
    inputs = {
        key: workspace.input / local_name(key, stored) for key, stored in job.input_files.items()
    } | {"INPUT_FILE": input_file}
    done = processes.run(
        (
            *(sys.executable, "-I", str(fast_earthmover_path), str(results_file)),
            *("run", "-c", str(workspace.bundle / "earthmover.yaml"), "--skip-hashing"),
            # Whatever the file came in, the matcher has written UTF-8.
            *("--set", "sources.input.encoding", "utf-8"),
        ),
        label="earthmover" if name == "ods" else f"earthmover ({name})",
        cwd=workspace.bundle,
        env=_environment(job, workspace, inputs, output),
    )
    if done.exit_code != 0:
        raise StepFailed(
            "earthmover_run",
            "earthmover could not transform the file: most often it is not this assessment's"
            " export. The log has earthmover's reason.",
            stacktrace=done.tail,
        )
    return output


def _environment(
    job: Job, workspace: Workspace, inputs: dict[str, Path], output: Path
) -> dict[str, str]:
    """The variables that bundles expect: contract section 7, "Bundle conventions"."""
    private = workspace.folder("earthmover")
    return {
        **job.input_params,
        **{key: str(path) for key, path in inputs.items()},
        **workspace.child_environment(),
        "OUTPUT_DIR": str(output),
        "STUDENT_ID_NAME": STUDENT_ID_COLUMN,
        "ASSESSMENT_BUNDLE": job.bundle_name,
        "ASSESSMENT_BUNDLE_BRANCH": job.bundle_branch,
        "REQUIRED_ID_MATCH_RATE": str(DEFAULT_REQUIRED_RATE),
        "TEMPORARY_DIRECTORY": str(workspace.folder("tmp")),
        # Bundles may expand these; unset, a file or folder of that literal name would appear.
        "STATE_FILE": str(private / f"{output.parent.name}-runs.csv"),
        "STATE_DIR": str(private),
    }


def local_name(key: str, stored_name: str) -> str:
    """An input file's name here: as its user named it, since bundles read facts from it."""
    return stored_name.removeprefix(f"{key}__").replace("/", "__")
