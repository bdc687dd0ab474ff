import csv
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

from runway.sandbox.bundle_repository import BUNDLES
from runway.sandbox.input_files import InputFile, write_interim_file, write_summative_file
from runway.sandbox.ods.roster import roster
from runway.sandbox.population import CURRENT_YEAR, TENANT, students

BOTH = pytest.mark.parametrize("write", [write_interim_file, write_summative_file])


def rows_of(file: InputFile) -> list[dict[str, str]]:
    with file.path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@cache
def ods_ids() -> dict[tuple[str, str], set[str]]:
    """Type and code to the students who have it."""
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in roster(students(), CURRENT_YEAR):
        for code in record.get("studentIdentificationCodes", []):
            kind = code["studentIdentificationSystemDescriptor"].partition("#")[2]
            ids[kind, code["identificationCode"]].add(record["studentReference"]["studentUniqueId"])
    return ids


@cache
def edu_ids() -> dict[tuple[str, str], set[str]]:
    """The same for all years, where the sample district is concerned."""
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for student in students():
        if student.tenant == TENANT and student.years:
            ids["State", student.state_id].add(student.unique_id)
            ids["Local", student.local_id].add(student.unique_id)
    return ids


def outcome(row: dict[str, str], column: str, kind: str) -> str:
    code = row[column].removesuffix(".0")
    if not code:
        return "blank"
    for name, ids in (("ods", ods_ids()), ("cross-year", edu_ids())):
        if owners := ids.get((kind, code)):
            return name if len(owners) == 1 else "ambiguous"
    return "unknown"


@BOTH
def test_rows_split_as_expected(write, tmp_path: Path) -> None:
    file = write(tmp_path)
    expected = file.expected
    outcomes = Counter(outcome(row, expected.id_name, expected.id_type) for row in rows_of(file))
    assert outcomes.total() == expected.rows
    assert outcomes["ods"] == expected.ods
    assert outcomes["cross-year"] == expected.cross_year
    assert outcomes["blank"] == expected.blank
    assert outcomes["ambiguous"] == expected.ambiguous
    assert expected.rows - expected.ods - expected.cross_year == expected.unmatched


@BOTH
def test_no_other_pair_of_column_and_type_matches_as_well(write, tmp_path: Path) -> None:
    file = write(tmp_path)
    rows = rows_of(file)
    number = "StudentNumber" if "StudentNumber" in rows[0] else "DistrictID"
    for ids in (ods_ids(), edu_ids()):
        matches = {
            (column, kind): sum((kind, row[column].removesuffix(".0")) in ids for row in rows)
            for column in (number, file.expected.id_name)
            for kind in ("State", "Local")
        }
        winner = (file.expected.id_name, file.expected.id_type)
        assert all(count < matches[winner] for pair, count in matches.items() if pair != winner)


def test_the_interim_file_is_matched_by_the_ods_and_the_summative_one_is_not(
    tmp_path: Path,
) -> None:
    interim, summative = write_interim_file(tmp_path), write_summative_file(tmp_path)
    assert interim.expected.ods / interim.expected.rows >= 0.5
    assert summative.expected.ods / summative.expected.rows < 0.5
    assert "_MA_" in summative.path.name


@BOTH
def test_files_are_the_same_at_every_writing(write, tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    assert first.path.read_bytes() == second.path.read_bytes()


@BOTH
def test_columns_are_those_of_the_bundles_own_sample(write, tmp_path: Path) -> None:
    file = write(tmp_path)
    sample = next((BUNDLES / file.bundle / "data").glob("sample_*.csv"))
    header = file.path.read_text(encoding="utf-8").splitlines()[0]
    assert header == sample.read_text(encoding="utf-8").splitlines()[0]


def test_values_are_as_awkward_as_in_real_files(tmp_path: Path) -> None:
    rows = rows_of(write_interim_file(tmp_path))
    ids = [row["StateStudentID"] for row in rows]
    assert any(value.endswith(".0") for value in ids)
    assert any(value.startswith("0") for value in ids)
    names = [row["StudentName"] for row in rows]
    assert any('"' in name and "," in name for name in names)
    assert any(not name.isascii() for name in names)


def test_every_result_has_a_key_of_its_own(tmp_path: Path) -> None:
    rows = rows_of(write_interim_file(tmp_path))
    keys = [(r["StateStudentID"], r["Subject"], r["TestDate"]) for r in rows if r["StateStudentID"]]
    shared = 1  # two students with one id
    assert len(set(keys)) >= len(keys) - shared
