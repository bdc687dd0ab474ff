"""What every kind of run does: fetch the bundle's code, send to the ODS, keep results."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from earthbeam.executor import refused_records
from earthbeam.executor.bundle import checkout
from earthbeam.executor.environment import Environment
from earthbeam.executor.job import Job, Ods
from earthbeam.executor.lightbeam import config, sending
from earthbeam.executor.lightbeam.commands import Lightbeam
from earthbeam.executor.lightbeam.config import BundleSettings
from earthbeam.executor.lightbeam.sending import Results, Sent
from earthbeam.executor.processes.memory import PeakMemory
from earthbeam.executor.refused_records import Refused, RowsOf
from earthbeam.executor.reporting.app_client import AppClient
from earthbeam.executor.reporting.log import Redactor
from earthbeam.executor.reporting.progress import Progress
from earthbeam.executor.workspace.artifacts import Artifacts
from earthbeam.executor.workspace.folders import Workspace
from earthbeam.files import FileStore, open_store
from earthbeam.stored_files import REFUSED_RECORDS, SEND_RESULTS


@dataclass(frozen=True)
class Output:
    """A set's JSONL files, and how many records each resource has."""

    folder: Path
    records: dict[str, int]


class Steps:
    """One run of a job. ``run`` carries it out; any exception ends it, and the caller reports it.

    Steps are in the order in which kinds of runs have them.
    """

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
        self.lightbeam_settings = BundleSettings()
        self.memory = PeakMemory()

    def run(self) -> None:
        """Carry out the run."""
        raise NotImplementedError

    @cached_property
    def store(self) -> FileStore:
        """The job's files."""
        return open_store(self.job.base_path)

    @cached_property
    def artifacts(self) -> Artifacts:
        return Artifacts(self.store, self.workspace)

    def refresh_bundle_code(self) -> checkout.Mirror:
        self.progress.begin("refresh_bundle_code")
        repository, given = self.environment.bundle_repo, self.environment.bundle_mirror
        branch, commit = self.job.bundle_branch, self.job.bundle_commit
        if given is not None:
            mirror = checkout.Mirror(Path(given), repository)
            if commit is None:
                checkout.warn_if_stale(mirror, branch)
        else:
            mirror = checkout.refresh_mirror(repository, self.workspace, branch, commit=commit)
        if commit is not None:
            mirror = checkout.at_commit(mirror, branch, commit, self.workspace)
        checkout.check_out(mirror, self.job.bundle_path, branch, self.workspace)
        # Now, because from the next step on, the bundle's code may change its files.
        self.lightbeam_settings = config.read(
            self.workspace.bundle / "lightbeam.yaml", self.environment.ods_requests_at_once
        )
        return mirror

    def lightbeam(self, ods: Ods) -> Lightbeam:
        """Return lightbeam for the ODS, with the bundle's settings."""
        return Lightbeam(ods, self.lightbeam_settings, self.workspace)

    def send(self, ods: Ods, output: Output) -> Sent:
        """Send a set to the ODS. Raises StepFailed(lightbeam_send) if that is out of reach."""
        self.progress.begin("lightbeam_send")
        total = sum(output.records.values())
        self.progress.at(0, total, "records")
        return sending.send(
            self.lightbeam(ods),
            output.folder,
            lambda done: self.progress.at(done, total, "records"),
        )

    def send_whole_set(
        self, ods: Ods, output: Output, rows_of: RowsOf
    ) -> tuple[Results, list[Refused]]:
        """Send a set, store the results, and return them with the records that were refused.

        Raises StepFailed(lightbeam_send), also if the ODS took no record.
        """
        sent = self.send(ods, output)
        refused = refused_records.find(sent.results, output.folder, rows_of)
        self.keep_results(sent.results, refused)
        sending.check_taken(sent)
        return sent.results, refused

    def keep_results(self, results: Results, refused: list[Refused]) -> None:
        """Store lightbeam's results, and the refused records, in place of earlier ones."""
        redact = self.redactor.redact_secrets
        sending.publish(results, self.workspace, redact)
        self.artifacts.store(SEND_RESULTS)
        if refused:
            refused_records.write(refused, self.workspace.draft(REFUSED_RECORDS), redact)
            self.workspace.publish(REFUSED_RECORDS)
            self.artifacts.store(REFUSED_RECORDS)
