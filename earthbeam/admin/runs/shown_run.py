"""The job page's data on one run: its reports and files as words and figures."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models.functions import Length, Right
from django.utils import timezone

from earthbeam import paths
from earthbeam.admin.jobs import files
from earthbeam.admin.runs.resources import (
    ShownResource,
    previewed_resources,
    shown_resource,
    stored_answers,
)
from earthbeam.bundles import revisions
from earthbeam.models import (
    Job,
    OutputFile,
    OutputSet,
    Run,
    RunError,
    RunLog,
    RunMatches,
    UnmatchedIds,
)
from earthbeam.runs import continued, cross_year
from earthbeam.runs.durations import lasted, usual_seconds
from earthbeam.stored_files import SEND_RESULTS, UNMATCHED_ROWS
from earthbeam.wording import run_errors
from earthbeam.wording.ods_messages import Sent
from earthbeam.wording.outcome import Facts, Outcome, Rows, outcome
from earthbeam.wording.phases import Phase, Step, Update, current_step, phases
from earthbeam.wording.run_errors import NEEDS_ROSTER, ErrorWords
from edu.errors import sentence

LOG_SHOWN = 64 * 1024
"""How many characters of the log's end are on the page. The whole log can be downloaded."""


@dataclass(frozen=True)
class ShownError:
    """An error in words, with details for engineers."""

    words: ErrorWords
    code: str
    payload: dict[str, Any]
    stack_trace: str
    repair: tuple[str, str] | None = None
    """The damage to IDs that can be undone in the whole file, and the words for a button."""


@dataclass(frozen=True)
class ShownSet:
    """An output set: where it went, and links to its files."""

    where: str
    tone: str
    links: list[Any]


class ShownRun:
    """One run of ``job``. Loads each item once, when it is first used.

    Load ``run`` with its matches and unmatched_ids to save queries.
    """

    def __init__(self, job: Job, run: Run, *, is_last: bool) -> None:
        self.job, self.run, self.is_last = job, run, is_last

    @property
    def ended(self) -> bool:
        return self.run.status not in Run.UNFINISHED

    @property
    def seconds(self) -> float:
        """From the request to the end, or to now."""
        return ((self.run.ended_at or timezone.now()) - self.run.created_at).total_seconds()

    @property
    def took(self) -> str:
        return lasted(self.seconds)

    # --- While it runs --------------------------------------------------------------------------

    @cached_property
    def updates(self) -> list[Update]:
        rows = self.run.updates.values_list("action", "status", "at")
        return [Update(*row) for row in rows]

    @cached_property
    def phases(self) -> list[Phase]:
        return phases(
            self.updates,
            self.run.progress,
            to_ods=self.job.send_to_ods,
            cross_year=self.job.tenant.partner.cross_year_match_enabled,
            ended=self.ended,
            succeeded=self.run.status == Run.Status.SUCCESS,
            kind=self.run.kind,
            continues=self.run.continues_id is not None,
        )

    @cached_property
    def step(self) -> Step:
        return current_step(self.updates, self.run.progress)

    @property
    def step_since(self) -> datetime:
        return self.step.since or self.run.started_at or self.run.created_at

    @property
    def step_seconds(self) -> float:
        return (timezone.now() - self.step_since).total_seconds()

    @property
    def step_took(self) -> str:
        return lasted(self.step_seconds)

    @property
    def left(self) -> str:
        """About how long the current step still takes, or empty if unknown."""
        seconds = self.step.seconds_left(timezone.now())
        return "" if seconds is None else lasted(seconds)

    @cached_property
    def usual(self) -> str:
        """How long the step usually takes for this assessment, or empty if unknown."""
        seconds = usual_seconds(self.job.bundle_id).get(self.step.action)
        return lasted(seconds) if seconds else ""

    # --- How it ended ---------------------------------------------------------------------------

    @cached_property
    def matches(self) -> RunMatches | None:
        return getattr(self.run, "matches", None)

    @cached_property
    def unmatched_ids(self) -> UnmatchedIds | None:
        return getattr(self.run, "unmatched_ids", None)

    @cached_property
    def unmatched(self) -> int | None:
        """Rows that matched no student. None if there are some but their number is unknown."""
        counted = self.matches.unmatched if self.matches else 0
        if self.unmatched_ids is None:
            return counted
        return self.unmatched_ids.count if self.unmatched_ids.count is not None else counted or None

    @cached_property
    def has_unmatched(self) -> bool:
        return self.run.status == Run.Status.SUCCESS and self.unmatched != 0

    @cached_property
    def id_pair(self) -> tuple[str, str] | None:
        """The column and the ID type by which rows were matched."""
        if self.matches is not None:
            return self.matches.id_name, self.matches.id_type
        if self.unmatched_ids is not None:
            return self.unmatched_ids.name, self.unmatched_ids.type
        return None

    @property
    def edu_problem(self) -> str:
        """Why the run had to do without EDU although cross-year matching is on."""
        return cross_year.problem_of(self.run)

    @cached_property
    def edu_may_help(self) -> bool:
        """Whether another run of the job, with EDU, may match what this one could not."""
        if not self.is_last or not self.edu_problem or not self.ended:
            return False
        return self.has_unmatched or any(each.code in NEEDS_ROSTER for each in self._errors)

    @property
    def edu_waiting_for(self) -> str:
        """Why EDU is unavailable, as a sentence."""
        return sentence(self.run.edu_unavailable)

    @property
    def waits_for_edu_until(self) -> datetime | None:
        """When the run fails if EDU stays unavailable; None if it does not wait for EDU."""
        return cross_year.waits_until(self.run)

    @property
    def missing_id_columns(self) -> list[str]:
        """Columns that the bundle names for IDs, and that the file lacks."""
        return list(self.matches.missing_id_columns) if self.matches else []

    @cached_property
    def _sets(self) -> list[OutputSet]:
        return continued.sets_of(self.run)

    @cached_property
    def _summary(self) -> list[Any]:
        return list(self.run.summary.all())

    @property
    def refused(self) -> int:
        """How many records the ODS refused."""
        if not self.job.send_to_ods or self.run.kind not in Run.SENDING:
            return 0
        return sum(each.records_failed for each in self._summary)

    @cached_property
    def bundle_has_changed(self) -> bool:
        """Whether another run of the job would use other files of the bundle."""
        job, commit = self.job, self.run.bundle_commit
        return bool(commit) and revisions.has_changed(job.bundle_branch, commit, job.bundle_id)

    @property
    def is_preview(self) -> bool:
        return self.run.kind == Run.Kind.PREVIEW

    @property
    def preview_kept_until(self) -> datetime | None:
        """Until when a preview's results can be loaded as they are."""
        kept = continued.preview_to_load(self.job) if self.is_last else None
        return kept.created_at + continued.PREVIEW_KEPT if kept else None

    @property
    def refused_rows(self) -> int:
        """How many rows of the file have records that the ODS refused, if that is known."""
        return (self.matches.refused_rows or 0) if self.matches else 0

    @property
    def only_held(self) -> bool:
        """Whether all unmatched rows are ones with which the bundle fails."""
        matches = self.matches
        return bool(matches and matches.unmatched and matches.untransformable == matches.unmatched)

    @property
    def loaded_although(self) -> int:
        """How many rows were loaded although they disagree with their student."""
        matches = self.matches
        if matches is None or matches.identity_checks != "report" or not self.is_last:
            return 0
        return matches.disagreeing or 0

    @cached_property
    def outcome(self) -> Outcome:
        matches = self.matches
        to_ods = self.job.send_to_ods
        rows = None
        if matches is not None:
            rows = Rows(
                total=matches.input_rows,
                ods=matches.ods_matched,
                earlier=matches.cross_year_matched,
                unmatched=matches.unmatched,
                blank=matches.blank_ids,
                ambiguous=matches.ambiguous_ids,
                untransformable=matches.untransformable or 0,
                identity_checks=matches.identity_checks,
                disagreeing=matches.disagreeing,
                suggested=matches.suggested,
                confirmed=matches.confirmed,
                refused=matches.refused_rows,
            )
        return outcome(
            Facts(
                succeeded=self.run.status == Run.Status.SUCCESS,
                to_ods=to_ods,
                rows=rows,
                unmatched=self.unmatched,
                ods_set=to_ods and any(each.sent_to_ods for each in self._sets),
                edu_set=any(not each.sent_to_ods for each in self._sets),
                counted=bool(self._summary),
                refused=self.refused,
                skipped=sum(each.records_skipped for each in self._summary) if to_ods else 0,
                sending_began=any(each.action == "lightbeam_send" for each in self.updates),
                cancelled=any(run_errors.cancelled_by(e.payload) for e in self.errors),
                kind=self.run.kind,
                processed=sum(each.records_processed for each in self._summary),
            )
        )

    @cached_property
    def _errors(self) -> list[RunError]:
        return list(self.run.errors.all())

    @cached_property
    def errors(self) -> list[ShownError]:
        return [
            ShownError(
                run_errors.words(
                    error.code,
                    error.payload,
                    to_ods=self.job.send_to_ods,
                    edu_problem=self.edu_problem,
                ),
                error.code,
                {key: value for key, value in error.payload.items() if key != "stacktrace"},
                str(error.payload.get("stacktrace") or ""),
                run_errors.repair_offered(error.code, error.payload),
            )
            for error in self._errors
        ]

    @cached_property
    def reasons(self) -> list[ShownError]:
        """Errors that say why the run ended.

        The app's own error, if any, is the first after the run's end. Later ones are left out: the
        executor only reports that it was ended.
        """
        ended = self.run.ended_at
        late = [ended is not None and error.at >= ended for error in self._errors]
        last = late.index(True) + 1 if True in late else len(late)
        return self.errors[:last]

    # --- Resources and the ODS's messages -------------------------------------------------------

    @cached_property
    def answers_problem(self) -> str:
        """Why the ODS's messages cannot be shown, if there should be any. Reads them."""
        return self._answers[1]

    @cached_property
    def _answers(self) -> tuple[dict[str, Sent], str]:
        if not (self.ended and self.job.send_to_ods) or self.run.kind not in Run.SENDING:
            return {}, ""
        if SEND_RESULTS not in {file.path for file in self._output_files}:
            return {}, ""
        if not self.is_last and (self._replaced is None or SEND_RESULTS in self._replaced):
            return {}, "A later run replaced the ODS's messages about this run."
        return stored_answers(self.job)

    @cached_property
    def resources(self) -> list[ShownResource]:
        if self.run.kind == Run.Kind.WITHDRAW:
            return []
        if self.run.kind == Run.Kind.PREVIEW:
            return previewed_resources(self._sets)
        answers = self._answers[0]
        counts = {
            each.resource: (each.records_processed, each.records_skipped, each.records_failed)
            for each in self._summary
        }
        for name, sent in answers.items():
            counts.setdefault(name, (sent.processed, sent.skipped, sent.refused))
        to_ods = any(each.sent_to_ods for each in self._sets)
        to_edu = any(not each.sent_to_ods for each in self._sets)
        return [
            shown_resource(
                name,
                counts[name],
                answers.get(name),
                known=bool(answers),
                to_ods=to_ods,
                to_edu=to_edu,
            )
            for name in sorted(counts)
        ]

    @property
    def ods_said(self) -> bool:
        """Whether there are messages from the ODS to show."""
        return any(each.groups for each in self.resources)

    @property
    def figures_apart(self) -> bool:
        """Whether the destination of each record is known."""
        return all(each.sent is not None for each in self.resources)

    @property
    def some_for_edu(self) -> bool:
        return any(each.for_edu for each in self.resources)

    # --- Files ----------------------------------------------------------------------------------

    @cached_property
    def _output_files(self) -> list[OutputFile]:
        return list(self.run.output_files.all())

    @cached_property
    def _replaced(self) -> set[str] | None:
        """Files of this run that later runs have replaced; None while a later one is running."""
        later = Run.objects.filter(job=self.job, created_at__gt=self.run.created_at)
        stored = list(later.values_list("status", "output_files__path"))
        if any(status in Run.UNFINISHED for status, _ in stored):
            return None
        return {path for _, path in stored if path}

    @cached_property
    def files(self) -> list[dict[str, Any]]:
        """Output files, except those of the sets: a link, or why there is none."""
        return [
            {"name": file.path, "size": file.size, "link": self._link(file.path)}
            for file in self._output_files
            if not any(file.path.startswith(f"{folder}/") for folder in self._set_folders)
        ]

    @cached_property
    def _set_folders(self) -> list[str]:
        base = f"{paths.base_path(self.job)}/output/"
        return [each.path.removeprefix(base) for each in self._sets]

    def _link(self, path: str) -> Any:
        """Return a link to a file of the job's ``output/``. None if another run has replaced it."""
        if not self.is_last and (self._replaced is None or path in self._replaced):
            return None
        return files.link(self.job.pk, f"output/{path}", path.rsplit("/", 1)[-1])

    @cached_property
    def unmatched_file(self) -> Any:
        """A link to the unmatched rows as a file, if there is one."""
        return next((f["link"] for f in self.files if f["name"] == UNMATCHED_ROWS), None)

    @cached_property
    def sets(self) -> list[ShownSet]:
        shown = []
        for each, folder in zip(self._sets, self._set_folders, strict=True):
            if each.withdrawn_at:
                where, tone = "Withdrawn", "rw-idle"
            elif self.is_preview:
                where, tone = ("For the ODS" if each.sent_to_ods else "For EDU"), "rw-idle"
            elif each.sent_to_ods:
                where, tone = "Sent to the ODS", "rw-good"
            elif each.published_at:
                where, tone = "Ready for EDU", "rw-busy"
            else:
                where, tone = "Not offered to EDU", "rw-idle"
            gone = self.job.output_is_destroyed
            links: Iterable[Any] = (
                name if gone else self._link(f"{folder}/{name}") or name for name in each.files
            )
            shown.append(ShownSet(where, tone, list(links)))
        return shown

    @cached_property
    def log(self) -> dict[str, Any] | None:
        """The end of the run's log."""
        log = (
            RunLog.objects.filter(run=self.run)
            .exclude(text="")
            .annotate(end=Right("text", LOG_SHOWN), length=Length("text"))
            .values("end", "length")
            .first()
        )
        return dict(log) if log else None
