"""A tenant leaves: everything of it is handed out, or destroyed, and others keep theirs."""

import hashlib
import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from earthbeam import paths
from earthbeam.files import DirectoryStore, open_store
from earthbeam.jobs import confirmed_students, deletion, retention, whole_tenant
from earthbeam.jobs.confirmed_students import Confirmed
from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import ConfirmedStudent, Destruction, Job, Run, RunLog
from partners.models import OdsConnection, Tenant
from tests import factories
from tests.at_once import at_once
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("queue")]


@pytest.fixture
def tenant(db, settings, tmp_path):
    """A tenant with all there can be: jobs, files, a log, a roster, confirmed students, an ODS."""
    settings.FILES_BASE = f"file://{tmp_path}/base"
    connection = factories.make_ods_connection()
    tenant = connection.tenant
    for refused in ((2,), ()):
        run = factories.make_loaded_run(refused=refused)
        RunLog.objects.create(run=run, text="what the executor printed")
    student = Confirmed("StudentID", "9001", "604010")
    confirmed_students.remember(tenant, [student], by="x")
    roster = open_store(f"{settings.FILES_BASE}/{paths.rosters_folder(tenant)}")
    save(roster, "2026/roster.jsonl", b"{}\n")
    # As a process that was killed during an upload leaves it.
    left = open_store(f"{settings.FILES_BASE}/{paths.tenant_folder(tenant)}")
    save(left, "2526/some-id/input/half.csv", b"Ana")
    return tenant


@pytest.fixture
def neighbor(tenant, settings):
    """Another one, whose code begins like the tenant's."""
    other = factories.make_tenant(code=f"{tenant.code}_east", partner=tenant.partner)
    store = open_store(f"{settings.FILES_BASE}/{paths.tenant_folder(other)}")
    save(store, "2526/id/input/scores.csv", b"x")
    return other, store


def save(store, key, content):
    store.save(io.BytesIO(content), key)


def stored(settings, tenant):
    folders = (paths.tenant_folder(tenant), paths.rosters_folder(tenant))
    return [key for each in folders for key in open_store(f"{settings.FILES_BASE}/{each}").list()]


def command(name, tenant, *args):
    call_command(name, tenant.partner_id, tenant.code, *args)


def test_an_export_has_every_file_and_record_with_its_sum(tenant, settings, tmp_path, capsys):
    folder = tmp_path / "handed-out"
    command("export_tenant", tenant, folder)
    assert f"2 jobs and {len(stored(settings, tenant))} files" in capsys.readouterr().out
    manifest = json.loads((folder / "manifest.json").read_text())
    names = {each["path"] for each in manifest["files"]}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == there - {"manifest.json"}
    for each in manifest["files"]:
        content = (folder / each["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == each["sha256"]
        assert len(content) == each["size"]
    assert "rosters/2026/roster.jsonl" in names
    assert sum(name.startswith("files/") for name in names) == len(stored(settings, tenant)) - 1
    students = (folder / "confirmedstudent.jsonl").read_text()
    assert json.loads(students)["studentUniqueId"] == "604010"
    jobs = (folder / "job.jsonl").read_text().splitlines()
    assert {json.loads(line)["pk"] for line in jobs} == {str(job.pk) for job in Job.objects.all()}
    assert "what the executor printed" in (folder / "runlog.jsonl").read_text()


def test_an_export_has_no_password_and_is_its_owners_alone(tenant, tmp_path):
    folder = tmp_path / "handed-out"
    whole_tenant.export(tenant, folder)
    secret = OdsConnection.objects.get().client_secret
    assert len(secret) > 3
    for path in folder.glob("*.jsonl"):
        assert "secret" not in path.read_text().lower(), path.name
    assert folder.stat().st_mode & 0o077 == 0


def test_an_export_overwrites_nothing(tenant, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "theirs.txt").write_text("x")
    with pytest.raises(CommandError, match="is not empty"):
        command("export_tenant", tenant, folder)
    assert [path.name for path in folder.iterdir()] == ["theirs.txt"]


def test_the_first_call_says_what_there_is_and_destroys_nothing(tenant, settings, capsys):
    command("destroy_tenant", tenant)
    said = capsys.readouterr().out
    assert "2 jobs" in said and "1 confirmed students" in said
    assert "--confirm " in said
    assert Job.objects.count() == 2 and stored(settings, tenant)


def test_the_second_call_destroys_all_of_it_and_nothing_of_others(
    tenant, neighbor, settings, capsys
):
    other, store = neighbor
    files = len(stored(settings, tenant))
    command("destroy_tenant", tenant, "--confirm", whole_tenant.code(tenant), "--by", "dana")
    assert f"{files} files" in capsys.readouterr().out
    assert stored(settings, tenant) == []
    for model in (Job, Run, RunLog, ConfirmedStudent, OdsConnection):
        assert not model.objects.exists(), model
    assert list(Tenant.objects.all()) == [other]
    assert len(store.list()) == 1
    record = Destruction.objects.get()
    assert (record.what, record.job, record.files) == ("everything", None, files)
    assert (record.tenant, record.rule) == (tenant.code, "destroy_tenant by dana")
    assert retention.apply() == 0


@pytest.mark.parametrize("when", ["wrong", "old", "before another job", "of another tenant"])
def test_a_code_is_good_for_an_hour_and_for_what_was_shown(tenant, neighbor, when, monkeypatch):
    code = whole_tenant.code(tenant)
    if when == "wrong":
        code = f"{code[:-1]}{'A' if code[-1] != 'A' else 'B'}"
    elif when == "old":
        monkeypatch.setattr(whole_tenant, "CONFIRM_SECONDS", -1)
    elif when == "before another job":
        factories.make_loaded_run()
    else:
        code = whole_tenant.code(neighbor[0])
    with pytest.raises(CommandError, match="Nothing was destroyed"):
        command("destroy_tenant", tenant, "--confirm", code)
    assert Job.objects.exists() and not Destruction.objects.exists()


@pytest.mark.parametrize("kept", ["a run in progress", "a legal hold"])
def test_what_is_in_use_or_on_hold_keeps_the_whole_tenant(tenant, settings, kept):
    job = Job.objects.earliest("pk")
    if kept == "a legal hold":
        Job.objects.filter(pk=job.pk).update(legal_hold=True)
    else:
        start_run(job)
    before = stored(settings, tenant)
    with pytest.raises(CommandError, match=str(job.pk)):
        command("destroy_tenant", tenant, "--confirm", whole_tenant.code(tenant))
    assert stored(settings, tenant) == before
    assert Job.objects.count() == 2


def test_a_storage_that_fails_leaves_the_tenant_for_another_try(tenant, settings, monkeypatch):
    code = whole_tenant.code(tenant)
    clear, calls = DirectoryStore.clear, []

    def failing(self):
        calls.append(self)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        return clear(self)

    monkeypatch.setattr(DirectoryStore, "clear", failing)
    with pytest.raises(CommandError, match="again with the same code"):
        command("destroy_tenant", tenant, "--confirm", code)
    assert Job.objects.count() == 2 and not Destruction.objects.exists()
    command("destroy_tenant", tenant, "--confirm", code)
    assert not Tenant.objects.exists() and stored(settings, tenant) == []


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_started_meanwhile_comes_first_or_not_at_all(tenant, settings):
    job = Job.objects.select_related("tenant__partner", "school_year").earliest("pk")
    code = whole_tenant.code(tenant)
    started, destroyed = at_once(
        [lambda: start_run(job), lambda: whole_tenant.destroy(tenant, code, by="x")]
    )
    if isinstance(started, Run):
        assert isinstance(destroyed, deletion.CannotDelete)
        assert stored(settings, tenant)
    else:
        assert isinstance(destroyed, Destruction)
        assert not Job.objects.exists()


def test_a_wrong_name_is_answered_with_those_that_there_are(tenant):
    with pytest.raises(CommandError, match=f"It has: {tenant.code}"):
        call_command("destroy_tenant", tenant.partner_id, "nowhere")
    with pytest.raises(CommandError, match="no partner 'nowhere'"):
        call_command("export_tenant", "nowhere", tenant.code, "x")


def test_what_was_destroyed_is_read_in_the_admin(tenant, admin_client):
    whole_tenant.destroy(tenant, whole_tenant.code(tenant), by="dana")
    page = admin_client.get("/admin/earthbeam/destruction/").content.decode()
    assert "Everything of the tenant" in page and "destroy_tenant by dana" in page
    assert timezone.now() - Destruction.objects.get().at < timedelta(minutes=5)
