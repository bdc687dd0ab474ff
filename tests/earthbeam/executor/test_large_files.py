"""Files that are transformed in parts: whole results, and faults in the middle."""

import json
import os
import signal

import pytest

from earthbeam.executor.earthmover.parts import PART_BYTES
from earthbeam.executor.errors import NO_SPACE
from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor import hostile
from tests.earthbeam.executor.conftest import edu_roster
from tests.earthbeam.executor.processes.test_background import comes
from tests.earthbeam.executor.processes.test_interruption import descendants, gone
from tests.earthbeam.executor.test_runs import INTERIM, interim, json_lines
from tests.earthbeam.executor.workspace.test_full_disks import small_disk

pytestmark = pytest.mark.slow

change_bundles = hostile.change_bundles

ROWS = 9_000
LAST = "the one in the last part"
TEMPLATE = f"{INTERIM}/templates/studentAssessments.jsont"


@pytest.fixture
def job(app, workbench, write_file):
    """A job whose input has three parts, for EDU alone."""
    known = in_group(CURRENT)[10:14]
    rows = [(known[n % 4].state_id, str(n), f"{'x' * 1300} {n}") for n in range(ROWS - 1)]
    rows.append((known[0].state_id, str(ROWS), LAST))
    content = interim(rows).encode()
    assert 2 * PART_BYTES < len(content) < 3 * PART_BYTES
    app.roster = edu_roster
    workbench.job(write_file("scores.csv", content), INTERIM, None, cross_year=True)
    return known


def in_the_last_part(jinja):
    """A change of the template that does something in the last row."""
    return {TEMPLATE: lambda text: f"{{% if StudentName == '{LAST}' %}}{jinja}{{% endif %}}{text}"}


def test_a_file_in_parts_arrives_whole_and_in_order(app, job, workbench):
    ended = workbench.run()
    assert app.outcome() == "done success", ended.log
    records = json_lines(workbench.output()["non-ods/studentAssessments.jsonl"])
    expected = [job[n % 4].unique_id for n in range(ROWS - 1)] + [job[0].unique_id]
    assert [record["studentReference"]["studentUniqueId"] for record in records] == expected
    counts = json.loads(workbench.output()["em-results-x-year.json"])["row_counts"]
    assert counts["$destinations.studentAssessments"] == ROWS
    assert list(workbench.scratch.iterdir()) == []
    assert "\x1e" not in ended.log


def test_a_row_that_fails_in_the_last_part_is_held_and_the_others_arrive_in_order(
    app, job, workbench, change_bundles
):
    workbench.bundle_repo = change_bundles(in_the_last_part("{{ 1 // 0 }}"))
    ended = workbench.run()
    assert app.outcome() == "done success", ended.log
    assert "error rendering Jinja template in `template` file" in ended.log
    assert "integer division or modulo by zero" in ended.log
    [matches] = app.posted("matches")
    assert (matches["untransformable"], matches["crossYearMatched"]) == (1, ROWS - 1)
    records = json_lines(workbench.output()["non-ods/studentAssessments.jsonl"])
    expected = [job[n % 4].unique_id for n in range(ROWS - 1)]
    assert [record["studentReference"]["studentUniqueId"] for record in records] == expected
    [held] = json_lines(workbench.output()["row_review.jsonl"])
    assert (held["row"], held["cell"]["column"]) == (ROWS, "StudentName")
    assert list(workbench.scratch.iterdir()) == []


def test_a_part_that_is_killed_fails_the_run_and_stores_no_results(
    app, job, workbench, change_bundles
):
    kill = "{% set os = cycler.__init__.__globals__.os %}{{ os.kill(os.getpid(), 9) }}"
    workbench.bundle_repo = change_bundles(in_the_last_part(kill))
    ended = workbench.run()
    assert app.outcome() == "done failure", ended.log
    assert app.error()["code"] in ("earthmover_run", "unknown")
    assert "The system killed earthmover" in app.error()["payload"]["message"]
    assert not [name for name in workbench.output() if name.endswith(".jsonl")]
    assert list(workbench.scratch.iterdir()) == []


def test_a_disk_that_fills_while_parts_are_made_is_said_to_be_full(app, job, workbench):
    with small_disk(workbench.scratch, 33 * 1024 * 1024):
        ended = workbench.run()
        assert list(workbench.scratch.iterdir()) == []
    assert app.outcome() == "done failure", ended.log
    assert app.steps()[-2] == "earthmover_run failure"
    assert app.error()["payload"]["message"] == NO_SPACE
    assert not [name for name in workbench.output() if name.endswith(".jsonl")]


def test_the_time_limit_ends_all_parts(app, job, workbench, change_bundles):
    sleep = "{{ cycler.__init__.__globals__.__builtins__.__import__('time').sleep(300) }}"
    workbench.bundle_repo = change_bundles(in_the_last_part(sleep))
    process = workbench.start()
    # Not by glob, which fails on folders that are removed meanwhile.
    assert comes(
        lambda: any(
            "/parts-" in folder and folder.endswith("/2") and "input" in (*folders, *files)
            for folder, folders, files in os.walk(workbench.scratch)
        )
    )
    children = descendants(process.pid)
    process.send_signal(signal.SIGALRM)
    log, _ = process.communicate(timeout=60)
    assert app.outcome() == "done failure", log
    assert app.error()["code"] == "executor_timeout"
    assert gone(children)
    assert list(workbench.scratch.iterdir()) == []
