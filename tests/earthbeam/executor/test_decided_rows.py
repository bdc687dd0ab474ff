"""Rows that a person has decided: they go to that student, whatever their IDs."""

import json

import pytest

from runway.sandbox.population import CURRENT, EARLIER, in_group
from tests.earthbeam.executor.conftest import edu_roster
from tests.earthbeam.executor.test_runs import INTERIM, ids_sent, interim, json_lines

pytestmark = pytest.mark.slow

HERE, GONE = in_group(CURRENT)[10:14], in_group(EARLIER)[:2]


@pytest.fixture
def decide(workbench):
    """Have people decide about rows, by number from 1."""

    def decide(*lines):
        text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
        path = workbench.root / "decisions"
        path.write_text(text)
        workbench.files.upload(path, "input/__decisions.jsonl")

    return decide


def start(app, ods, workbench, write_file, rows):
    app.roster = edu_roster
    content = interim([(value, "", "Okafor, Marisol") for value in rows]).encode()
    workbench.job(
        write_file("scores.csv", content),
        INTERIM,
        ods,
        cross_year=True,
        decisionsFile="__decisions.jsonl",
    )


def test_decided_rows_go_to_their_students_and_count_as_matched(
    app, ods, workbench, write_file, decide
):
    start(app, ods, workbench, write_file, [HERE[0].state_id, "77", "", "88", HERE[1].state_id])
    decide(
        {"row": 2, "studentUniqueId": HERE[2].unique_id},
        {"row": 3, "studentUniqueId": GONE[0].unique_id},
        {"row": 4, "studentUniqueId": "no such student"},
        {"row": 5, "studentUniqueId": HERE[3].unique_id},
    )

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    [matches] = app.posted("matches")
    assert (matches["odsMatched"], matches["crossYearMatched"], matches["unmatched"]) == (3, 1, 1)
    sent = ids_sent(ods.received("studentAssessments"))
    assert sent == {HERE[0].unique_id, HERE[2].unique_id, HERE[3].unique_id}
    offered = json_lines(workbench.output()["non-ods/studentAssessments.jsonl"])
    assert ids_sent(offered) == {GONE[0].unique_id}
    for student in (*HERE, *GONE):
        assert student.unique_id not in ended.log
    assert list(workbench.scratch.iterdir()) == []


def test_a_file_of_decided_rows_alone_is_loaded_though_no_id_matches(
    app, ods, workbench, write_file, decide
):
    start(app, ods, workbench, write_file, ["77", "88"])
    decide(*({"row": n + 1, "studentUniqueId": HERE[n].unique_id} for n in range(2)))
    ended = workbench.run()
    assert app.outcome() == "done success", ended.log
    assert len(ods.received("studentAssessments")) == 2


def test_decisions_on_rows_that_the_file_does_not_have_fail_the_job(
    app, ods, workbench, write_file, decide
):
    start(app, ods, workbench, write_file, [HERE[0].state_id])
    decide({"row": 2, "studentUniqueId": "604822"})
    ended = workbench.run()
    assert app.outcome() == "done failure", ended.log
    assert app.error()["code"] == "invalid_job"
    assert "decisionsFile" in app.error()["payload"]["message"]
    assert "604822" not in ended.log + json.dumps(app.reports)
    assert ods.received_counts() == {}


def test_decisions_that_are_gone_fail_the_run(app, ods, workbench, write_file):
    start(app, ods, workbench, write_file, [HERE[0].state_id])
    ended = workbench.run()
    assert app.outcome() == "done failure", ended.log
    assert app.error()["code"] == "input_s3_download"
