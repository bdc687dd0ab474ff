"""Run earthmover as child processes: prepare a bundle, then run it once for each output set."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthbeam.delimited import DelimitedFile, detect_encoding
from earthbeam.executor.bundle.checkout import REFUSED_HELPER, Mirror
from earthbeam.executor.earthmover.client import Earthmover, Program
from earthbeam.executor.environment import DEFAULT_BUNDLE_HOSTS
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import Job
from earthbeam.executor.processes import running
from earthbeam.executor.workspace.folders import (
    Workspace,
    is_plain_file,
    remove,
    remove_all_but_plain_files,
)
from earthbeam.executor.workspace.input_files import local_path
from earthbeam.matching import DEFAULT_REQUIRED_RATE

STUDENT_ID_COLUMN = "edFi_studentUniqueID"
"""The column that matching adds, from which every bundle reads the student."""

RAW_INPUT = "$sources.input"
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_LAST_ENCODING = "iso-8859-1"
"""Every file is valid in it."""
_PACKAGE = re.compile(r"^\s*git:\s*['\"]?(?:\w+://)?(?:[^\s/@'\"]*@)?([^\s/:'\"]+)", re.MULTILINE)
_LONGEST_DESCRIPTION = 1024 * 1024


@dataclass(frozen=True)
class BundleDescription:
    """What matching needs to know about how a bundle reads its input."""

    source: dict[str, Any]
    parameters: dict[str, str]

    def parameter(self, name: str, job: Job) -> str | None:
        """Return a parameter's value: the job's, else the bundle's default."""
        return job.input_params.get(name) or self.parameters.get(name)

    def node_to_match(self, job: Job) -> str:
        """Return the node whose rows are matched to students: usually the raw input."""
        return self.parameter("EARTHMOVER_NODE_TO_XWALK", job) or RAW_INPUT

    def raw_delimiter(self, job: Job, input_file: Path) -> str | None:
        """Return the raw input's delimiter, or None if the rows to match are not simply its own."""
        kind = str(self.source.get("type") or input_file.suffix.lstrip(".").lower())
        simple_header = str(self.source.get("header_rows", 1)).isdecimal()
        if self.node_to_match(job) != RAW_INPUT or not simple_header:
            return None
        return _DELIMITERS.get(kind)

    @property
    def header_row(self) -> int:
        """The header's row, from 1."""
        return max(1, int(self.source.get("header_rows", 1)))

    @property
    def renamed_columns(self) -> tuple[str, ...] | None:
        """The names that the bundle gives the columns by position, if it does."""
        return tuple(self.source["columns"]) if self.source.get("rename_cols") else None


class Untransformable(StepFailed):
    """The bundle fails with a set's rows. Some of them may be at fault."""


@dataclass(frozen=True)
class RowsToMatch:
    """The rows to find students for.

    ``raw_encoding`` is None if they are the raw input's own, else the raw input's encoding.
    """

    file: DelimitedFile
    raw_encoding: str | None


def prepare_bundle(
    job: Job,
    mirror: Mirror,
    workspace: Workspace,
    earthmover: Earthmover,
    hosts: tuple[str, ...] = DEFAULT_BUNDLE_HOSTS,
) -> BundleDescription:
    """Install the bundle's packages, compile it, and return how it reads its input.

    Raises StepFailed(earthmover_deps).
    """
    description = workspace.root / "bundle.json"
    environment = _environment(job, workspace, _inputs(job, workspace), workspace.folder("prepare"))
    program = Program(
        label="deps",
        script="prepare_bundle.py",
        arguments=(_config(workspace), str(description)),
        environment={**environment, **mirror.redirection(hosts)},
    )
    done = earthmover.run(program, cwd=workspace.bundle)
    read = _read_description(description) if done.exit_code == 0 else None
    if REFUSED_HELPER in done.tail:
        where = ", ".join(_other_hosts(workspace, hosts)) or "another server"
        raise StepFailed(
            "earthmover_deps",
            f"The bundle names a package at {where}, which packages may not come from: review it,"
            " and add the host to BUNDLE_HOSTS if it is meant.",
            stacktrace=done.tail,
        )
    if read is None:
        raise StepFailed(
            "earthmover_deps",
            "earthmover could not install or read the bundle; see the log for its reason.",
            stacktrace=done.tail,
        )
    return read


def _other_hosts(workspace: Workspace, hosts: tuple[str, ...]) -> list[str]:
    """Return hosts that the bundle or its packages name and that are not among ``hosts``."""
    named: set[str] = set()
    for path in workspace.bundle.rglob("earthmover.y*ml"):
        if is_plain_file(path) and path.stat().st_size <= _LONGEST_DESCRIPTION:
            named |= set(_PACKAGE.findall(path.read_text(errors="replace")))
    return sorted(named - set(hosts))


def _read_description(path: Path) -> BundleDescription | None:
    """Read the child's description. None if it is invalid."""
    if not is_plain_file(path) or path.stat().st_size > _LONGEST_DESCRIPTION:
        return None
    try:
        read = json.loads(path.read_text())
        source, parameters = dict(read["input"]), dict(read["parameters"])
    except (ValueError, KeyError, TypeError):
        return None
    return BundleDescription(source, {key: str(value) for key, value in parameters.items()})


def rows_to_match(
    job: Job,
    bundle: BundleDescription,
    input_file: Path,
    workspace: Workspace,
    earthmover: Earthmover,
) -> RowsToMatch:
    """Return the rows to match: those of the raw input, or of the node that the bundle names.

    Only earthmover can produce a node's rows, from a transformation, fixed widths, or several
    header rows. Raises BadFile, or StepFailed(earthmover_run).
    """
    delimiter = bundle.raw_delimiter(job, input_file)
    encoding = detect_encoding(input_file)
    if delimiter is not None:
        names = bundle.renamed_columns
        file = DelimitedFile(input_file, encoding, delimiter, bundle.header_row, names)
        return RowsToMatch(file, raw_encoding=None)
    target = workspace.folder("node") / "rows.csv"
    environment = _environment(job, workspace, _inputs(job, workspace), workspace.folder("node"))
    for raw_encoding in (encoding, _LAST_ENCODING):
        command = ("dump", bundle.node_to_match(job), str(target))
        program = _program(command, "rows to match", raw_encoding, environment, workspace)
        done = earthmover.run(program, cwd=workspace.bundle)
        if done.exit_code == 0 and is_plain_file(target):
            return RowsToMatch(DelimitedFile(target, "utf-8", ","), raw_encoding)
        if "codec can't decode" not in done.tail:
            break
    raise _cannot_transform(done)


def transform_sets(
    set_inputs: Mapping[str, Path],
    raw_encoding: str | None,
    job: Job,
    workspace: Workspace,
    results_files: Mapping[str, Path],
    earthmover: Earthmover,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> dict[str, Path]:
    """Run the bundle on each set's rows, and return the folders with their JSONL files.

    A set's file is read instead of the raw input or, if that has a ``raw_encoding``, instead of the
    node that was matched. Writes earthmover's results (records per destination) to the set's
    results file. For sets that are transformed in parts, ``on_rows`` is called with how many more
    rows are done, first with 0. Raises StepFailed(earthmover_run) unless all of them succeed.
    """
    programs = []
    for name, set_input in set_inputs.items():
        output = workspace.set_output(name)
        results = results_files[name]
        programs.append(_run(name, set_input, raw_encoding, job, workspace, results, output))
    done = earthmover.run(*programs, cwd=workspace.bundle, on_rows=on_rows)
    if done.exit_code != 0:
        raise _cannot_transform(done)
    outputs = {name: workspace.set_output(name) for name in set_inputs}
    for output in outputs.values():
        remove_all_but_plain_files(output)
    return outputs


def try_rows(
    file: Path,
    raw_encoding: str | None,
    job: Job,
    workspace: Workspace,
    earthmover: Earthmover,
    folder: Path,
) -> str | None:
    """Run the bundle on a file instead of a set's rows, and throw its results away.

    Returns the last lines printed if the bundle fails with them, else None. ``folder`` must be
    empty, and is emptied again. Raises StepFailed if it ends in any other way.
    """
    output = folder / "output"
    output.mkdir()
    program = _run("trial", file, raw_encoding, job, workspace, folder / "results", output)
    done = earthmover.run(program, cwd=workspace.bundle, quiet=True)
    (folder / "results").unlink(missing_ok=True)
    remove(output)
    if done.exit_code < 0:
        raise _cannot_transform(done)
    return done.tail if done.exit_code else None


def _run(
    label: str,
    set_input: Path,
    raw_encoding: str | None,
    job: Job,
    workspace: Workspace,
    results: Path,
    output: Path,
) -> Program:
    inputs = _inputs(job, workspace)
    command = ["run", str(results)]
    if raw_encoding is None:
        inputs["INPUT_FILE"] = set_input
    else:
        command += ["--matched", str(set_input)]
    environment = _environment(job, workspace, inputs, output)
    # The matcher writes UTF-8, whatever the input's encoding.
    return _program(command, label, raw_encoding or "utf-8", environment, workspace)


def _program(
    command: Sequence[str],
    label: str,
    raw_encoding: str,
    environment: dict[str, str],
    workspace: Workspace,
) -> Program:
    arguments = ("-c", _config(workspace), "--skip-hashing")
    encoding = ("--set", "sources.input.encoding", raw_encoding)
    return Program(
        label, "fast_earthmover.py", (*command, "--", *arguments, *encoding), environment
    )


def _config(workspace: Workspace) -> str:
    return str(workspace.bundle / "earthmover.yaml")


def _cannot_transform(done: running.Completed) -> StepFailed:
    # A signal's number is negative: no row is at fault then.
    kind = Untransformable if done.exit_code > 0 else StepFailed
    return kind(
        "earthmover_run",
        "earthmover could not transform the file: most often it is not this assessment's export."
        " The log has earthmover's reason.",
        stacktrace=done.tail,
    )


def _inputs(job: Job, workspace: Workspace) -> dict[str, Path]:
    return {key: local_path(workspace.input, key, name) for key, name in job.input_files.items()}


def _environment(
    job: Job, workspace: Workspace, inputs: dict[str, Path], output: Path
) -> dict[str, str]:
    """Return the variables that bundles expect: contract section 7, "Bundle conventions"."""
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
        # Bundles may expand these. If unset, a file or folder of that literal name would appear.
        "STATE_FILE": str(private / f"{output.parent.name}-runs.csv"),
        "STATE_DIR": str(private),
    }
