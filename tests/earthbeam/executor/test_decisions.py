"""The files with what people have decided: what is no decision is refused without quoting it."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from earthbeam.executor.decisions import Decisions, fetch_decisions
from earthbeam.executor.errors import StepFailed
from earthbeam.files import open_store


@pytest.fixture
def fetch(tmp_path):
    (tmp_path / "workspace").mkdir()
    store = open_store(f"file://{tmp_path}/job")

    def fetch(**files):
        for name, lines in files.items():
            path = tmp_path / name
            path.write_text("".join(f"{line}\n" for line in lines))
            store.upload(path, f"input/{name}")
        job: Any = SimpleNamespace(
            decisions_file="decisions" if "decisions" in files else None,
            confirmed_file="confirmed" if "confirmed" in files else None,
        )
        workspace: Any = SimpleNamespace(root=tmp_path / "workspace")
        found = fetch_decisions(job, store, workspace)
        assert list((tmp_path / "workspace").iterdir()) == []
        return found

    return fetch


def test_rows_are_counted_from_0_and_ids_are_kept_by_column(fetch):
    assert fetch() == Decisions()
    found = fetch(
        decisions=[json.dumps({"row": 3, "studentUniqueId": "604822"})],
        confirmed=[
            json.dumps({"column": "A", "id": "1", "studentUniqueId": "604822"}),
            json.dumps({"column": "B", "id": "1", "studentUniqueId": "604823"}),
        ],
    )
    assert found == Decisions({2: "604822"}, {"A": {"1": "604822"}, "B": {"1": "604823"}})


@pytest.mark.parametrize(
    "line",
    [
        {"row": 0, "studentUniqueId": "604822"},
        {"row": True, "studentUniqueId": "604822"},
        {"row": 1, "studentUniqueId": " "},
        {"row": 1},
        ["604822"],
        "{604822",
    ],
    ids=["row 0", "row true", "blank", "no student", "a list", "not JSON"],
)
def test_a_line_that_decides_nothing_about_a_row_fails_the_job(fetch, line):
    refused(fetch, "decisionsFile", decisions=[line])


@pytest.mark.parametrize(
    "line",
    [
        {"column": "A", "id": "604822", "studentUniqueId": " "},
        {"column": "A", "id": 604822, "studentUniqueId": "1"},
        {"id": "604822", "studentUniqueId": "1"},
        ["604822"],
        "{604822",
    ],
    ids=["blank", "a number", "no column", "a list", "not JSON"],
)
def test_a_line_that_confirms_nothing_fails_the_job(fetch, line):
    refused(fetch, "confirmedFile", confirmed=[line])


def refused(fetch, key, **files):
    lines = {
        name: [each if isinstance(each, str) else json.dumps(each) for each in lines]
        for name, lines in files.items()
    }
    with pytest.raises(StepFailed) as caught:
        fetch(**lines)
    assert caught.value.code == "invalid_job"
    assert key in str(caught.value)
    assert "604822" not in str(caught.value)
    assert caught.value.__cause__ is None
