"""The job that Runway is for, on all of its parts: what a person sees in the end."""

import os
import re
from pathlib import Path

import pytest

from earthbeam.executor.environment import certificate_authorities
from earthbeam.jobs.lifecycle import start_run
from runway.sandbox.population import CURRENT, EARLIER, in_group, students
from tests.e2e.holds import slow_roster
from tests.e2e.jobs import (
    ALL_STEPS,
    csv_rows,
    json_lines,
    life,
    output,
    steps,
    student_ids,
    submit,
    wait_for_end,
    wait_for_step,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ARTIFACTS = {
    "studentEducationOrganizationAssociations.jsonl",
    "em-results.json",
    "em-results-x-year.json",
    "student_id_match_rates.csv",
    "input_no_student_id_match.csv",
    "lb-send-results.json",
}


def splits_as_expected(run, sample, ods):
    """The rows' three ways by everybody's word: the ODS's, the sets', the unmatched file's."""
    expected = sample.expected
    in_ods = {student.unique_id for student in in_group(CURRENT)}
    gone = {student.unique_id for student in in_group(EARLIER)}

    matches = run.matches
    assert (matches.input_rows, matches.ods_matched) == (expected.rows, expected.ods)
    assert (matches.cross_year_matched, matches.unmatched) == (
        expected.cross_year,
        expected.unmatched,
    )
    assert (matches.blank_ids, matches.ambiguous_ids) == (expected.blank, expected.ambiguous)
    assert (matches.id_name, matches.id_type) == (expected.id_name, expected.id_type)

    sent, offered = run.output_sets.order_by("path").reverse()
    assert (sent.sent_to_ods, offered.sent_to_ods) == (True, False)
    assert [each.path.rsplit("/", 1)[1] for each in (sent, offered)] == ["ods", "non-ods"]
    for name, output_set in (("ods", sent), ("non-ods", offered)):
        assert sorted(output_set.files) == sorted(
            path.name for path in (output(run) / name).iterdir()
        )
        assert "studentAssessments.jsonl" in output_set.files

    received = ods.received("studentAssessments")
    assert len(received) == expected.ods
    assert student_ids(received) <= in_ods
    assert student_ids(json_lines(output(run) / "ods" / "studentAssessments.jsonl")) == student_ids(
        received
    )
    others = json_lines(output(run) / "non-ods" / "studentAssessments.jsonl")
    assert len(others) == expected.cross_year
    assert student_ids(others) <= gone

    unmatched = csv_rows(output(run) / "input_no_student_id_match.csv")
    original = csv_rows(sample.path)
    assert len(unmatched) == run.unmatched_ids.count == expected.unmatched
    assert all(row in original for row in unmatched)

    records = run.summary.get(resource="studentAssessments")
    assert records.records_processed == expected.ods + expected.cross_year
    assert (records.records_skipped, records.records_failed) == (0, 0)


def test_a_file_is_split_between_the_ods_edu_and_its_owner(stack, ods, interim):
    with slow_roster(ods):
        run = start_run(submit(interim))
        wait_for_step(run, "get_student_roster")
        # In its sandbox, whose own process knows nothing of the run. The executor may just be
        # starting another program, and looks like two until that is loaded.
        environment = variables(
            min(pid for pid, line in stack.processes().items() if "manage.py executor" in line)
        )
    wait_for_end(run)

    assert run.status == "success", run.log.text
    assert not run.errors.exists()
    created, launched, started, ended = life(run)
    assert created < min(launched, started)  # of which the worker may tell late
    assert max(launched, started) < ended
    assert steps(run) == [*ALL_STEPS, "done success"]
    splits_as_expected(run, interim, ods)
    stored = {file.path: file.size for file in run.output_files.all()}
    assert {path for path in stored if "/" not in path} == ARTIFACTS
    assert stored == {
        path.relative_to(output(run)).as_posix(): path.stat().st_size
        for path in output(run).rglob("*")
        if path.is_file()
    }
    assert f"Run {run.pk}\n" in run.log.text
    assert "== lightbeam_send" in run.log.text
    assert identifying_texts(ods) & set(words(run.log.text)) == set()
    assert identifying_texts(ods) & set(words(stack.log("web") + stack.log("worker"))) == set()
    # The executor knows its run and nothing else of ours.
    assert set(environment) - {"PWD", *certificate_authorities()} == {
        *("INIT_TOKEN", "INIT_JOB_URL", "TIMEOUT_SECONDS", "BUNDLE_REPO", "BUNDLE_MIRROR"),
        *("PATH", "HOME", "TMPDIR", "LANG", "PYTHONUTF8", "PYTHONUNBUFFERED"),
    }
    assert environment["INIT_TOKEN"] not in run.log.text
    assert stack.left_behind() == []


def variables(pid):
    """The environment that a process was started with."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(os.fsdecode(entry).split("=", 1) for entry in entries if entry)


def identifying_texts(ods):
    """What no log may hold: the ODS's secret, and ids by which a student could be found."""
    ids = {text for student in students() for text in (student.unique_id, student.state_id)}
    return {ods.client_secret, *ids}


def words(text):
    # Processes may have the same numbers as students.
    text = re.sub(r"\[\d+\]|\bpid:? ?\d+", " ", text)
    for mark in "\"'=,:;|()[]{}<>/\\#":
        text = text.replace(mark, " ")
    return text.split()


def test_below_the_threshold_every_ods_student_goes_to_the_ods_and_only_the_others_to_edu(
    stack, ods, summative
):
    run = wait_for_end(start_run(submit(summative)))

    assert run.status == "success", run.log.text
    assert summative.expected.ods / summative.expected.rows < 0.5
    splits_as_expected(run, summative, ods)
    assert stack.left_behind() == []
