"""Matching at scale: many rows, or many students, within a bounded memory.

The figures for a million: make bench-executor.
"""

import json
import subprocess
import sys

import pytest

from tests.earthbeam.executor.conftest import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# In a program of its own, whose peak is its own.
MATCH = """
import json, sys
from pathlib import Path
from earthbeam.delimited import DelimitedFile
from earthbeam.executor.reporting.log import Redactor
from earthbeam.executor.match_step import match_students
from earthbeam.executor.job import parse
from earthbeam.executor.earthmover.transform import BundleDescription, RowsToMatch
from earthbeam.executor.workspace.folders import Workspace
from tests.earthbeam.executor.test_job import PAYLOAD

rows, roster = map(Path, sys.argv[1:3])
bundle = BundleDescription({}, {"POSSIBLE_STUDENT_ID_COLUMNS": "StateID,LocalID"})
with Workspace() as workspace:
    source = RowsToMatch(DelimitedFile(rows, "utf-8", ","), None)
    matched = match_students(
        parse(PAYLOAD), bundle, source, roster, None, None, workspace, Redactor()
    )
    print(json.dumps({
        "counts": matched.counts(),
        "unmatched": sum(1 for _ in workspace.draft("input_no_student_id_match.csv").open()) - 1,
        "peak_kb": int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]),
    }))
"""


@pytest.fixture
def match(tmp_path):
    """Matches so many rows to so many students, of which nine tenths of the rows know one."""

    def match(rows: int, students: int):
        known = rows * 9 // 10
        filling = "x" * 150
        with (tmp_path / "rows.csv").open("w") as file:
            file.write("StateID,LocalID,Name,Comment\n")
            for number in range(rows):
                state = number if number < known else 10**8 + number
                file.write(f'{state:010},L{number},"Okafor, {number}",{filling}\n')
        with (tmp_path / "roster.jsonl").open("w") as file:
            for number in range(students):
                code = json.dumps(f"{number:010}")
                file.write(
                    '{"educationOrganizationReference":{"educationOrganizationId":255901},'
                    f'"studentReference":{{"studentUniqueId":"{600_000_000 + number}"}},'
                    '"studentIdentificationCodes":[{"studentIdentificationSystemDescriptor":'
                    f'"uri://ed-fi.org/System#State","identificationCode":{code}}}]}}\n'
                )
        command = (sys.executable, "-c", MATCH)
        done = subprocess.run(
            (*command, str(tmp_path / "rows.csv"), str(tmp_path / "roster.jsonl")),
            cwd=PROJECT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return match


def test_memory_follows_the_rows_at_less_than_800_bytes_each(match):
    small, large = match(1_000, 1_000), match(150_000, 150_000)
    assert large["counts"]["odsMatched"] == 135_000
    assert large["unmatched"] == large["counts"]["unmatched"] == 15_000
    assert (large["peak_kb"] - small["peak_kb"]) * 1024 < 149_000 * 800


def test_a_large_roster_takes_no_more_memory_than_a_small_one(match):
    small, large = match(1_000, 1_000), match(1_000, 200_000)
    assert small["counts"] == large["counts"]
    assert large["peak_kb"] - small["peak_kb"] < 10_000
