"""The plan against the student_ids package, run by stock earthmover, wherever the package is right.

It is right where no id of the input is blank and no id of the roster is shared by two students.
"""

import csv
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from earthbeam.matching import InsufficientMatches, match, read_roster
from runway.sandbox.bundle_repository import create_bundle_repository
from tests.sandbox.tools import run_earthmover

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# Digits with leading zeros, letters outside ASCII, inner blanks, other endings: all just text.
TEXT = st.text(st.sampled_from("0123456789aZéß -."), min_size=1, max_size=9)
IDS = TEXT.filter(lambda text: text == text.strip() and not text.endswith(".0"))


@st.composite
def rosters(draw):
    """Students by (unique id, State id, Local id), no id of a type held by two of them. Some have
    no Local id; a State id may be another's Local id."""
    unique = draw(st.lists(IDS, min_size=3, max_size=12, unique=True))
    size = st.just(len(unique))
    states, local = (
        draw(size.flatmap(lambda n: st.lists(IDS, min_size=n, max_size=n, unique=True)))
        for _ in range(2)
    )
    has_local = draw(st.lists(st.booleans(), min_size=len(unique), max_size=len(unique)))
    return [
        (one, state, code if has else None)
        for one, state, code, has in zip(unique, states, local, has_local, strict=True)
    ]


@st.composite
def cases(draw):
    """A roster, and rows whose columns mostly hold Local and State ids, in either order."""
    roster = draw(rosters())
    students = st.sampled_from(roster)
    anything = st.sampled_from([value for each in roster for value in each if value]) | IDS

    def mostly(place):
        own = students.map(lambda student: student[place] or student[0])
        return (own | own | own | anything).flatmap(
            lambda value: st.sampled_from([value, value, f"{value}.0"])
        )

    places = draw(st.permutations([1, 2]))
    row = st.tuples(*(mostly(place) for place in places))
    return roster, draw(st.lists(row, min_size=5, max_size=28))


def roster_lines(roster):
    for unique, state, local in roster:
        codes = [
            ("uri://example.org/System#State", state),
            ("uri://example.org/System#Local", local),
        ]
        yield json.dumps(
            {
                "educationOrganizationReference": {
                    "educationOrganizationId": 255901,
                    "link": {"rel": "LocalEducationAgency"},
                },
                "studentReference": {"studentUniqueId": unique},
                "studentIdentificationCodes": [
                    {"studentIdentificationSystemDescriptor": kind, "identificationCode": code}
                    for kind, code in codes
                    if code
                ],
            }
        )


COLUMNS = ("StudentNumber", "StateStudentID")
REST = {
    "TestWindow": "Fall",
    "SchoolName": "School",
    "Grade": "5",
    "Subject": "Mathematics",
    "TestDate": "09/13/2025",
    "ScaleScore": "221",
    "StandardError": "3.4",
    "Percentile": "38",
    "Band": "Middle",
}


class Package:
    """The sample wrapper with its packages installed, as other executors run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = create_bundle_repository(folder / "repository")
        self.project = folder / "project"
        shutil.copytree(self.repository / "packages/student_id_wrapper", self.project)
        (folder / "roster.jsonl").write_text("{}\n")
        (folder / "input.csv").write_text(",".join([*COLUMNS, "StudentName", *REST]) + "\n")
        self._run("deps", "State,Local")

    def _run(self, command: str, types: str) -> None:
        run_earthmover(
            command,
            self.project / "earthmover.yaml",
            self.repository,
            self.folder / "output",
            self.folder,
            ASSESSMENT_BUNDLE="SAMPLE_INTERIM",
            INPUT_FILE=str(self.folder / "input.csv"),
            EDFI_ROSTER_SOURCE_TYPE="file",
            EDFI_ROSTER_FILE=str(self.folder / "roster.jsonl"),
            EDFI_STUDENT_ID_TYPES=types,
        )

    def match(self, lines, rows, types):
        """Its rates, best first; each row's student, by the row's number; the rows left."""
        shutil.rmtree(self.folder / "output", ignore_errors=True)
        (self.folder / "roster.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        with (self.folder / "input.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*COLUMNS, "StudentName", *REST])
            writer.writeheader()
            for number, row in enumerate(rows):
                name = {"StudentName": f"row {number}"}
                # The day tells the row in the result.
                day = {"TestDate": f"09/{number + 1:02}/2025"}
                writer.writerow(dict(zip(COLUMNS, row, strict=True)) | name | REST | day)
        self._run("run", types)
        results = (self.folder / "output/studentAssessments.jsonl").read_text().splitlines()
        students = {}
        for record in map(json.loads, results):
            number = int(record["administrationDate"][-2:]) - 1
            assert number not in students
            students[number] = record["studentReference"]["studentUniqueId"]
        left = {
            int(row["StudentName"].split()[1]) for row in self._csv("input_no_student_id_match")
        }
        rates = [
            (
                row["source_column_name"],
                row["edfi_column_name"],
                int(row["num_matches"]),
                int(row["num_rows"]),
                pytest.approx(float(row["match_rate"])),
            )
            for row in self._csv("student_id_match_rates")
        ]
        return rates, students, left

    def _csv(self, name):
        path = self.folder / f"output/{name}.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return Package(tmp_path_factory.mktemp("student-ids"))


@settings(
    max_examples=2,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(case=cases())
def test_the_plan_is_the_packages_where_ids_are_neither_blank_nor_shared(package, case):
    roster, rows = case
    lines = list(roster_lines(roster))
    columns = {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}
    try:
        plan = match(columns, lambda: read_roster(lines))
    except InsufficientMatches:
        rates, students, left = package.match(lines, rows, "State,Local")
        assert students == {}
        assert left == set(range(len(rows)))
        return

    event("matched")
    rates, students, left = package.match(lines, rows, ",".join(plan.id_types))
    ours = [(*rate.pair, rate.matches, rate.rows, rate.rate) for rate in plan.primary_rates]
    assert sorted(ours) == sorted(rates, key=lambda rate: rate[:2])
    assert students == {n: row.student for n, row in enumerate(plan.rows) if row.student}
    assert left == {n for n, row in enumerate(plan.rows) if not row.student}
