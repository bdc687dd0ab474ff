"""One measured run of the executor's own steps on prepared files; see benchmarks.executor."""

import json
import logging
import shutil
import sys
from pathlib import Path

from earthbeam.executor.bundle import checkout
from earthbeam.executor.earthmover import transform
from earthbeam.executor.earthmover.client import Earthmover
from earthbeam.executor.job import AppUrls, Job
from earthbeam.executor.match_step import match_students
from earthbeam.executor.reporting.log import Redactor
from earthbeam.executor.workspace.folders import Workspace


def main(job_file: Path) -> None:
    given = json.loads(job_file.read_text())
    place, input_file = Path(given["place"]), Path(given["input_file"])
    job = Job(
        base_path="file:///unused/a/b/c/d",
        input_files={"INPUT_FILE": f"INPUT_FILE__{input_file.name}"},
        input_params=given["params"],
        descriptor_mappings={},
        bundle_path=f"assessments/{given['bundle']}",
        bundle_branch="main",
        urls=AppUrls(**dict.fromkeys(AppUrls.__annotations__, "http://unused")),
        send_to_ods=True,
        cross_year_match_available=True,
        roster_file_path=None,
        ods=None,
    )
    logging.basicConfig(level=logging.INFO)
    with Workspace() as workspace, Earthmover(workspace) as earthmover:
        mirror = checkout.refresh_mirror(given["repository"], workspace)
        checkout.check_out(mirror, job.bundle_path, job.bundle_branch, workspace)
        bundle = transform.prepare_bundle(job, mirror, workspace, earthmover)
        local = workspace.input / input_file.name
        shutil.copyfile(input_file, local)
        rows = transform.rows_to_match(job, bundle, local, workspace, earthmover)
        matched = match_students(
            job,
            bundle,
            rows,
            Path(given["ods_roster"]),
            lambda: Path(given["edu_roster"]),
            None,
            workspace,
            Redactor(),
        )
        results = {name: place / f"results-{name}.json" for name in matched.set_inputs}
        outputs = transform.transform_sets(
            matched.set_inputs, rows.raw_encoding, job, workspace, results, earthmover
        )
        for name, output in outputs.items():
            shutil.copytree(output, place / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
