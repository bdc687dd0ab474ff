"""Which commit of the bundle repository runs use: the latest synced or the latest approved.

Bundles are code. A commit pushed to their branch becomes a revision here. Runs keep using the
current revision until the sync or a person (BUNDLE_APPROVAL) makes another one current.
"""

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from earthbeam.bundles.registry import Registry, SyncReport, apply, read_registry
from earthbeam.errors import RegistryError
from earthbeam.models import BundleRevision, BundleSync
from partners import audit

MANUAL = "manual"
APPROVALS = ("auto", MANUAL)


def current(branch: str) -> BundleRevision | None:
    """Return the revision that runs on ``branch`` use, or None before the first sync."""
    return BundleRevision.objects.filter(branch=branch, is_current=True).first()


def has_changed(branch: str, commit: str, bundle: str) -> bool:
    """Whether runs now use other files of the bundle, or of packages, than at ``commit``.

    False if that is not known.
    """
    ends = BundleRevision.objects.filter(branch=branch).filter(
        Q(commit=commit) | Q(is_current=True)
    )
    keys = sorted(ends.values_list("pk", flat=True))
    if len(keys) < 2:
        return False
    between = BundleRevision.objects.filter(branch=branch, pk__gt=keys[0], pk__lte=keys[1])
    return any(
        line.partition("\t")[2].startswith((f"{bundle}/", "packages/"))
        for changes in between.values_list("changes", flat=True)
        for line in changes
    )


def sync(repository: str, branch: str, approval: str) -> SyncReport:
    """Read the head of ``branch`` and make it current, unless it has to be approved first.

    The first revision needs no approval, since nothing could run without it. A revision that was
    rolled back stays declined. Raises RegistryError, and then changes nothing. Records the outcome
    either way.
    """
    now = timezone.now()
    try:
        report = _sync(repository, branch, approval)
    except RegistryError as error:
        BundleSync.objects.update_or_create(
            branch=branch, defaults={"at": now, "error": str(error)}
        )
        raise
    done = {"at": now, "error": "", "succeeded_at": now, "result": report.in_words()}
    BundleSync.objects.update_or_create(branch=branch, defaults=done)
    return report


def _sync(repository: str, branch: str, approval: str) -> SyncReport:
    now_used = current(branch)
    registry = read_registry(repository, branch, since=now_used.commit if now_used else None)
    with transaction.atomic():
        revision, _ = BundleRevision.objects.update_or_create(
            branch=branch,
            commit=registry.commit,
            defaults={
                "entries": registry.entries,
                "id_columns": registry.id_columns,
                "changes": registry.changes,
                "diff": registry.diff,
                "synced_at": timezone.now(),
            },
        )
        held = revision.declined_at is not None or approval == MANUAL
        if now_used is not None and held and not revision.is_current:
            return SyncReport(available=revision.commit)
        return make_current(revision)


def make_current(revision: BundleRevision, *, by: User | None = None) -> SyncReport:
    """Make runs and forms use ``revision``.

    Going back declines the newer revisions, so that no sync makes them current again.
    """
    with transaction.atomic():
        every = BundleRevision.objects.select_for_update().filter(branch=revision.branch)
        used = next((each for each in every.order_by("pk") if each.is_current), None)
        if used is not None and used.pk != revision.pk:
            if used.pk > revision.pk:
                every.filter(pk__gt=revision.pk, pk__lte=used.pk).update(declined_at=timezone.now())
            every.filter(pk=used.pk).update(is_current=False)
        every.filter(pk=revision.pk).update(
            is_current=True, declined_at=None, approved_by=by, current_since=timezone.now()
        )
        if used is None or used.pk != revision.pk:
            audit.record(
                revision,
                "bundles made current",
                commit=revision.commit,
                before=used.commit if used else "",
            )
        return apply(Registry(revision.commit, revision.entries, revision.id_columns))
