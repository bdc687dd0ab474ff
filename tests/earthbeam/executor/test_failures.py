"""Whole runs that go wrong: the error that is reported, and nothing half done."""

import pytest

from runway.sandbox.input_files import write_interim_file
from runway.sandbox.ods import Faults
from runway.sandbox.population import CURRENT, EARLIER, in_group
from tests.earthbeam.executor.conftest import edu_roster, on_file_and_s3
from tests.earthbeam.executor.error_reports import check_error
from tests.earthbeam.executor.test_runs import INTERIM, interim

pytestmark = pytest.mark.slow


@pytest.fixture
def good_file(tmp_path):
    return write_interim_file(tmp_path).path


def fails(app, workbench, code, **variables):
    """Run the executor; it reports ``code`` and ends properly. Returns the error's payload."""
    ended = workbench.run(**variables)
    assert ended.exit_status == 0, ended.log
    assert app.outcome() == "done failure"
    assert [name for name, _ in app.reports][-3:] == ["status", "error", "status"]
    assert app.steps()[-2].endswith(" failure")
    error = app.error()
    assert error["code"] == code, error
    check_error(app, ended.log)
    assert app.posted("output-files") == []
    assert list(workbench.scratch.iterdir()) == []
    return error["payload"]


def test_an_unusable_file_is_told_in_words(app, ods, workbench, write_file):
    workbench.job(write_file("scores.csv", b"Name,Score\nAna,7\n"), INTERIM, ods)
    told = fails(app, workbench, "earthmover_run")["message"]
    assert "StudentNumber, StateStudentID" in told
    assert ods.received_counts() == {}


def test_a_file_with_ids_but_not_the_bundles_columns_fails_in_earthmover(
    app, ods, workbench, write_file
):
    known = in_group(CURRENT)[10:14]
    content = "StateStudentID\n" + "".join(f"{s.state_id}\n" for s in known)
    workbench.job(write_file("scores.csv", content.encode()), INTERIM, ods)
    payload = fails(app, workbench, "earthmover_run")
    assert "not present" in payload["stacktrace"] or "undefined" in payload["stacktrace"]
    assert ods.received_counts() == {}


def test_when_no_row_matches_the_best_pair_is_named(app, ods, workbench, write_file):
    content = interim([(f"X{n}", f"Y{n}", "A") for n in range(6)])
    app.roster = edu_roster
    workbench.job(write_file("scores.csv", content.encode()), INTERIM, ods, cross_year=True)
    payload = fails(app, workbench, "insufficient_matches")
    assert (payload["match_rate"], payload["match_threshold"]) == (0, 0.5)
    assert (payload["id_name"], payload["id_type"]) == ("StudentNumber", "studentUniqueId")


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        (Faults(refuse_credentials=True), "lightbeam_fetch"),
        (Faults(empty_roster=True), "missing_ods_roster"),
        (Faults(roster_page=2, roster_page_status=403), "lightbeam_fetch"),
    ],
    ids=["wrong credentials", "empty roster", "page answers 403"],
)
def test_an_ods_without_a_usable_roster(app, ods, workbench, good_file, faults, code):
    ods.faults = faults
    workbench.job(good_file, INTERIM, ods)
    fails(app, workbench, code)


def test_an_ods_that_cannot_be_reached(app, ods, workbench, good_file):
    workbench.job(good_file, INTERIM, ods)
    app.payload["assessmentDatastore"]["url"] = "http://127.0.0.1:9"
    fails(app, workbench, "lightbeam_fetch")


def test_an_ods_that_refuses_every_record(app, ods, workbench, good_file):
    ods.faults = Faults(reject_posts=True)
    workbench.job(good_file, INTERIM, ods)
    fails(app, workbench, "lightbeam_send")
    assert "lb-send-results.json" in workbench.output()


def test_edu_that_fails_at_once_fails_the_run_before_anything_is_sent(
    app, ods, workbench, good_file
):
    app.roster_status = 409
    workbench.job(good_file, INTERIM, ods, cross_year=True)
    fails(app, workbench, "cross_year_roster_fetch")
    assert ods.received_counts() == {}
    assert "studentEducationOrganizationAssociations.jsonl" in workbench.output()


def test_a_roster_that_cannot_be_read_is_told_without_its_content(app, ods, workbench, good_file):
    app.roster = lambda: [*edu_roster(), b'{"secret": 1}\n']
    workbench.job(good_file, INTERIM, ods, cross_year=True)
    message = fails(app, workbench, "cross_year_roster_fetch")["message"]
    assert "Line 961 of the roster" in message
    assert ods.received_counts() == {}


def test_one_transform_that_fails_keeps_the_other_set_from_being_sent(
    app, ods, workbench, write_file
):
    # All rows of the earlier years' students have a date that is none: too many to be held.
    known = in_group(CURRENT)[10:20]
    earlier = in_group(EARLIER)[:6]
    content = interim([(s.state_id, "", "A") for s in known])
    of_earlier = interim([(s.state_id, "", "B") for s in earlier]).partition("\n")[2]
    content += of_earlier.replace("09/13/2025", "soon")
    app.roster = edu_roster
    workbench.job(write_file("scores.csv", content.encode()), INTERIM, ods, cross_year=True)
    fails(app, workbench, "earthmover_run")
    assert ods.received_counts() == {}


@pytest.mark.parametrize("bundle", ["assessments/NO_SUCH", "packages/none"])
def test_a_bundle_path_that_does_not_exist(app, ods, workbench, good_file, bundle):
    workbench.job(good_file, bundle, ods)
    assert bundle in fails(app, workbench, "bundle_git_pull")["message"]


def test_a_branch_that_does_not_exist(app, ods, workbench, good_file):
    workbench.job(good_file, INTERIM, ods)
    app.payload["bundle"]["branch"] = "none"
    assert "'none'" in fails(app, workbench, "bundle_git_pull")["message"]


def test_a_repository_that_cannot_be_fetched(app, ods, workbench, good_file, tmp_path):
    workbench.job(good_file, INTERIM, ods)
    fails(app, workbench, "bundle_git_pull", BUNDLE_REPO=str(tmp_path / "nowhere"))


@on_file_and_s3
def test_an_input_file_that_is_gone(app, ods, workbench, good_file):
    workbench.job(good_file, INTERIM, ods)
    app.payload["inputFiles"]["INPUT_FILE"] = "INPUT_FILE__gone.csv"
    payload = fails(app, workbench, "input_s3_download")
    assert (payload["name"], payload["path"]) == ("INPUT_FILE", "input/INPUT_FILE__gone.csv")


def test_an_unusable_job_is_reported_and_ends_with_a_status(app, ods, workbench, good_file):
    workbench.job(good_file, INTERIM, ods)
    del app.payload["inputFiles"]
    ended = workbench.run()
    assert ended.exit_status == 1
    assert app.error()["code"] == "invalid_job"
    check_error(app, ended.log)
    assert app.steps() == ["done failure"]


def test_a_refused_handshake_ends_with_a_status(app, workbench):
    app.init_status = 401
    ended = workbench.run()
    assert ended.exit_status == 1
    assert app.reports == []
    assert "401" in ended.log


def test_a_missing_variable_is_named(workbench):
    ended = workbench.run(INIT_TOKEN="")
    assert ended.exit_status == 2
    assert "INIT_TOKEN" in ended.log


def test_the_time_limit_ends_the_run_and_its_children(app, ods, workbench, good_file):
    ods.faults = Faults(delay_seconds=30)
    workbench.job(good_file, INTERIM, ods)
    payload = fails(app, workbench, "executor_timeout", TIMEOUT_SECONDS="12")
    assert payload["timeout_seconds"] == 12
    assert app.steps()[-2] == "get_student_roster failure"
