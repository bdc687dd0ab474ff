"""Whom IDs stand for: kept, found, handed to runs, forgotten."""

import json
import threading
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.db import DatabaseError, connection
from django.utils import timezone

from earthbeam import tasks
from earthbeam.errors import LaunchFailed
from earthbeam.files import DirectoryStore, open_store
from earthbeam.jobs import confirmed_students
from earthbeam.jobs.confirmed_students import (
    Changes,
    Confirmed,
    TooMany,
    confirmed,
    forget_expired,
    opened,
    remember,
    search,
    store_for,
)
from earthbeam.models import ConfirmedStudent, Run
from earthbeam.paths import app_data_base_path
from earthbeam.runs import payload
from partners.models import Partner
from tests import factories
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant(db):
    return factories.make_tenant()


def known(tenant):
    return {tuple(opened(row)) for row in ConfirmedStudent.objects.filter(tenant=tenant)}


def given(*pairs, column="StudentID"):
    return [Confirmed(column, value, student) for value, student in pairs]


def handed_over(run):
    store_for(run)
    try:
        with open_store(app_data_base_path(run.job)).open("input/__confirmed.jsonl") as stream:
            return [json.loads(line) for line in stream.read().splitlines()]
    except FileNotFoundError:
        return None


def by_id(lines):
    return sorted(lines, key=lambda line: line["id"])


def checking(run, mode="hold"):
    Partner.objects.update(identity_checks=mode)
    return Run.objects.select_related("job__tenant__partner").get(pk=run.pk)


def test_the_later_confirmation_of_an_id_counts_and_says_who_it_was(tenant):
    remember(tenant, given(("77", "604822"), ("78", "604823")), by="ana")
    changes = remember(tenant, given(("77", "604824"), ("78", "604823"), ("79", "1")), by="leo")
    assert changes == Changes(added=1, changed=1, same=1)
    assert known(tenant) == {
        ("StudentID", "77", "604824"),
        ("StudentID", "78", "604823"),
        ("StudentID", "79", "1"),
    }
    assert {row.confirmed_by for row in ConfirmedStudent.objects.all()} == {"leo"}


def test_an_id_that_was_confirmed_for_two_students_at_once_says_nothing(tenant):
    remember(tenant, given(("77", "1"), ("77", "2"), ("77", "1"), ("78", "3")), by="ana")
    assert known(tenant) == {("StudentID", "78", "3")}


def test_ids_are_kept_as_they_are_compared_and_blank_ones_not_at_all():
    assert confirmed(" StudentID ", "77.0 ", " 604822") == Confirmed("StudentID", "77", "604822")
    for cell in ("", " \u200b", "1.2E+09"):
        assert confirmed("StudentID", cell, "604822") is None


def test_ids_are_found_again_and_stand_nowhere_in_the_clear(tenant):
    remember(tenant, given(("0091237", "604822"), ("78", "604823")), by="ana")
    assert [opened(row).student for row in search(tenant.partner, " 0091237")] == ["604822"]
    assert [opened(row).id for row in search(tenant.partner, "604823")] == ["78"]
    assert search(tenant.partner, "91237").count() == 0
    assert search(tenant.partner, "").count() == 2
    elsewhere = factories.make_tenant(partner=factories.make_partner("tx"), code="austin")
    assert search(elsewhere.partner, "0091237").count() == 0
    with connection.cursor() as cursor:
        cursor.execute("select c::text from earthbeam_confirmedstudent c")
        stored = " ".join(row[0] for row in cursor.fetchall())
    assert not any(text in stored for text in ("0091237", "604822", "604823"))


def test_a_new_encryption_key_loses_and_doubles_nothing(tenant, settings):
    remember(tenant, given(("77", "604822")), by="ana")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]
    assert search(tenant.partner, "77").count() == 1
    changes = remember(tenant, given(("77", "604823")), by="leo")
    assert changes == Changes(changed=1)
    assert known(tenant) == {("StudentID", "77", "604823")}
    assert remember(tenant, given(("77", "604823")), by="leo") == Changes(same=1)


def test_the_executor_is_given_what_was_confirmed_for_its_tenant(tenant):
    run = checking(factories.make_run(factories.make_job(tenant=tenant)))
    assert handed_over(run) is None
    assert "confirmedFile" not in payload.build(run)
    remember(tenant, given(("77", "604822"), ("78", "604823")), by="ana")
    other = factories.make_tenant(code="elsewhere")
    remember(other, given(("79", "604824")), by="ana")
    assert by_id(handed_over(run)) == [
        {"column": "StudentID", "id": "77", "studentUniqueId": "604822"},
        {"column": "StudentID", "id": "78", "studentUniqueId": "604823"},
    ]
    assert payload.build(run)["confirmedFile"] == "__confirmed.jsonl"
    # A launch that is tried again gives what is confirmed then.
    ConfirmedStudent.objects.filter(tenant=tenant).delete()
    assert handed_over(run) == []
    run.refresh_from_db()
    assert "confirmedFile" not in payload.build(run)


def test_nothing_is_given_or_asked_for_while_identity_checks_are_off(
    tenant, django_assert_num_queries
):
    remember(tenant, given(("77", "604822")), by="ana")
    run = checking(factories.make_run(factories.make_job(tenant=tenant)), "off")
    with django_assert_num_queries(0):
        assert handed_over(run) is None
    assert "confirmedFile" not in payload.build(run)


def test_what_can_no_longer_be_decrypted_is_left_out(tenant, settings, caplog):
    remember(tenant, given(("77", "604822")), by="ana")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    remember(tenant, given(("78", "604823")), by="ana")
    run = checking(factories.make_run(factories.make_job(tenant=tenant)))
    handed = handed_over(run)
    assert handed is not None
    assert [line["id"] for line in handed] == ["78"]
    assert "1 confirmed students of tenant" in caplog.text


def test_a_storage_that_fails_has_the_launch_tried_again(tenant, monkeypatch):
    remember(tenant, given(("77", "604822")), by="ana")
    run = checking(factories.make_run(factories.make_job(tenant=tenant)))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DirectoryStore, "save", full)
    with pytest.raises(LaunchFailed, match="could not be stored"):
        store_for(run)


def test_each_partner_keeps_them_for_its_own_time(tenant):
    other = factories.make_tenant(partner=factories.make_partner("tx"), code="austin")
    for each in (tenant, other):
        remember(each, given(("77", "1"), ("78", "2")), by="ana")
    ConfirmedStudent.objects.update(confirmed_at=timezone.now() - timedelta(days=30))
    Partner.objects.filter(pk="tx").update(keep_confirmed_days=29)
    remember(other, given(("78", "2")), by="ana")  # confirmed again, so kept longer
    tasks.tidy_up(timestamp=0)
    assert known(tenant) == {("StudentID", "77", "1"), ("StudentID", "78", "2")}
    assert known(other) == {("StudentID", "78", "2")}
    assert forget_expired() == 0


def test_more_than_can_be_handed_over_is_refused_as_a_whole(tenant, monkeypatch):
    monkeypatch.setattr(confirmed_students, "MOST", 2)
    remember(tenant, given(("77", "1")), by="ana")
    with pytest.raises(TooMany):
        remember(tenant, given(("78", "2"), ("79", "3")), by="ana")
    assert known(tenant) == {("StudentID", "77", "1")}


@pytest.mark.usefixtures("queue")
def test_people_who_confirm_the_same_ids_at_once_leave_one_student_an_id():
    tenant = factories.make_tenant()
    ids = [str(number) for number in range(50)]
    ready = threading.Barrier(6)
    failed = []

    def confirm(own):
        try:
            order = ids if own % 2 else ids[::-1]
            ready.wait()
            for _ in range(5):
                remember(tenant, given(*((each, f"s{own}") for each in order)), by=f"p{own}")
        except DatabaseError as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=confirm, args=(own,)) for own in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(int(value) for _, value, _ in known(tenant)) == list(range(50))
    for row in ConfirmedStudent.objects.all():
        assert opened(row).student == row.confirmed_by.replace("p", "s")
