"""One run from its job to its results: the twelve steps of the contract, in order."""

import logging
from pathlib import Path
from typing import Any

from earthbeam.executor import bundles, descriptor_mappings, rosters, sending, transform
from earthbeam.executor.app_client import AppClient
from earthbeam.executor.artifacts import Artifacts
from earthbeam.executor.delimited import BadFile
from earthbeam.executor.earthmover import Earthmover
from earthbeam.executor.environment import Environment
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.input_files import local_path
from earthbeam.executor.job import Job
from earthbeam.executor.log import Redactor
from earthbeam.executor.match_step import (
    RATES_NAME,
    UNMATCHED_NAME,
    Matched,
    match_students,
)
from earthbeam.executor.progress import Progress
from earthbeam.executor.rosters import CROSS_YEAR_ROSTER_NAME, ROSTER_NAME
from earthbeam.executor.sending import Counts
from earthbeam.executor.workspace import ODS_SET, OTHER_SET, Workspace, is_plain_file
from earthbeam.files import FileStore, open_store

logger = logging.getLogger(__name__)

EARTHMOVER_RESULTS = {ODS_SET: "em-results.json", OTHER_SET: "em-results-x-year.json"}


class Pipeline:
    """Carries out one job. Whatever a step raises ends the run; nothing here reports it."""

    def __init__(
        self,
        job: Job,
        environment: Environment,
        app: AppClient,
        progress: Progress,
        workspace: Workspace,
        redactor: Redactor,
    ) -> None:
        self.job = job
        self.environment = environment
        self.app = app
        self.progress = progress
        self.workspace = workspace
        self.redactor = redactor
        self.store: FileStore = open_store(job.base_path)
        self.artifacts = Artifacts(self.store, workspace)

    def run(self) -> None:
        """All steps, in the contract's order. Nothing is sent before every transform succeeded."""
        with Earthmover(self.workspace) as earthmover:
            mirror = self.refresh_bundle_code()
            bundle = self.prepare_bundle(mirror, earthmover)
            roster = self.get_student_roster()
            input_file = self.get_input_files()
            matched, outputs = self.match_and_transform(bundle, roster, input_file, earthmover)
        summary = self.send_to_ods(outputs)
        self.report_results(matched, outputs, summary)

    def refresh_bundle_code(self) -> bundles.Mirror:
        self.progress.begin("refresh_bundle_code")
        mirror = bundles.refresh_mirror(self.environment.bundle_repo, self.workspace)
        bundles.check_out(mirror, self.job.bundle_path, self.job.bundle_branch, self.workspace)
        return mirror

    def prepare_bundle(
        self, mirror: bundles.Mirror, earthmover: Earthmover
    ) -> transform.BundleDescription:
        self.progress.begin("earthmover_deps")
        return transform.prepare_bundle(self.job, mirror, self.workspace, earthmover)

    def get_student_roster(self) -> Path:
        self.progress.begin("get_student_roster")
        job = self.job
        if job.ods is not None:
            roster = rosters.fetch_ods_roster(job, job.ods, self.workspace)
        elif job.cross_year_match_available:
            roster = self._stream_edu_roster(ROSTER_NAME)
        else:
            assert job.roster_file_path is not None  # checked when the payload was read
            roster = rosters.download_roster_file(job.roster_file_path, self.workspace)
        self.artifacts.store(roster.name)
        return roster

    def _stream_edu_roster(self, name: str) -> Path:
        assert self.job.urls.roster is not None  # checked when the payload was read
        rosters.stream_edu_roster(
            self.app,
            self.job.urls.roster,
            self.workspace.draft(name),
            lambda students: self.progress.at(students, None, "students"),
        )
        return self.workspace.publish(name)

    def get_input_files(self) -> Path:
        self.progress.begin("get_input_files")
        for key, name in self.job.input_files.items():
            target = local_path(self.workspace.input, key, name)
            target.parent.mkdir(exist_ok=True)
            try:
                self.store.download(f"input/{name}", target)
            except (OSError, ValueError) as error:
                # S3 says "denied" of what is not there to whoever may not list.
                gone = isinstance(error, FileNotFoundError | PermissionError | ValueError)
                raise StepFailed(
                    "input_s3_download",
                    "An input file is not there, or may not be read: submit the job again with"
                    " its files."
                    if gone
                    else "An input file could not be fetched from where the files lie"
                    f" ({type(error).__name__}): run the job again.",
                    name=key,
                    path=f"input/{name}",
                ) from error
        return local_path(self.workspace.input, "INPUT_FILE", self.job.input_files["INPUT_FILE"])

    def match_and_transform(
        self,
        bundle: transform.BundleDescription,
        roster: Path,
        input_file: Path,
        earthmover: Earthmover,
    ) -> tuple[Matched, dict[str, Path]]:
        self.progress.begin("earthmover_run")
        descriptor_mappings.write_seeds(self.job.descriptor_mappings, self.workspace.bundle)
        rows = self._rows_to_match(bundle, input_file, earthmover)
        matched = self._match(bundle, rows, roster)
        drafts = {
            name: self.workspace.draft(EARTHMOVER_RESULTS[name]) for name in matched.set_inputs
        }
        made = transform.transform_sets(
            matched.set_inputs, rows.raw_encoding, self.job, self.workspace, drafts, earthmover
        )
        outputs = {}
        for name, output in made.items():
            self._publish_childs(EARTHMOVER_RESULTS[name])
            self.artifacts.store(EARTHMOVER_RESULTS[name])
            if _records(output):
                outputs[name] = output
        if not outputs:
            raise StepFailed(
                "artifact_empty",
                "The bundle made no records of this file: check its parameters, such as the year.",
                name="output",
                path="output/",
            )
        return matched, outputs

    def _publish_childs(self, name: str) -> None:
        """Make a child's file an artifact, if it is one."""
        if is_plain_file(self.workspace.draft(name)):
            self.workspace.publish(name)

    def _rows_to_match(
        self, bundle: transform.BundleDescription, input_file: Path, earthmover: Earthmover
    ) -> transform.RowsToMatch:
        try:
            return transform.rows_to_match(self.job, bundle, input_file, self.workspace, earthmover)
        except BadFile as error:
            raise StepFailed("earthmover_run", str(error)) from None

    def _match(
        self, bundle: transform.BundleDescription, rows: transform.RowsToMatch, roster: Path
    ) -> Matched:
        ask_edu = self.job.send_to_ods and self.job.cross_year_match_available
        matched = match_students(
            self.job,
            bundle,
            rows,
            roster,
            self.get_cross_year_roster if ask_edu else None,
            self.environment.possible_student_id_columns,
            self.workspace,
            self.redactor,
        )
        counts = matched.counts()
        logger.info(
            "%d rows: %d to the ODS, %d to the other set, %d unmatched (by %s as %s)",
            *(counts[key] for key in ("inputRows", "odsMatched", "crossYearMatched", "unmatched")),
            *(counts["idName"], counts["idType"]),
        )
        self.progress.at(
            counts["inputRows"] - counts["unmatched"], counts["inputRows"], "rows matched"
        )
        self.artifacts.store(RATES_NAME)
        return matched

    def get_cross_year_roster(self) -> Path:
        """EDU's roster of all years, for the rows that this year's left."""
        roster = self._stream_edu_roster(CROSS_YEAR_ROSTER_NAME)
        self.artifacts.store(roster.name)
        return roster

    def send_to_ods(self, outputs: dict[str, Path]) -> dict[str, Counts]:
        """Send the ODS set, if it has records; returns the run's summary over both sets."""
        summary: dict[str, Counts] = {}
        if self.job.ods is not None and ODS_SET in outputs:
            self.progress.begin("lightbeam_send")
            total = sum(_records(outputs[ODS_SET]).values())
            self.progress.at(0, total, "records")
            summary = sending.send(
                self.job,
                self.job.ods,
                outputs[ODS_SET],
                self.workspace,
                lambda done: self.progress.at(done, total, "records"),
            )
            self.artifacts.store(sending.RESULTS_NAME)
        if OTHER_SET in outputs:
            for resource, records in _records(outputs[OTHER_SET]).items():
                summary.setdefault(resource, Counts()).processed += records
        return summary

    def report_results(
        self, matched: Matched, outputs: dict[str, Path], summary: dict[str, Counts]
    ) -> None:
        urls, plan = self.job.urls, matched.plan
        if matched.unmatched_rows:
            self.app.report(
                urls.unmatched_ids,
                {
                    "name": plan.winner.column,
                    "type": plan.display_type,
                    "count": matched.unmatched_rows,
                },
            )
        self.progress.begin("upload_output")
        if matched.unmatched_rows:
            self.workspace.publish(UNMATCHED_NAME)
            self.artifacts.store(UNMATCHED_NAME)
        for name, output in outputs.items():
            self.artifacts.store_set(name, output)
            self.app.report(urls.output_files, self._output_set(name), once=True)
        if urls.matches:
            self.app.report(urls.matches, matched.counts())
        self.app.report(urls.summary, {name: counts.body() for name, counts in summary.items()})

    def _output_set(self, name: str) -> dict[str, Any]:
        return {
            "path": f"{self.job.key_prefix}/output/{name}",
            "sentToOds": name == ODS_SET,
        }


def _records(output: Path) -> dict[str, int]:
    """Records of each resource in a folder of JSONL files, leaving out empty files."""
    counts = {}
    for path in sorted(output.glob("*.jsonl")):
        with path.open("rb") as lines:
            counts[path.stem] = sum(1 for line in lines if line.strip())
    return {name: count for name, count in counts.items() if count}
