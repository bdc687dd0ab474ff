"""One measured run of stock tools on prepared files; see benchmarks.executor."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.executor import PUBLIC

WRAPPER = Path("packages", "student_id_wrapper")


def main(job_file: Path) -> None:
    given = json.loads(job_file.read_text())
    place, repository = Path(given["place"]), Path(given["repository"])
    project = place / "project"
    shutil.copytree(repository / WRAPPER, project)
    (place / "tmp").mkdir()
    environment = {
        **os.environ,
        **given["params"],
        "ASSESSMENT_BUNDLE": given["bundle"],
        "ASSESSMENT_BUNDLE_BRANCH": "main",
        "EDFI_ROSTER_SOURCE_TYPE": "file",
        "EDFI_STUDENT_ID_TYPES": "State,Local",
        "REQUIRED_ID_MATCH_RATE": "0.5",
        "TEMPORARY_DIRECTORY": str(place / "tmp"),
        "STATE_FILE": str(place / "runs.csv"),
        "INPUT_FILE": given["input_file"],
        "OUTPUT_DIR": str(place / "ods"),
        "EDFI_ROSTER_FILE": given["ods_roster"],
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": PUBLIC,
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
    }
    _earthmover("deps", project, environment)
    _earthmover("run", project, environment, "--results-file", str(place / "em-results.json"))

    # The rows that the first pass left, under the input's name, against the other roster.
    rest = place / "rest" / Path(given["input_file"]).name
    rest.parent.mkdir()
    shutil.copyfile(place / "ods" / "input_no_student_id_match.csv", rest)
    environment |= {
        "INPUT_FILE": str(rest),
        "OUTPUT_DIR": str(place / "non-ods"),
        "EDFI_ROSTER_FILE": given["edu_roster"],
    }
    results = str(place / "em-results-x-year.json")
    _earthmover("run", project, environment, "--results-file", results)


def _earthmover(command: str, project: Path, environment: dict[str, str], *more: str) -> None:
    config = str(project / "earthmover.yaml")
    subprocess.run(
        (sys.executable, "-m", "earthmover", command, "-c", config, *more),
        env=environment,
        cwd=project,
        check=True,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
