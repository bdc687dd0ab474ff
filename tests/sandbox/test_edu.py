import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runway.sandbox.edu import SandboxEdu, associations, codes
from runway.sandbox.population import CURRENT_YEAR, OTHER_TENANT, TENANT, UNKNOWN, students

pytestmark = pytest.mark.slow


def test_everybody_but_the_unknown_is_in_edu_in_all_their_years():
    expected = {
        (student.tenant, student.unique_id, year)
        for student in students()
        if student.group != UNKNOWN
        for year in student.years
    }
    rows = associations()
    assert {(row.tenant_code, row.student_unique_id, row.api_year) for row in rows} == expected
    assert {row.tenant_code for row in rows} == {TENANT, OTHER_TENANT}
    assert max(row.api_year for row in rows) == CURRENT_YEAR
    assert len({row.api_year for row in rows}) >= 4


def test_codes_belong_to_associations_and_are_never_blank():
    known = {row.k_student for row in associations()}
    assert all(code.k_student in known and code.id_code for code in codes())
    assert {code.id_system for code in codes()} == {"State", "Local"}


def test_a_start_that_fails_says_why():
    broken: Any = [("too", "few")]
    edu = SandboxEdu(seed=(broken, []))
    with pytest.raises(RuntimeError, match="Association"):
        edu.start()


def test_no_process_outlives_its_end():
    with SandboxEdu(seed=([], [])) as edu:
        process = edu._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None


def test_the_server_ends_with_its_parent():
    program = (
        "import time; from runway.sandbox.edu import SandboxEdu;"
        "edu = SandboxEdu(seed=([], [])).start(); print(edu._process.pid, flush=True);"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while _alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"
