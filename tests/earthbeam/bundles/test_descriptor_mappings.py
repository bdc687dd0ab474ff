import csv
from functools import partial

import pytest

from earthbeam.bundles.descriptor_mapping_csv import BadMappings, MappingTable
from earthbeam.bundles.descriptor_mappings import (
    StaleMappings,
    compare,
    current,
    fingerprint,
    problem,
    replace,
)
from earthbeam.executor.bundle.descriptor_mappings import write_seeds
from earthbeam.models import DescriptorMapping
from earthbeam.runs import payload
from tests import factories
from tests.at_once import at_once

pytestmark = pytest.mark.django_db

KIND = "gradeLevelDescriptors"
# An order that jsonb would not keep: it sorts keys by length, then by alphabet.
TABLE = MappingTable(
    ("grade", "assessment", "a"),
    (("1", "x", "p", "First", "local 1"), ("2", "x", "p", "Second", "")),
)


@pytest.fixture
def partner():
    return factories.make_partner()


@pytest.fixture
def bundle(partner):
    return factories.make_bundle()


def put(partner, bundle, table, kind=KIND):
    return replace(partner, bundle, kind, table, seen=fingerprint(current(partner, bundle, kind)))


def test_what_is_put_is_what_there_is_in_its_order(partner, bundle):
    put(partner, bundle, TABLE)
    assert current(partner, bundle, KIND) == TABLE


def test_the_executor_writes_the_columns_in_the_files_order(partner, bundle, tmp_path):
    put(partner, bundle, TABLE)
    run = factories.make_run(factories.make_job(bundle=bundle))
    write_seeds(payload.build(run)["customDescriptorMappings"], tmp_path)
    with (tmp_path / "seeds" / f"{KIND}.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["grade", "assessment", "a", "edfi_descriptor"],
            ["1", "x", "p", "local 1"],
            ["2", "x", "p", ""],
        ]


def test_replacing_replaces_all_of_the_kind_and_nothing_else(partner, bundle):
    other = factories.make_partner("tx")
    bundle.enabled_for.add(other)
    put(other, bundle, TABLE)
    put(partner, bundle, TABLE)
    fewer = MappingTable(("grade",), (("3", "Third", "local 3"),))
    put(partner, bundle, fewer)
    assert current(partner, bundle, KIND) == fewer
    assert current(other, bundle, KIND) == TABLE
    put(partner, bundle, MappingTable())
    assert not DescriptorMapping.objects.filter(partner=partner).exists()


def test_rows_that_other_systems_stored_as_objects_or_unevenly_are_shown_whole(partner, bundle):
    for columns in ({"grade": 1}, {"grade": None, "subject": "m"}):
        DescriptorMapping.objects.create(
            partner=partner,
            bundle=bundle,
            descriptor_type=KIND,
            other_columns=columns,
            edfi_descriptor="e",
        )
    assert current(partner, bundle, KIND) == MappingTable(
        ("grade", "subject"), (("1", "", "e", ""), ("", "m", "e", ""))
    )


def test_changes_are_counted_by_what_is_mapped():
    new = MappingTable(
        ("a", "grade", "assessment"),
        (("p", "2", "x", "Second", "local 2"), ("p", "3", "x", "Third", "")),
    )
    changes = compare(TABLE, new)
    assert changes.added == [("3", "x", "p", "Third", "")]
    assert changes.removed == [TABLE.rows[0]]
    assert changes.changed == [(TABLE.rows[1], ("2", "x", "p", "Second", "local 2"))]
    assert str(changes) == "1 added, 1 removed, 1 changed, 0 unchanged"
    assert changes.order


def test_other_columns_change_every_row():
    changes = compare(TABLE, MappingTable(("level",), (("1", "First", ""),)))
    assert (len(changes.added), len(changes.removed), changes.columns) == (1, 2, True)


def test_the_same_mappings_are_no_change_but_another_order_is():
    assert not compare(TABLE, TABLE)
    turned = MappingTable(TABLE.columns, TABLE.rows[::-1])
    changes = compare(TABLE, turned)
    assert changes
    assert (changes.order, changes.unchanged) == (True, 2)


def test_bundles_that_are_not_enabled_and_unknown_types_are_refused(partner, bundle):
    assert problem(partner, bundle, KIND) == ""
    assert "gradeLevelDescriptors only" in problem(partner, bundle, "subjectDescriptors")
    for name in ("", "../seeds", "a.csv", "a b", "1a", "x" * 101):
        assert "letters, digits" in problem(partner, bundle, name)
    bundle.enabled_for.clear()
    assert "not enabled for EA" in problem(partner, bundle, KIND)
    with pytest.raises(BadMappings):
        put(partner, bundle, TABLE)
    assert not DescriptorMapping.objects.exists()


def test_a_bundle_that_names_no_types_takes_any(partner):
    template = factories.BUNDLE_TEMPLATE | {"descriptor_mapping_files": None}
    assert problem(partner, factories.make_bundle(template), "anyDescriptors") == ""


def test_names_of_types_are_read_as_real_registries_write_them(partner):
    names = ["gradeLevelDescriptors.csv", 'subjectDescriptors.csv"', "seeds/languageDescriptors"]
    bundle = factories.make_bundle(factories.BUNDLE_TEMPLATE | {"descriptor_mapping_files": names})
    for kind in ("gradeLevelDescriptors", "subjectDescriptors", "languageDescriptors"):
        assert problem(partner, bundle, kind) == ""


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(partner, bundle):
    seen = fingerprint(current(partner, bundle, KIND))
    put(partner, bundle, TABLE)
    with pytest.raises(StaleMappings):
        replace(partner, bundle, KIND, MappingTable(), seen=seen)
    assert current(partner, bundle, KIND) == TABLE


@pytest.mark.django_db(transaction=True)
def test_of_many_who_replace_at_once_one_does_so_wholly(partner, bundle):
    seen = fingerprint(current(partner, bundle, KIND))
    tables = [
        MappingTable(("grade",), tuple((str(row), f"of {n}", "") for row in range(50)))
        for n in range(6)
    ]
    results = at_once(
        [partial(replace, partner, bundle, KIND, table, seen=seen) for table in tables]
    )
    assert sum(isinstance(result, StaleMappings) for result in results) == 5
    assert current(partner, bundle, KIND) in tables
