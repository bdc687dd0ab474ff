"""A partner's own descriptor mappings: validate, compare, and replace them as a whole.

A set of mappings belongs to a partner, a bundle, and a descriptor type, and replaces the bundle's
seed of that name (executor/descriptor_mappings.py).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from earthbeam.bundles.descriptor_mapping_csv import BadMappings, MappingTable, write_rows
from earthbeam.bundles.template import BundleTemplate
from earthbeam.models import Bundle, DescriptorMapping
from partners import audit
from partners.models import Partner

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")  # used as a file name


class StaleMappings(Exception):
    """Somebody else changed the mappings since the caller read them."""


@dataclass(frozen=True)
class Changes:
    """Rows that a replacement adds, removes, and changes, and how many it leaves alone."""

    added: list[tuple[str, ...]]
    removed: list[tuple[str, ...]]
    changed: list[tuple[tuple[str, ...], tuple[str, ...]]]
    unchanged: int
    columns: bool
    """True if the columns differ, so no row can stay."""
    order: bool
    """The order of rows or columns changes."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.order)

    def before_and_after(self) -> tuple[str, str]:
        """Return the rows that are gone and those that are new, as CSV without a header."""
        gone = [*self.removed, *(old for old, _ in self.changed)]
        new = [*self.added, *(row for _, row in self.changed)]
        return write_rows(gone), write_rows(new)

    def __str__(self) -> str:
        return (
            f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed, "
            f"{self.unchanged} unchanged"
        )


def is_kind(text: str) -> bool:
    """Whether ``text`` is a valid descriptor type name."""
    return _TYPE.fullmatch(text) is not None


def problem(partner: Partner, bundle: Bundle, kind: str) -> str:
    """Why the partner cannot have mappings of this kind, or "" if it can."""
    if not bundle.enabled_for.filter(pk=partner.pk).exists():
        return f"{bundle} is not enabled for {partner}. Enable it first."
    if not is_kind(kind):
        return "A descriptor type is a name such as gradeLevelDescriptors: letters, digits and _."
    declared = BundleTemplate.read(bundle.template).descriptor_types
    if declared and kind not in declared:
        return f"{bundle} takes mappings of {', '.join(declared)} only."
    return ""


def current(partner: Partner, bundle: Bundle, kind: str) -> MappingTable:
    """Return the current mappings. Cells that a row lacks are blank."""
    found = list(
        DescriptorMapping.objects.filter(partner=partner, bundle=bundle, descriptor_type=kind)
    )
    others = [_pairs(row.other_columns) for row in found]
    columns = tuple(dict.fromkeys(name for other in others for name in other))
    return MappingTable(
        columns,
        tuple(
            (
                *(other.get(name, "") for name in columns),
                row.edfi_descriptor,
                row.local_descriptor or "",
            )
            for row, other in zip(found, others, strict=True)
        ),
    )


def compare(old: MappingTable, new: MappingTable) -> Changes:
    """Return what replacing ``old`` with ``new`` changes. All cells but the last identify a row."""
    if sorted(old.columns) != sorted(new.columns):
        changed_columns = bool(old.rows and new.rows)
        return Changes(list(new.rows), list(old.rows), [], 0, changed_columns, order=False)
    order = [new.columns.index(name) for name in old.columns]
    arranged = [(*(row[at] for at in order), *row[-2:]) for row in new.rows]
    before = {row[:-1]: row for row in old.rows}
    after = {row[:-1]: row for row in arranged}
    same = [row for key, row in after.items() if before.get(key) == row]
    moved = [row for key, row in before.items() if after.get(key) == row] != same
    return Changes(
        added=[row for key, row in after.items() if key not in before],
        removed=[row for key, row in before.items() if key not in after],
        changed=[(before[key], row) for key, row in after.items() if before.get(key, row) != row],
        unchanged=len(same),
        columns=False,
        order=moved or old.columns != new.columns,
    )


def fingerprint(table: MappingTable) -> str:
    """Return a hash that identifies one state of the mappings."""
    return hashlib.sha256(json.dumps([table.columns, table.rows]).encode()).hexdigest()


def replace(
    partner: Partner, bundle: Bundle, kind: str, table: MappingTable, *, seen: str
) -> Changes:
    """Replace all mappings of the kind with ``table``. Without rows, use the bundle's own again.

    ``seen`` is the fingerprint of the mappings the person looked at. Raises StaleMappings if they
    have changed since, and BadMappings if the partner can no longer have mappings of this kind.
    Either way nothing changes.
    """
    with transaction.atomic():
        # Serializes replacements of the same partner's mappings.
        Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)
        old = current(partner, bundle, kind)
        if fingerprint(old) != seen:
            raise StaleMappings
        if table.rows and (wrong := problem(partner, bundle, kind)):
            raise BadMappings([wrong])
        DescriptorMapping.objects.filter(
            partner=partner, bundle=bundle, descriptor_type=kind
        ).delete()
        DescriptorMapping.objects.bulk_create(
            DescriptorMapping(
                partner=partner,
                bundle=bundle,
                descriptor_type=kind,
                # Pairs, because jsonb does not keep the order of an object's keys.
                other_columns=list(zip(table.columns, row[:-2], strict=True)),
                edfi_descriptor=row[-2],
                local_descriptor=row[-1] or None,
            )
            for row in table.rows
        )
        changes = compare(old, table)
        if changes:
            name = f"descriptor mappings of {bundle}, {kind}"
            audit.record_change(partner, **{name: changes.before_and_after()})
    return changes


def _pairs(other_columns: object) -> dict[str, str]:
    """Return a row's own columns, stored as an object or as pairs."""
    pairs = dict(other_columns) if isinstance(other_columns, Mapping | list) else {}
    return {str(name): "" if cell is None else str(cell) for name, cell in pairs.items()}
