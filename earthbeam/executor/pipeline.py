"""One run from its job to its results: the contract's twelve steps, in order."""

import logging
from collections.abc import Callable
from pathlib import Path

from earthbeam.delimited import BadFile
from earthbeam.executor import held_rows, refused_records, stored_sets
from earthbeam.executor.bundle import checkout, descriptor_mappings
from earthbeam.executor.decisions import fetch_decisions
from earthbeam.executor.earthmover import transform
from earthbeam.executor.earthmover.client import Earthmover
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import PREVIEW
from earthbeam.executor.lightbeam import sending
from earthbeam.executor.lightbeam.sending import Counts, Results
from earthbeam.executor.match_step import (
    RATES_NAME,
    Matched,
    match_students,
)
from earthbeam.executor.processes.background import Background
from earthbeam.executor.refused_records import Refused
from earthbeam.executor.rosters import fetching
from earthbeam.executor.rosters.fetching import CROSS_YEAR_ROSTER_NAME, ROSTER_NAME
from earthbeam.executor.steps import Output, Steps
from earthbeam.executor.stored_sets import ROWS_NAME
from earthbeam.executor.workspace import input_files
from earthbeam.executor.workspace.folders import (
    ODS_SET,
    OTHER_SET,
    is_plain_file,
    remove,
)
from earthbeam.stored_files import ROW_REVIEW, UNMATCHED_ROWS

logger = logging.getLogger(__name__)

_MOST_NAMED = 10
"""Rows that an error names."""

EARTHMOVER_RESULTS = {ODS_SET: "em-results.json", OTHER_SET: "em-results-x-year.json"}


class Pipeline(Steps):
    """A load, or a preview of one, which sends nothing."""

    student_names: Path | None = None
    """The ODS's students, from the roster's step until rows are matched."""

    def run(self) -> None:
        """Run all steps in the contract's order. Sends nothing before all transforms succeed."""
        with Earthmover(self.workspace) as earthmover:
            inputs_ahead = self.begin_input_files()
            roster_ahead = self.begin_roster()
            mirror = self.refresh_bundle_code()
            bundle = self.prepare_bundle(mirror, earthmover)
            roster = self.get_student_roster(roster_ahead)
            input_file = self.get_input_files(inputs_ahead)
            matched, outputs = self.match_and_transform(bundle, roster, input_file, earthmover)
        if self.job.kind == PREVIEW:
            self.report_results(matched, outputs, _summary(outputs, None), None)
            return
        results, refused = self.send_to_ods(matched, outputs)
        rows = refused_records.rows_refused(refused) if results else None
        self.report_results(matched, outputs, _summary(outputs, results), rows)

    def prepare_bundle(
        self, mirror: checkout.Mirror, earthmover: Earthmover
    ) -> transform.BundleDescription:
        self.progress.begin("earthmover_deps")
        return transform.prepare_bundle(
            self.job, mirror, self.workspace, earthmover, self.environment.bundle_hosts
        )

    def begin_roster(self) -> Background[Path] | None:
        """Begin fetching a roster that needs no program.

        lightbeam waits for its turn: no process has the ODS's credentials while a bundle's code is
        running.
        """
        job, draft = self.job, self.workspace.draft(ROSTER_NAME)
        if job.ods is not None:
            return None
        if job.cross_year_match_available:
            return Background("roster", lambda: self._stream_edu_roster(draft))
        location = job.roster_file_path
        assert location is not None  # checked when the payload was read
        return Background("roster", lambda: fetching.download_roster_file(location, draft))

    def get_student_roster(self, background: Background[Path] | None) -> Path:
        self.progress.begin("get_student_roster")
        if background is not None:
            background.result()
        else:
            assert self.job.ods is not None
            draft = self.workspace.draft(ROSTER_NAME)
            fetching.fetch_ods_roster(self.lightbeam(self.job.ods), self.workspace, draft)
            if self.job.identity_checks is not None:
                self.student_names = fetching.fetch_ods_students(
                    self.lightbeam(self.job.ods), self.workspace
                )
        from_edu = self.job.ods is None and self.job.cross_year_match_available
        return self._roster(ROSTER_NAME, from_edu=from_edu)

    def _roster(self, name: str, *, from_edu: bool) -> Path:
        """Return the roster, stored as an artifact too, unless it is EDU's and not to be kept."""
        if not from_edu or self.job.keep_edu_rosters:
            roster = self.workspace.publish(name)
            self.artifacts.store(name)
            return roster
        roster = self.workspace.draft(name).replace(self.workspace.fresh_folder("roster") / name)
        if not is_plain_file(roster):
            raise StepFailed(
                "artifact_not_found",
                "Something that the bundle runs has replaced the roster from EDU: review it.",
                name=name,
                path=f"output/{name}",
            )
        return roster

    def _stream_edu_roster(self, draft: Path) -> Path:
        assert self.job.urls.roster is not None  # checked when the payload was read
        return fetching.stream_edu_roster(
            self.app,
            self.job.urls.roster,
            draft,
            lambda students: self.progress.at(
                students, None, "students", steps=("get_student_roster", "earthmover_run")
            ),
            with_names=self.job.identity_checks is not None,
        )

    def begin_input_files(self) -> Background[Path]:
        """Begin fetching the input files, into a folder that no bundle reads yet."""
        folder = self.workspace.folder("incoming")

        def download() -> Path:
            input_files.download(self.store, self.job.input_files, folder)
            return folder

        return Background("input files", download)

    def get_input_files(self, background: Background[Path]) -> Path:
        self.progress.begin("get_input_files")
        folder, names = self.workspace.input, self.job.input_files
        background.result().replace(folder)
        input_files.check(names, folder)
        return input_files.local_path(folder, "INPUT_FILE", names["INPUT_FILE"])

    def match_and_transform(
        self,
        bundle: transform.BundleDescription,
        roster: Path,
        input_file: Path,
        earthmover: Earthmover,
    ) -> tuple[Matched, dict[str, Output]]:
        self.progress.begin("earthmover_run")
        descriptor_mappings.write_seeds(self.job.descriptor_mappings, self.workspace.bundle)
        rows = self._rows_to_match(bundle, input_file, earthmover)
        matched = self._match(bundle, rows, roster)
        try:
            made = self._transform(matched, rows.raw_encoding, earthmover)
        except transform.Untransformable as failure:
            matched = self._hold_rows(matched, rows.raw_encoding, earthmover, failure)
            made = self._transform(matched, rows.raw_encoding, earthmover)
        outputs = {}
        for name, folder in made.items():
            self._publish_childs(EARTHMOVER_RESULTS[name])
            self.artifacts.store(EARTHMOVER_RESULTS[name])
            if records := _records(folder):
                outputs[name] = Output(folder, records)
        if not outputs:
            raise StepFailed(
                "artifact_empty",
                "The bundle made no records of this file: check its parameters, such as the year.",
                name="output",
                path="output/",
            )
        return matched, outputs

    def _transform(
        self, matched: Matched, raw_encoding: str | None, earthmover: Earthmover
    ) -> dict[str, Path]:
        drafts = {
            name: self.workspace.draft(EARTHMOVER_RESULTS[name]) for name in matched.set_inputs
        }
        for name in matched.set_inputs:
            remove(self.workspace.set_output(name))
        return transform.transform_sets(
            matched.set_inputs,
            raw_encoding,
            self.job,
            self.workspace,
            drafts,
            earthmover,
            self._counting_rows(len(matched.plan.rows) - matched.unmatched_rows),
        )

    def _hold_rows(
        self,
        matched: Matched,
        raw_encoding: str | None,
        earthmover: Earthmover,
        failure: StepFailed,
    ) -> Matched:
        """Return the result without the rows that fail. Raises ``failure`` if they are many."""

        def trial(file: Path) -> str | None:
            folder = self.workspace.fresh_folder("results")
            try:
                return transform.try_rows(
                    file, raw_encoding, self.job, self.workspace, earthmover, folder
                )
            finally:
                remove(folder)

        self.progress.note_failure(
            "The bundle fails, perhaps with a few rows only: looking for them. Its reason:", failure
        )
        sets = [
            (
                held_rows.SetFile(path, matched.delimiter, matched.header_row),
                matched.numbers_in(name),
            )
            for name, path in matched.set_inputs.items()
        ]
        folder = self.workspace.fresh_folder("trial")
        try:
            seconds = self.environment.timeout_seconds * held_rows.SHARE_OF_TIME
            held = held_rows.find(sets, len(matched.plan.rows), folder, trial, seconds)
        except held_rows.TooMany as many:
            first = [row + 1 for row in many.rows[:_MOST_NAMED]]
            raise StepFailed(
                failure.code, failure.message, rows=first, **failure.fields
            ) from failure
        if not held or len(held) == sum(len(numbers) for _, numbers in sets):
            raise failure
        logger.warning("%d rows cannot be transformed, and are held", len(held))
        held_matched = matched.holding(held)
        held_rows.write_review(self.workspace.draft(ROW_REVIEW), held_matched.plan, held)
        return held_matched

    def _counting_rows(self, total: int) -> Callable[[int], None]:
        """Return a function that reports that more rows are transformed."""
        done = 0

        def count(rows: int) -> None:
            nonlocal done
            done += rows
            self.progress.at(done, total, "rows transformed")

        return count

    def _publish_childs(self, name: str) -> None:
        """Make a child's file an artifact if it is a plain file."""
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
            fetch_decisions(self.job, self.store, self.workspace),
            self.student_names,
        )
        if self.student_names is not None:
            self.student_names.unlink()
            self.student_names = None
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
        """Fetch EDU's roster of all years, for rows that this year's left unmatched."""
        self._stream_edu_roster(self.workspace.draft(CROSS_YEAR_ROSTER_NAME))
        return self._roster(CROSS_YEAR_ROSTER_NAME, from_edu=True)

    def send_to_ods(
        self, matched: Matched, outputs: dict[str, Output]
    ) -> tuple[Results | None, list[Refused]]:
        """Send the ODS set, if it has records, and return the results and what was refused."""
        if self.job.ods is None or ODS_SET not in outputs:
            return None, []
        return self.send_whole_set(
            self.job.ods, outputs[ODS_SET], lambda: matched.rows_by_student(ODS_SET)
        )

    def report_results(
        self,
        matched: Matched,
        outputs: dict[str, Output],
        summary: dict[str, Counts],
        refused_rows: int | None,
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
            self.workspace.publish(UNMATCHED_ROWS)
            self.artifacts.store(UNMATCHED_ROWS)
        review = self.workspace.draft(ROW_REVIEW)
        if is_plain_file(review) and review.stat().st_size:
            self.workspace.publish(ROW_REVIEW)
            self.artifacts.store(ROW_REVIEW)
        for name, output in outputs.items():
            told = {
                "path": f"{self.job.key_prefix}/output/{name}",
                "sentToOds": name == ODS_SET,
                "records": output.records,
                "sha256": self.artifacts.store_set(name, output.folder),
            }
            self.app.report(urls.output_files, told, once=True)
        if self.job.kind == PREVIEW:
            stored_sets.write_rows(
                matched.rows_by_student(ODS_SET), self.workspace.draft(ROWS_NAME)
            )
            self.workspace.publish(ROWS_NAME)
            self.artifacts.store(ROWS_NAME)
        figures = {"peakMemoryMb": self.memory.megabytes, "refusedRows": refused_rows}
        self.app.offer(urls.matches, {**matched.counts(), **figures})
        self.app.report(urls.summary, {name: counts.body() for name, counts in summary.items()})


def _summary(outputs: dict[str, Output], results: Results | None) -> dict[str, Counts]:
    """Return the counts of both sets together. Without ``results``, nothing was sent."""
    summary = sending.counts_of(results) if results else {}
    for name, output in outputs.items():
        if name == OTHER_SET or results is None:
            for resource, records in output.records.items():
                summary.setdefault(resource, Counts()).processed += records
    return summary


def _records(output: Path) -> dict[str, int]:
    """Count the records of each resource in a folder of JSONL files, without empty files."""
    counts = {}
    for path in sorted(output.glob("*.jsonl")):
        with path.open("rb") as lines:
            counts[path.stem] = sum(not line.isspace() for line in lines)
    return {name: count for name, count in counts.items() if count}
