import csv

import pytest

from earthbeam.executor.bundle.descriptor_mappings import write_seeds
from earthbeam.executor.errors import StepFailed


def row(grade, local):
    return {
        "v_other_columns": {"assessmentIdentifier": "A", "originalGrade": grade},
        "edfi_descriptor": "uri://ed-fi.org/GradeLevelDescriptor#Third",
        "local_descriptor": local,
    }


def test_a_seed_is_replaced_by_the_partners_rows(tmp_path):
    write_seeds(
        {"gradeLevelDescriptors": [row("3", "uri://x#3rd, local"), row("4", None)]}, tmp_path
    )
    with (tmp_path / "seeds" / "gradeLevelDescriptors.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["assessmentIdentifier", "originalGrade", "edfi_descriptor"],
            ["A", "3", "uri://x#3rd, local"],
            ["A", "4", ""],
        ]


def test_rows_with_differing_columns_are_an_error(tmp_path):
    odd = row("4", None) | {"v_other_columns": {"other": "1"}}
    with pytest.raises(StepFailed, match="differ in their columns") as failed:
        write_seeds({"gradeLevelDescriptors": [row("3", None), odd]}, tmp_path)
    assert failed.value.code == "invalid_job"
