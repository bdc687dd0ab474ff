"""Read the bundle registry into the database, for `manage.py sync_bundles`."""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from django.db import transaction

from earthbeam.bundles.id_columns import LONGEST_YAML, student_id_columns
from earthbeam.bundles.template import BadTemplate, BundleTemplate
from earthbeam.errors import RegistryError
from earthbeam.models import Bundle
from earthbeam.text import storable

GIT_SECONDS = 120.0
LONGEST_DIFF = 300_000
"""How many characters of a diff are kept for review."""


@dataclass
class SyncReport:
    """Bundles' paths by what happened to them. ``refused`` maps an entry to its problem."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    available: str = ""
    """A newer commit that awaits approval. If set, nothing was changed."""

    def in_words(self) -> str:
        """Return the outcome in a sentence or two."""
        if self.available:
            return f"A newer version is available, commit {self.available[:12]}."
        counts = (
            f"{len(self.added)} added, {len(self.changed)} changed, "
            f"{len(self.unchanged)} unchanged, {len(self.retired)} retired."
        )
        refused = "; ".join(f"{name}: {why}" for name, why in self.refused.items())
        return f"{counts} Unusable entries, left as they were: {refused}." if refused else counts


@dataclass(frozen=True)
class Registry:
    """``entries`` of registry.json, as they are, and ``id_columns`` by path if known.

    ``changes`` and ``diff`` compare with an earlier commit: one line per file, such as
    ``M\tREADME.md``, and the diff's text, cut off at LONGEST_DIFF.
    """

    commit: str
    entries: list[object]
    id_columns: dict[str, list[str]]
    changes: list[str] = field(default_factory=list)
    diff: str = ""


def read_registry(repository: str, branch: str, *, since: str | None = None) -> Registry:
    """Read the bundles at the head of ``branch``, and what has changed ``since`` a commit.

    Raises RegistryError.
    """
    with tempfile.TemporaryDirectory(prefix="runway-registry-") as folder:
        clone = str(Path(folder) / "clone")
        source = _source(repository)
        _git(
            *("clone", "--quiet", "--bare", "--depth=1", "--single-branch", "--no-tags"),
            *("--branch", branch, "--", source, clone),
        )
        entries = _entries(_git("--git-dir", clone, "show", "HEAD:registry.json"), branch)
        columns = {path: _id_columns(clone, path) for path in _paths(entries)}
        commit = _git("--git-dir", clone, "rev-parse", "HEAD").strip()
        changes, diff = _changes(clone, source, since) if since not in (None, commit) else ([], "")
    return Registry(commit, entries, columns, changes, diff)


def _changes(clone: str, source: str, since: str | None) -> tuple[list[str], str]:
    """Return the changes since a commit, or nothing if the repository no longer has it."""
    try:
        _git("--git-dir", clone, "fetch", "--quiet", "--depth=1", "--no-tags", source, str(since))
    except RegistryError:
        return [], ""
    names = _git("--git-dir", clone, "diff", "--no-renames", "--name-status", str(since), "HEAD")
    diff = _git("--git-dir", clone, "diff", "--no-renames", "--no-color", str(since), "HEAD")
    return names.splitlines(), storable(diff[:LONGEST_DIFF])


def _entries(text: str, branch: str) -> list[object]:
    try:
        registry = json.loads(text)
    except ValueError as error:
        raise RegistryError(f"registry.json of branch {branch} is not JSON: {error}.") from None
    entries = registry.get("assessments") if isinstance(registry, dict) else None
    if not isinstance(entries, list) or not entries:
        raise RegistryError(
            f'registry.json of branch {branch} must be an object with a list "assessments" that '
            "is not empty."
        )
    return entries


def _paths(entries: Iterable[object]) -> Iterator[str]:
    for entry in entries:
        with suppress(BadTemplate):
            yield BundleTemplate.read(entry).path


def _id_columns(clone: str, path: str) -> list[str]:
    """Return the ID columns of the bundle at ``path``; none if its earthmover.yaml is unusable."""
    try:
        text = _git("--git-dir", clone, "show", f"HEAD:{path}/earthmover.yaml")
    except RegistryError:
        return []
    return student_id_columns(text) if len(text) <= LONGEST_YAML else []


def apply(registry: Registry) -> SyncReport:
    """Update the bundles to match ``registry``, in one transaction."""
    report = SyncReport()
    listed: dict[str, tuple[BundleTemplate, object]] = {}
    for number, entry in enumerate(registry.entries, start=1):
        path = entry.get("path") if isinstance(entry, dict) else None
        name = path if isinstance(path, str) else f"entry {number}"
        try:
            template = BundleTemplate.read(entry)
        except BadTemplate as error:
            report.refused[name] = str(error)
            continue
        if template.path in listed:
            report.refused[f"{name} (entry {number})"] = "the path occurs twice"
            continue
        listed[template.path] = template, entry
    with transaction.atomic():
        known = {bundle.path: bundle for bundle in Bundle.objects.select_for_update()}
        for path, (template, entry) in listed.items():
            columns = registry.id_columns.get(path, [])
            _store(known.get(path), template, entry, columns, report)
        gone = [
            path
            for path, bundle in known.items()
            if bundle.in_registry and path not in listed and path not in report.refused
        ]
        Bundle.objects.filter(path__in=gone).update(in_registry=False)
    report.retired.extend(gone)
    return report


def _store(
    bundle: Bundle | None,
    template: BundleTemplate,
    entry: object,
    columns: list[str],
    report: SyncReport,
) -> None:
    values = {
        "display_name": template.display_name,
        "template": entry,
        "student_id_columns": columns,
        "in_registry": True,
    }
    if bundle is None:
        Bundle.objects.create(path=template.path, **values)
        report.added.append(template.path)
    elif any(getattr(bundle, name) != value for name, value in values.items()):
        Bundle.objects.filter(pk=bundle.pk).update(**values)
        report.changed.append(template.path)
    else:
        report.unchanged.append(template.path)


def _source(repository: str) -> str:
    """Return git's source. A folder becomes a URL, since git ignores --depth for plain folders."""
    folder = Path(repository)
    return folder.resolve().as_uri() if folder.is_dir() else repository


def _git(*arguments: str) -> str:
    """Run git without prompting, and return its output. Raises RegistryError with git's message."""
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "LC_ALL": "C",
    }
    try:
        child = subprocess.Popen(
            ("git", *arguments),  # noqa: S607  (wherever PATH has it)
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError:
        raise RegistryError("git is not installed, or not on PATH.") from None
    try:
        output, complaint = child.communicate(timeout=GIT_SECONDS)
    except subprocess.TimeoutExpired:
        raise RegistryError(
            f"git did not answer within {GIT_SECONDS:.0f} s; check that BUNDLE_REPO is reachable."
        ) from None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.returncode:
        raise RegistryError(
            "The bundle registry could not be read; check BUNDLE_REPO and BUNDLE_BRANCH. "
            f"git says: {_without_credentials(complaint.strip())}"
        )
    return output


def _without_credentials(text: str) -> str:
    return re.sub(r"://[^/@\s]+@", "://", text)
