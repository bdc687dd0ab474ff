"""Keys change while Runway runs, and nobody notices: docs/deploy.md, "Changing keys"."""

import itertools
import threading

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connections

from access import factors
from earthbeam.jobs import confirmed_students
from earthbeam.jobs.confirmed_students import Confirmed
from earthbeam.models import ConfirmedStudent, Webhook
from earthbeam.runs import tokens
from partners.models import OdsConnection
from tests import factories, people

OLD, NEW = "old-" + "a" * 40, "new-" + "b" * 40

# What web processes have while the key changes: those of one step still run in the next one.
STEPS = [(OLD, []), (OLD, [NEW]), (NEW, [OLD]), (NEW, [])]
# Tokens of the first key have expired when it is removed.
NEIGHBORS = [(a, b) for a, b in itertools.product(STEPS, STEPS) if a[0] in (b[0], *b[1])]


def use(settings, name, step):
    key, fallbacks = step
    setattr(settings, name, key)
    setattr(settings, f"{name}_FALLBACKS", fallbacks)


@pytest.mark.parametrize("issuing, reading", NEIGHBORS)
def test_executors_tokens_count_with_processes_of_other_steps(settings, db, issuing, reading):
    run = factories.make_run()
    use(settings, "EXECUTOR_JWT_KEY", issuing)
    token = tokens.access_token(run)
    use(settings, "EXECUTOR_JWT_KEY", reading)
    assert tokens.read(token, "access").run_id == run.pk


def test_a_key_that_was_removed_signs_nothing_any_more(settings, db):
    run = factories.make_run()
    use(settings, "EXECUTOR_JWT_KEY", STEPS[0])
    token = tokens.access_token(run)
    use(settings, "EXECUTOR_JWT_KEY", STEPS[3])
    with pytest.raises(tokens.BadToken, match="not valid"):
        tokens.read(token, "access")


@pytest.mark.django_db
def test_people_stay_signed_in_while_djangos_key_changes(settings):
    use(settings, "SECRET_KEY", STEPS[0])
    client = people.logged_in(people.make_superuser())
    for step in STEPS[1:]:
        use(settings, "SECRET_KEY", step)
        assert client.get("/admin/").status_code == 200
    use(settings, "SECRET_KEY", ("another-" + "c" * 40, []))
    assert client.get("/admin/").status_code == 302


# --- ENCRYPTION_KEYS --------------------------------------------------------------------------


@pytest.fixture
def keys(settings):
    """The keys in use, and a function that gives the list of all of them with a new one first."""
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    def add():
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]

    return add


def keep_first(settings):
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]


@pytest.mark.django_db
def test_all_that_is_stored_opens_with_the_new_key_alone(settings, keys, capsys):
    tenant = factories.make_tenant()
    factories.make_ods_connection()
    webhook = Webhook.objects.create(partner=tenant.partner, url="https://example.org/hook")
    user = people.make_superuser()
    codes = factors.add_app(user, "JBSWY3DPEHPK3PXP", 1, first=True)
    given = [Confirmed("StudentID", "17", "604010")]
    confirmed_students.remember(tenant, given, by="somebody")
    before = OdsConnection.objects.get().client_secret, webhook.secret

    keys()
    call_command("rotate_encryption")
    assert "1 encrypted anew" in capsys.readouterr().out
    keep_first(settings)
    webhook.refresh_from_db()
    assert (OdsConnection.objects.get().client_secret, webhook.secret) == before
    assert codes is not None
    assert factors.check_code(user, codes[0]) is not None
    assert [tuple(row) for row in map(confirmed_students.opened, ConfirmedStudent.objects.all())]
    assert confirmed_students.remember(tenant, given, by="somebody").same == 1
    call_command("rotate_encryption")
    assert "1 encrypted anew" not in capsys.readouterr().out


@pytest.mark.django_db
def test_what_no_key_opens_stays_and_is_told(settings, keys):
    factories.make_ods_connection()
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="opens 1 stored secrets"):
        call_command("rotate_encryption")


@pytest.mark.django_db(transaction=True)
def test_what_people_change_meanwhile_stays(settings, keys):
    tenant, ods = factories.make_tenant(), factories.make_ods_connection()
    ids = [str(100 + n) for n in range(40)]
    confirmed_students.remember(tenant, [Confirmed("ID", each, "1") for each in ids], by="a")
    keys()
    stop, ended = threading.Event(), list[object]()

    def work():
        try:
            for round in itertools.count(2):
                given = [Confirmed("ID", each, str(round)) for each in ids]
                confirmed_students.remember(tenant, given, by="b")
                ods.client_secret = f"secret {round}"
                ods.save()
                if stop.is_set():
                    ended.append(round)
                    return
        except Exception as error:  # noqa: BLE001 -- for the test to look at
            ended.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(3):
        call_command("rotate_encryption")
    stop.set()
    thread.join()
    [last] = ended
    call_command("rotate_encryption")
    keep_first(settings)
    assert OdsConnection.objects.get().client_secret == f"secret {last}"
    rows = list(map(confirmed_students.opened, ConfirmedStudent.objects.all()))
    assert sorted((row.id, row.student) for row in rows) == [(each, str(last)) for each in ids]
