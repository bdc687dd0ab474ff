"""Runs of what an earlier run has stored: load a preview, send refused records again, withdraw.

They need neither the input nor a roster, and transform nothing. Each can be repeated after it
failed: the ODS replaces what it has, and what is deleted counts as gone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from earthbeam.executor import refused_records, stored_sets
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import Reported, invalid
from earthbeam.executor.lightbeam import deleting, sending
from earthbeam.executor.lightbeam.sending import Results
from earthbeam.executor.refused_records import Refused
from earthbeam.executor.steps import Output, Steps
from earthbeam.executor.stored_sets import ROWS_NAME
from earthbeam.executor.workspace.folders import ODS_SET
from earthbeam.stored_files import REFUSED_RECORDS, SEND_RESULTS, STUDENT_RESOURCES

Lines = Mapping[str, set[int]]
"""Line numbers, counted from 1, by resource."""


class StoredRun(Steps):
    """What these runs have in common."""

    def fetch_set(self, name: str) -> Output:
        """Fetch a stored set of the job."""
        return stored_sets.fetch(
            self.store, name, self.job.stored_sets[name], self.workspace.set_output(name)
        )

    def fetch_artifact(self, name: str) -> Path:
        """Fetch an artifact of the run that stored the sets."""
        target = self.workspace.fresh_folder("stored") / name
        return stored_sets.fetch_file(self.store, f"output/{name}", target)

    @property
    def reported(self) -> Reported:
        """What the run that stored the sets has reported."""
        assert self.job.reported is not None  # checked when the payload was read
        return self.job.reported

    def report_again(self, refused: list[Refused] | None, sent: Mapping[str, Any]) -> None:
        """Report what the run that stored the sets did, with what has become of its records.

        ``refused`` is None if nothing was sent. ``sent`` are counts of the resources that were.
        """
        urls, reported = self.job.urls, self.reported
        if reported.unmatched_ids is not None:
            self.app.report(urls.unmatched_ids, reported.unmatched_ids)
        if reported.matches is not None:
            rows = None if refused is None else refused_records.rows_refused(refused)
            self.app.offer(urls.matches, {**reported.matches, "refusedRows": rows})
        self.app.report(urls.summary, {**reported.summary, **sent})


class LoadPreviewed(StoredRun):
    """Send the sets that a preview has made."""

    def run(self) -> None:
        self.refresh_bundle_code()
        self.progress.begin("get_input_files")
        outputs = {name: self.fetch_set(name) for name in self.job.stored_sets}
        refused: list[Refused] | None = None
        sent: dict[str, Any] = {}
        if self.job.ods is not None and ODS_SET in outputs:
            rows = self.fetch_artifact(ROWS_NAME)
            results, refused = self.send_whole_set(
                self.job.ods, outputs[ODS_SET], lambda: stored_sets.read_rows(rows)
            )
            sent = self._counts(results)
        self.progress.begin("upload_output")
        for name, output in outputs.items():
            told = {
                "path": f"{self.job.key_prefix}/output/{name}",
                "sentToOds": name == ODS_SET,
                "records": output.records,
                "sha256": self.job.stored_sets[name],
            }
            self.app.report(self.job.urls.output_files, told, once=True)
        self.report_again(refused, sent)

    def _counts(self, results: Results) -> dict[str, dict[str, int]]:
        """Return the counts of both sets together."""
        counts = {}
        for resource, of in sending.counts_of(results).items():
            both = self.reported.summary.get(resource, {}).get("records_processed", of.processed)
            counts[resource] = {**of.body(), "records_processed": both}
        return counts


class Resend(StoredRun):
    """Send again only the records of the ODS set that the ODS refused."""

    def run(self) -> None:
        ods = self.job.ods
        if ods is None:
            raise invalid("a resend needs sendToOds")
        self.refresh_bundle_code()
        self.progress.begin("get_input_files")
        output = self.fetch_set(ODS_SET)
        before = _read_refused(self.fetch_artifact(REFUSED_RECORDS))
        first = _read_results(self.fetch_artifact(SEND_RESULTS))
        lines = _lines_to_send(before, output)
        again = self._only(lines, output)
        results = _renumbered(self.send(ods, again).results, lines)
        for each in before:
            if each.line is None and each.resource in first["resources"]:
                # All of its records were sent again, so all are counted anew.
                first["resources"][each.resource]["successes"] = []
        results = sending.together(first, results)
        rows = {(each.resource, each.line): each.rows for each in before}
        refused = [
            replace(each, rows=rows.get((each.resource, each.line), ()))
            for each in refused_records.find(results, output.folder, dict)
        ]
        self.progress.begin("upload_output")
        self.keep_results(results, refused)
        if not refused:
            self.store.upload(self._empty_file(), f"output/{REFUSED_RECORDS}")
        failed: defaultdict[str, int] = defaultdict(int)
        for each in refused:
            failed[each.resource] += 1
        sent = {
            resource: {**counts, "records_failed": failed[resource]}
            for resource, counts in self.reported.summary.items()
        }
        self.report_again(refused, sent)

    def _only(self, lines: Lines, output: Output) -> Output:
        """Return a set of these lines only."""
        folder = self.workspace.fresh_folder("again")
        records = {}
        for resource, numbers in lines.items():
            kept = _copy_lines(output.folder, folder, resource, numbers.__contains__)
            records[resource] = kept
        return Output(folder, records)

    def _empty_file(self) -> Path:
        path = self.workspace.fresh_folder("empty") / REFUSED_RECORDS
        path.touch()
        return path


class Withdraw(StoredRun):
    """Delete from the ODS the students' records that the job's last load put there.

    All but those of ``leaveFile``, which the ODS refused, or which later jobs have loaded as well.
    """

    def run(self) -> None:
        summary = {}
        if self.job.ods is not None and ODS_SET in self.job.stored_sets:
            self.refresh_bundle_code()
            self.progress.begin("get_input_files")
            output = self._to_delete()
            self.progress.begin("lightbeam_delete")
            total = sum(output.records.values())
            self.progress.at(0, total, "records")
            counts = deleting.delete(
                self.lightbeam(self.job.ods),
                output.folder,
                output.records,
                lambda done: self.progress.at(done, total, "records"),
            )
            summary = {resource: each.body() for resource, each in counts.items()}
        self.app.report(self.job.urls.summary, summary)
        if left := sum(each["records_failed"] for each in summary.values()):
            raise StepFailed(
                "lightbeam_delete",
                f"The ODS did not delete {left} of {total} records.",
                records=left,
                total=total,
            )

    def _to_delete(self) -> Output:
        output = self.fetch_set(ODS_SET)
        leave = self._left_alone()
        folder = self.workspace.fresh_folder("withdrawn")
        records = {}
        for resource in STUDENT_RESOURCES:
            if resource in output.records:
                left = leave.get(resource, set())
                kept = _copy_lines(
                    output.folder, folder, resource, lambda line, left=left: line not in left
                )
                records[resource] = kept
        return Output(folder, {name: count for name, count in records.items() if count})

    def _left_alone(self) -> Lines:
        if self.job.leave_file is None:
            return {}
        path = self.workspace.fresh_folder("leave") / self.job.leave_file
        stored_sets.fetch_file(self.store, f"input/{self.job.leave_file}", path)
        lines: defaultdict[str, set[int]] = defaultdict(set)
        try:
            for each in map(orjson.loads, path.read_bytes().splitlines()):
                lines[str(each["resource"])].add(int(each["line"]))
        except (ValueError, KeyError, TypeError):
            raise invalid("leaveFile has a line that names no record") from None
        return lines


def _copy_lines(source: Path, target: Path, resource: str, wanted: Any) -> int:
    """Copy the wanted lines of a resource, by number from 1. Returns how many."""
    copied = 0
    name = f"{resource}.jsonl"
    with (source / name).open("rb") as lines, (target / name).open("wb") as file:
        for number, line in enumerate(lines, start=1):
            if wanted(number):
                file.write(line)
                copied += not line.isspace()
    if not copied:
        (target / name).unlink()
    return copied


def _lines_to_send(refused: list[Refused], output: Output) -> dict[str, set[int]]:
    """Return the lines of the refused records: all of a resource if one is not known."""
    lines: defaultdict[str, set[int]] = defaultdict(set)
    for each in refused:
        if each.resource not in output.records:
            raise stored_sets.gone(f"output/{ODS_SET}/{each.resource}.jsonl")
        if each.line is None:
            lines[each.resource] |= set(_all_lines(output.folder / f"{each.resource}.jsonl"))
        else:
            lines[each.resource].add(each.line)
    return dict(lines)


def _all_lines(path: Path) -> Iterator[int]:
    with path.open("rb") as lines:
        for number, _ in enumerate(lines, start=1):
            yield number


def _renumbered(results: Results, lines: Lines) -> Results:
    """Return the results with the lines of the whole set instead of those that were sent."""
    for resource, counts in results["resources"].items():
        numbers = sorted(lines.get(resource, ()))
        for failure in counts.get("failures", ()):
            failure["line_numbers"] = [numbers[line - 1] for line in failure["line_numbers"]]
    return results


def _read_refused(path: Path) -> list[Refused]:
    try:
        return refused_records.read(path)
    except ValueError:
        raise stored_sets.gone(f"output/{REFUSED_RECORDS}") from None


def _read_results(path: Path) -> Results:
    try:
        results: Results = orjson.loads(path.read_bytes())
    except ValueError:
        raise stored_sets.gone(f"output/{SEND_RESULTS}") from None
    return results
