import io
import threading
from typing import Any

import pytest
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam import errors
from earthbeam.files import DirectoryStore, open_store
from earthbeam.jobs.lifecycle import create_job, start_run, store_file, submit
from earthbeam.jobs.rules import JobRequest, problems
from earthbeam.models import Bundle, Job, Run
from earthbeam.paths import app_data_base_path, roster_key
from partners.models import OdsConnection
from tests import factories
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def request_for(settings, tmp_path):
    """Makes a request that is fine, except for what a test says."""
    settings.FILES_BASE = f"file://{tmp_path}"
    factories.make_config()
    factories.make_ods_connection()

    def make(template=None, **changes):
        template = {**factories.BUNDLE_TEMPLATE, **(template or {})}
        fields: dict[str, Any] = {
            "tenant": factories.make_tenant(),
            "school_year": factories.make_year(),
            "bundle": factories.make_bundle(template),
            "files": {"INPUT_FILE": "scores.csv"},
            "params": {"FORM": "A"},
        }
        return JobRequest(**(fields | changes))

    return make


def codes(request):
    return [problem.code for problem in problems(request)]


def test_a_job_keeps_what_decides_its_runs(request_for, settings):
    settings.BUNDLE_BRANCH = "release"
    job = create_job(request_for(), api_client="loader")
    Bundle.objects.update(template={})
    settings.BUNDLE_BRANCH, settings.FILES_BASE = "main", "file:///elsewhere"
    job = Job.objects.get(pk=job.pk)
    assert job.bundle_template == factories.BUNDLE_TEMPLATE
    assert (job.bundle_branch, job.send_to_ods, job.api_client) == ("release", True, "loader")
    assert job.files_base != "file:///elsewhere"
    assert job.input_params == {"FORM": "A"}
    assert [(file.name, file.stored_name, file.size) for file in job.files.all()] == [
        ("scores.csv", "INPUT_FILE__scores.csv", None)
    ]


def test_a_refused_job_leaves_nothing(request_for):
    with pytest.raises(errors.UnexpectedFile):
        create_job(request_for(files={"INPUT_FILE": "a.csv", "OTHER": "b.csv"}))
    assert not Job.objects.exists()


@pytest.mark.parametrize("setting", [{"enabled": False}, None])
def test_a_year_that_is_disabled_or_not_set_up_takes_no_job(request_for, setting):
    request = request_for()
    config = factories.make_config()
    config.delete() if setting is None else factories.make_config(**setting)
    assert codes(request) == ["school_year_not_enabled"]


def test_a_job_to_an_ods_needs_an_active_connection_of_that_year(request_for):
    request = request_for()
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    factories.make_ods_connection(year=factories.make_year("2425"))
    assert codes(request) == ["no_ods_connection"]


def test_a_job_not_to_an_ods_needs_a_roster(request_for):
    request = request_for()
    factories.make_config(sends_to_ods=False)
    assert codes(request) == ["no_roster"]


def test_a_roster_file_makes_a_job_without_ods_possible(request_for, settings):
    request = request_for()
    factories.make_config(sends_to_ods=False)
    key = roster_key(request.tenant, request.school_year)
    open_store(settings.FILES_BASE).save(io.BytesIO(b"{}"), key)
    assert create_job(request).send_to_ods is False


def test_cross_year_matching_makes_a_job_without_ods_possible(request_for, monkeypatch):
    partner = factories.make_partner(cross_year_match_enabled=True)
    request = request_for()
    factories.make_config(sends_to_ods=False)
    monkeypatch.setattr("edu.connections.available", lambda partner_id, generation: True)
    assert codes(request) == []
    factories.make_partner(partner.id, cross_year_match_enabled=False)
    assert codes(request_for()) == ["no_roster"]


def test_a_bundle_must_be_enabled_for_the_partner_and_in_the_registry(request_for):
    request = request_for()
    request.bundle.enabled_for.clear()
    assert codes(request) == ["bundle_not_enabled"]
    request.bundle.in_registry = False
    assert codes(request) == ["bundle_not_in_registry"]


@pytest.mark.parametrize(
    ("params", "code", "key"),
    [
        ({}, "missing_param", "FORM"),
        ({"FORM": ""}, "missing_param", "FORM"),
        ({"FORM": "A", "LD_PRELOAD": "x"}, "unknown_param", "LD_PRELOAD"),
        ({"FORM": "C"}, "param_value_not_allowed", "FORM"),
        ({"FORM": "A", "NOTE": r"CAP\x7b\x7b 7*7 \x7d\x7d"}, "bad_param_value", "NOTE"),
        ({"FORM": "A", "NOTE": "two\nlines"}, "bad_param_value", "NOTE"),
        ({"FORM": "A", "NOTE": "x\0"}, "bad_param_value", "NOTE"),
        ({"FORM": "A", "NOTE": 7}, "bad_param_value", "NOTE"),
        ({"FORM": "A", "NOTE": "x" * 1001}, "bad_param_value", "NOTE"),
        ({"FORM": "A", "API_YEAR": "1999"}, "param_value_not_allowed", "API_YEAR"),
    ],
)
def test_params_are_held_against_the_bundle(request_for, params, code, key):
    declared = [
        {"display_name": "Year", "env_var": "API_YEAR", "is_required": True},
        {
            "display_name": "Form",
            "env_var": "FORM",
            "is_required": True,
            "allowed_values": ["A", "B"],
        },
        {"display_name": "Note", "env_var": "NOTE", "is_required": False, "allowed_values": None},
    ]
    found = list(problems(request_for({"input_params": declared}, params=params)))
    assert [(problem.code, problem.field, problem.key) for problem in found] == [
        (code, "params", key)
    ]


def test_nobody_is_asked_for_the_api_year_but_saying_it_does_no_harm(request_for):
    assert codes(request_for(params={})) == []
    assert create_job(request_for(params={"API_YEAR": "2026"})).input_params == {}


@pytest.mark.parametrize("part", ["input_params", "descriptor_mapping_files"])
@pytest.mark.parametrize("value", [None, []])
def test_a_template_may_leave_parts_out(request_for, part, value):
    assert codes(request_for({part: value}, params={})) == []


@pytest.mark.parametrize(
    ("files", "code", "key"),
    [
        ({}, "missing_file", "INPUT_FILE"),
        ({"INPUT_FILE": "a.csv", "X": "b.csv"}, "unexpected_file", "X"),
        ({"INPUT_FILE": ""}, "bad_file_name", "INPUT_FILE"),
        ({"INPUT_FILE": " "}, "bad_file_name", "INPUT_FILE"),
        ({"INPUT_FILE": "../a.csv"}, "bad_file_name", "INPUT_FILE"),
        ({"INPUT_FILE": "..\\a.csv"}, "bad_file_name", "INPUT_FILE"),
        ({"INPUT_FILE": "a\0.csv"}, "bad_file_name", "INPUT_FILE"),
        ({"INPUT_FILE": "a\n.csv"}, "bad_file_name", "INPUT_FILE"),
        ({"INPUT_FILE": "a\ud800.csv"}, "bad_file_name", "INPUT_FILE"),
        ({"INPUT_FILE": "a" * 201}, "bad_file_name", "INPUT_FILE"),
        ({"INPUT_FILE": "é" * 150}, "bad_file_name", "INPUT_FILE"),
        ({"INPUT_FILE": None}, "bad_file_name", "INPUT_FILE"),
    ],
)
def test_files_are_held_against_the_bundle(request_for, files, code, key):
    found = list(problems(request_for(files=files)))
    assert [(problem.code, problem.field, problem.key) for problem in found] == [
        (code, "files", key)
    ]


@pytest.mark.parametrize("name", ["SR scores (1).csv", "Ñandú.csv", "folder/a.csv", "a..b.csv"])
def test_ordinary_names_are_taken(request_for, name):
    job = create_job(request_for(files={"INPUT_FILE": name}))
    stored = store_file(job, "INPUT_FILE", name, io.BytesIO(b"1\n"))
    assert open_store(app_data_base_path(job)).list("input") == {f"input/{stored.stored_name}": 2}


def test_a_stored_file_has_its_size_and_its_place(request_for):
    job = create_job(request_for())
    store_file(job, "INPUT_FILE", "scores.csv", io.BytesIO(b"a,b\n1,2\n"))
    assert job.files.get().size == 8
    with open_store(app_data_base_path(job)).open("input/INPUT_FILE__scores.csv") as stream:
        assert stream.read() == b"a,b\n1,2\n"


@pytest.mark.parametrize(
    ("key", "name", "content", "error"),
    [
        ("INPUT_FILE", "a.csv", b"", errors.EmptyFile),
        ("INPUT_FILE", "a.csv", b"x" * 101, errors.FileTooLarge),
        ("INPUT_FILE", "..", b"x", errors.BadFileName),
        ("OTHER", "a.csv", b"x", errors.UnexpectedFile),
    ],
)
def test_a_refused_file_leaves_nothing(request_for, settings, key, name, content, error):
    settings.MAX_UPLOAD_BYTES = 100
    job = create_job(request_for())
    with pytest.raises(error):
        store_file(job, key, name, io.BytesIO(content))
    assert open_store(app_data_base_path(job)).list() == {}
    assert job.files.get().size is None


@pytest.mark.usefixtures("queue")
def test_no_transaction_is_open_while_files_are_stored(request_for, monkeypatch):
    # A storage that is away would keep a connection of the database, and what it has locked.
    save, seen = DirectoryStore.save, []

    def watched(self, stream, key):
        seen.append(connection.in_atomic_block)
        return save(self, stream, key)

    monkeypatch.setattr(DirectoryStore, "save", watched)
    job = submit(request_for(), {"INPUT_FILE": io.BytesIO(b"a\n1\n")})
    assert seen == [False]
    assert (job.files.get().size, job.runs.get().status) == (4, "new")


def test_a_run_does_not_start_before_its_files_are_there(request_for):
    job = create_job(request_for())
    with pytest.raises(errors.FilesMissing, match="INPUT_FILE"):
        start_run(job)
    assert not Run.objects.exists()
    assert not ProcrastinateJob.objects.exists()


def test_a_run_does_not_start_after_its_ods_connection_was_retired():
    job = factories.make_job()
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    with pytest.raises(errors.NoOdsConnection):
        start_run(job)


def test_starting_a_run_queues_its_launch():
    run = start_run(factories.make_job())
    assert run.status == "new"
    queued = ProcrastinateJob.objects.get()
    assert (queued.queue_name, queued.args) == ("launch", {"run_id": str(run.id)})


def test_a_job_can_run_again_once_its_run_has_ended():
    job = factories.make_job()
    first = start_run(job)
    with pytest.raises(errors.RunInProgress):
        start_run(job)
    Run.objects.filter(pk=first.pk).update(status="error")
    assert start_run(job).pk != first.pk


@pytest.mark.usefixtures("queue")
def test_of_two_starts_at_once_exactly_one_makes_a_run_and_queues_it():
    job = factories.make_job()
    ready = threading.Barrier(2)
    outcomes: list[Run | errors.RunInProgress] = []

    def start():
        try:
            ready.wait()
            outcomes.append(start_run(job))
        except errors.RunInProgress as error:
            outcomes.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Run", "RunInProgress"]
    run = Run.objects.get()
    assert [queued.args for queued in ProcrastinateJob.objects.all()] == [{"run_id": str(run.id)}]
