"""A job of its own for rows whose ids somebody has fixed."""

import threading

import pytest
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam import errors
from earthbeam.files import DirectoryStore, open_store
from earthbeam.jobs import unmatched
from earthbeam.jobs.confirmed_students import Confirmed, opened
from earthbeam.jobs.lifecycle import start_run
from earthbeam.jobs.rerun_rows import RowsTaken, RunChanged, rerun_rows, taken_rows
from earthbeam.jobs.unmatched import NotFixable
from earthbeam.models import ConfirmedStudent, Job, Run
from earthbeam.paths import app_data_base_path
from earthbeam.runs import payload
from partners.models import OdsConnection
from tests import factories, people
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(db):
    return factories.make_unmatched_run(
        input_params={"FORM": "B"},
        files={
            "INPUT_FILE": ("Fall #1 (SR).csv", factories.UNMATCHED_INPUT.encode()),
            "INPUT_FILE_SKILLS": ("skills.csv", b"skill\n1\n"),
        },
    )


@pytest.fixture
def person(db):
    return people.make_user()


def rows_of(run):
    return unmatched.read(run, factories.told_of(run))


def content(job, key="INPUT_FILE"):
    file = job.files.get(template_key=key)
    with open_store(app_data_base_path(job)).open(f"input/{file.stored_name}") as stream:
        return file.name, stream.read()


def test_the_job_loads_the_rows_with_their_new_ids_as_its_parent_was_loaded(run, person):
    child = rerun_rows(run, rows_of(run), {3: "0042", 2: "604900"}, by=person)
    assert content(child) == (
        "Fall #1 (SR).csv",
        b'student_id,name,score\r\n604900,"O""Brien, Pat",013\r\n0042,Kim,=9\r\n',
    )
    assert content(child, "INPUT_FILE_SKILLS") == ("skills.csv", b"skill\n1\n")
    assert (child.parent, child.created_by, child.bundle) == (run.job, person, run.job.bundle)
    assert (child.tenant, child.school_year) == (run.job.tenant, run.job.school_year)
    assert child.input_params["FORM"] == "B"
    child.refresh_from_db()
    assert child.last_run is not None
    assert child.last_run.started_by == person
    assert [queued.args for queued in ProcrastinateJob.objects.all()] == [
        {"run_id": str(child.last_run_id)}
    ]


def test_its_students_are_looked_for_in_the_fixed_column_alone(run, person):
    # Of few rows another column may match as well as the fixed one, and to other students.
    child = rerun_rows(run, rows_of(run), {1: "604900"}, by=person)
    told = payload.build(child.runs.get())
    assert told["studentIdColumn"] == "student_id"
    assert told["inputParams"]["POSSIBLE_STUDENT_ID_COLUMNS"] == "student_id"
    assert "POSSIBLE_STUDENT_ID_COLUMNS" not in payload.build(run)["inputParams"]


def test_a_chosen_student_is_remembered_for_the_rows_id_and_a_typed_id_is_not(run, person):
    child = rerun_rows(run, rows_of(run), {2: "604900"}, by=person, students={1: "s1", 3: "s3"})
    kept = ConfirmedStudent.objects.all()
    ids = {number: rows_of(run).id_of(number) for number in (1, 3)}
    assert {opened(row) for row in kept} == {
        Confirmed("student_id", ids[number], f"s{number}") for number in (1, 3)
    }
    assert {(row.job, row.confirmed_by, row.tenant) for row in kept} == {
        (run.job, person.username, run.job.tenant)
    }
    assert child.decided_rows == 2


def test_what_a_client_of_the_api_chooses_is_remembered_as_its_own(run):
    child = rerun_rows(run, rows_of(run), {}, api_client="state tool", students={1: "s1"})
    assert (child.api_client, child.created_by) == ("state tool", None)
    assert ConfirmedStudent.objects.get().confirmed_by == "state tool"


def test_nothing_is_remembered_of_a_job_that_could_not_be_made(run, person):
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    with pytest.raises(errors.NoOdsConnection):
        rerun_rows(run, rows_of(run), {}, by=person, students={1: "s1"})
    assert not ConfirmedStudent.objects.exists()


def test_a_row_is_taken_once(run, person):
    file = rows_of(run)
    first = rerun_rows(run, file, {1: "604900"}, by=person)
    assert taken_rows(run.job, file) == {1: first}
    with pytest.raises(RowsTaken) as caught:
        rerun_rows(run, file, {1: "604901", 2: "604902"}, by=person)
    assert caught.value.jobs == {1: first}
    second = rerun_rows(run, file, {2: "604902"}, by=person)
    assert taken_rows(run.job, file) == {1: first, 2: second}


def test_rows_of_a_job_that_failed_are_free_again(run, person):
    file = rows_of(run)
    child = rerun_rows(run, file, {1: "604900"}, by=person)
    Run.objects.filter(job=child).update(status=Run.Status.ERROR)
    assert taken_rows(run.job, file) == {}
    rerun_rows(run, file, {1: "604901"}, by=person)


def test_rows_of_another_run_and_revised_files_take_nothing(run, person):
    factories.make_job(parent=run.job)
    other = factories.make_unmatched_run(
        rows_left=b"student_id,name,score\r\n604003,Kim,=9\r\n",
        original=factories.UNMATCHED_INPUT.encode(),
    )
    rerun_rows(run, rows_of(run), {1: "604900"}, by=person)
    assert taken_rows(run.job, rows_of(other)) == {}


def test_a_job_that_was_started_again_meanwhile_is_left_alone(run, person):
    file = rows_of(run)
    start_run(run.job)
    with pytest.raises(RunChanged):
        rerun_rows(run, file, {1: "604900"}, by=person)
    assert Job.objects.count() == 1


@pytest.mark.parametrize("missing", ["connection", "input", "skills", "artifact rows"])
def test_what_stops_it_leaves_nothing(run, person, missing):
    file = rows_of(run)
    store = open_store(app_data_base_path(run.job))
    assert isinstance(store, DirectoryStore)
    expected = {
        "connection": errors.NoOdsConnection,
        "input": NotFixable,
        "skills": OSError,
        "artifact rows": NotFixable,
    }[missing]
    if missing == "connection":
        OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    elif missing == "artifact rows":
        factories.store_file(run.job, "input/INPUT_FILE__Fall #1 (SR).csv", b"student_id,a\n1,2\n")
    else:
        name = {"input": "INPUT_FILE__Fall #1 (SR).csv", "skills": "INPUT_FILE_SKILLS__skills.csv"}
        (store.root / "input" / name[missing]).unlink()
    with pytest.raises(expected):
        rerun_rows(run, file, {1: "604900"}, by=person)
    assert Job.objects.count() == 1
    assert not ProcrastinateJob.objects.exists()


@pytest.mark.parametrize("stored", [0, 1, 2])
def test_a_storage_that_fails_half_way_leaves_no_file(run, person, monkeypatch, stored, settings):
    file, save = rows_of(run), DirectoryStore.save
    saved: list[str] = []
    before = open_store(settings.FILES_BASE).list()

    def filling(self, stream, key):
        if len(saved) == stored:
            raise OSError(28, "No space left on device")
        saved.append(key)
        return save(self, stream, key)

    monkeypatch.setattr(DirectoryStore, "save", filling)
    with pytest.raises(OSError, match="No space"):
        rerun_rows(run, file, {1: "604900"}, by=person)
    assert Job.objects.count() == 1
    assert open_store(settings.FILES_BASE).list() == before


@pytest.mark.usefixtures("queue")
def test_of_people_who_mend_the_same_row_at_once_exactly_one_makes_a_job():
    run = factories.make_unmatched_run()
    file, people_at_it = rows_of(run), [people.make_superuser(f"person{n}") for n in range(6)]
    ready = threading.Barrier(len(people_at_it))
    outcomes: list[Job | RowsTaken] = []

    def fix(person, own):
        try:
            ready.wait()
            # Everybody has fixed row 1; half of them another row as well.
            ids = {1: "604900"} | ({2: "604901"} if own % 2 else {})
            outcomes.append(rerun_rows(run, file, ids, by=person))
        except RowsTaken as error:
            outcomes.append(error)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=fix, args=(person, own)) for own, person in enumerate(people_at_it)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = Job.objects.get(parent=run.job)
    assert sorted(type(each).__name__ for each in outcomes) == ["Job"] + ["RowsTaken"] * 5
    assert all(
        set(each.jobs.values()) == {made} for each in outcomes if isinstance(each, RowsTaken)
    )
    assert made.runs.count() == ProcrastinateJob.objects.count() == 1


@pytest.mark.usefixtures("queue")
def test_people_who_mend_different_rows_at_once_all_get_their_job():
    run = factories.make_unmatched_run()
    file, person = rows_of(run), people.make_superuser()
    ready = threading.Barrier(3)
    made = []

    def fix(number):
        try:
            ready.wait()
            made.append(rerun_rows(run, file, {number: f"60490{number}"}, by=person))
        finally:
            connection.close()

    threads = [threading.Thread(target=fix, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 3
    assert set(taken_rows(run.job, file)) == {1, 2, 3}
