"""What the audit trail keeps, and who may read it."""

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from partners.models import Membership, OdsConnection, Partner
from tests import factories, people

pytestmark = pytest.mark.django_db

TRAIL = reverse("admin:auditlog_logentry_changelist")


def entries(**wanted):
    """Entries, oldest first, but those of making what a test starts with."""
    return list(LogEntry.objects.filter(**wanted).order_by("pk"))


def clean_slate():
    LogEntry.objects.all().delete()


def page(model, what, *args, app="partners"):
    return reverse(f"admin:{app}_{model}_{what}", args=args)


def test_a_changed_setting_is_kept_with_old_and_new_who_and_from_where():
    factories.make_partner(descriptor_namespace="uri://old")
    client = people.logged_in(people.make_partner_admin())
    User.objects.update(email="admin@example.org")
    clean_slate()
    client.post(
        page("partner", "change", "ea"),
        {"name": "EA", "descriptor_namespace": "uri://new"},
        REMOTE_ADDR="203.0.113.7",
    )
    [entry] = entries()
    assert entry.changes_dict == {"descriptor_namespace": ["uri://old", "uri://new"]}
    assert (entry.actor.username, entry.actor_email) == ("admin", "admin@example.org")
    assert entry.remote_addr == "203.0.113.7"


def test_an_ods_connections_secret_is_kept_as_hidden():
    connection = factories.make_ods_connection(client_secret="hush-hush")
    client = people.logged_in(people.make_partner_admin())
    clean_slate()
    client.post(
        page("odsconnection", "change", connection.pk),
        {"url": connection.url, "client_id": "next", "secret": "another hush"},
    )
    retired, added = entries()
    assert list(retired.changes_dict) == ["retired_at"]
    assert retired.object_pk == str(connection.pk)
    assert added.action == LogEntry.Action.CREATE
    assert added.changes_dict["client_secret"] == ["", "(hidden)"]
    assert "hush" not in str(list(LogEntry.objects.values()))


def test_connections_retired_in_bulk_are_each_kept_once():
    connection = factories.make_ods_connection()
    client = people.logged_in(people.make_partner_admin())
    clean_slate()
    for _ in range(2):
        client.post(
            page("odsconnection", "changelist"),
            {"action": "retire", "_selected_action": [connection.pk]},
        )
    assert [list(each.changes_dict) for each in entries()] == [["retired_at"]]
    assert not OdsConnection.objects.get().is_active


def test_memberships_tell_who_became_what_and_that_it_made_them_staff():
    person = User.objects.create_user("newcomer")
    tenant = factories.make_tenant()
    client = people.logged_in(people.make_superuser())
    clean_slate()
    fields = {"user": person.pk, "partner": "ea", "role": "user", "tenants": [tenant.pk]}
    client.post(page("membership", "add"), fields)
    kept = {
        (each.content_type.model, name): change
        for each in entries()
        for name, change in each.changes_dict.items()
    }
    assert kept["membership", "role"] == ["None", "user"]
    assert kept["membership", "tenants"]["objects"] == [str(tenant)]
    assert kept["user", "is_staff"] == ["False", "True"]
    clean_slate()
    client.post(page("membership", "delete", Membership.objects.get().pk), {"post": "yes"})
    assert [each.action for each in entries()] == [LogEntry.Action.DELETE]


def test_accounts_tell_flags_and_that_a_password_changed_but_no_hash():
    person = people.make_partner_admin("ann")
    client = people.logged_in(people.make_superuser())
    clean_slate()
    client.post(
        page("user", "change", person.pk, app="auth"),
        {"username": "ann", "is_active": "on", "is_superuser": "on", "is_staff": "on"},
    )
    client.post(
        reverse("admin:auth_user_password_change", args=[person.pk]),
        {"password1": "sturdy horse 99", "password2": "sturdy horse 99", "usable_password": "true"},
    )
    flags, password = entries()
    assert flags.changes_dict == {"is_superuser": ["False", "True"]}
    assert set(map(tuple, password.changes_dict.values())) == {("(hidden)", "(hidden)")}
    hashed = User.objects.get(pk=person.pk).password
    assert hashed not in str(list(LogEntry.objects.values()))


def test_bundles_and_descriptor_mappings_are_kept():
    bundle = factories.make_bundle()
    factories.make_partner()
    client = people.logged_in(people.make_partner_admin())
    clean_slate()
    client.post(page("bundle", "change", bundle.pk, app="earthbeam"), {"enabled_for": ["ea"]})
    client.post(
        page("descriptormapping", "add", app="earthbeam"),
        {
            "partner": "ea",
            "bundle": bundle.pk,
            "descriptor_type": "gradeLevelDescriptors",
            "other_columns": '{"grade": "3"}',
            "edfi_descriptor": "uri://x#Third",
        },
    )
    enabled, mapping = entries()
    assert enabled.changes_dict["enabled_for"]["objects"] == ["EA"]
    assert mapping.changes_dict["edfi_descriptor"] == ["None", "uri://x#Third"]


def test_resetting_edu_is_kept_though_nothing_is_saved():
    factories.make_partner()
    client = people.logged_in(people.make_partner_admin())
    clean_slate()
    client.post(reverse("admin:partners_partner_edu_reset", args=["ea"]))
    [entry] = entries()
    assert (entry.additional_data["event"], entry.object_pk) == ("EDU connections reset", "ea")


def sign_in(client, name, password):
    return client.post("/admin/login/", {"username": name, "password": password})


def test_signing_in_failing_to_and_signing_out_are_kept_without_what_was_typed():
    people.make_superuser("root")
    clean_slate()
    client = Client(REMOTE_ADDR="203.0.113.7")
    sign_in(client, "root", "typed-wrong")
    sign_in(client, "typed-as-a-name", "x")
    sign_in(client, "root", "x")
    client.post(reverse("admin:logout"))
    kept = entries()
    assert [(each.object_repr, each.additional_data["event"]) for each in kept] == [
        ("root", "sign-in failed"),
        ("unknown account", "sign-in failed"),
        ("root", "signed in"),
        ("root", "signed out"),
    ]
    assert {each.remote_addr for each in kept} == {"203.0.113.7"}
    assert [each.actor_email is None for each in kept] == [True, True, False, False]
    assert "typed" not in str(list(LogEntry.objects.values()))


def test_attempts_above_the_limit_are_kept_once():
    people.make_superuser("root")
    clean_slate()
    for _ in range(15):
        sign_in(Client(), "root", "wrong")
    events = [each.additional_data["event"] for each in entries()]
    assert events == ["sign-in failed"] * 10 + ["sign-in stopped"]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("input/INPUT_FILE__Ann_Example_scores.csv", "input INPUT_FILE"),
        ("output/input_no_student_id_match.csv", "output input_no_student_id_match.csv"),
        ("output/ods/Ann_Example.jsonl", "output set ods"),
        ("output/Ann_Example.csv", "output"),
    ],
)
def test_downloads_tell_the_job_and_the_kind_of_file_but_no_name_of_a_student(key, kind):
    job = factories.make_job(files={})
    factories.store_file(job, key)
    client = people.logged_in(people.make_user())
    clean_slate()
    answer = client.get(reverse("admin:earthbeam_job_file", args=[job.pk, key]))
    assert answer.status_code == 200
    [entry] = entries()
    assert entry.additional_data == {"event": "file downloaded", "kind": kind, "actor": "user"}
    assert (entry.object_pk, entry.actor.username) == (str(job.pk), "user")
    assert "Ann" not in str(list(LogEntry.objects.values()))


def test_a_download_that_finds_nothing_is_none():
    job = factories.make_job()
    client = people.logged_in(people.make_user())
    clean_slate()
    client.get(reverse("admin:earthbeam_job_file", args=[job.pk, "output/none.csv"]))
    assert entries() == []


def test_jobs_and_runs_themselves_keep_nothing_in_the_trail():
    factories.make_job()
    clean_slate()
    run = factories.make_run()
    run.save()
    run.job.save()
    assert entries() == []


def test_entries_outlive_the_account_and_still_tell_whose_they_are():
    client = people.logged_in(people.make_partner_admin("ann"))
    User.objects.filter(username="ann").update(email="ann@example.org")
    client.post(page("partner", "change", "ea"), {"name": "Renamed"})
    people.make_superuser("root")
    root = people.logged_in(User.objects.get(username="root"))
    User.objects.get(username="ann").delete()
    assert Partner.objects.get().name == "Renamed"
    found = root.get(TRAIL, {"q": "ann@example.org"}).content.decode()
    assert "ann (ann@example.org)" in found
    assert "Partner: Renamed" in found or "partner: Renamed" in found
    assert "Renamed" in root.get(TRAIL, {"q": "ann"}).content.decode()


def test_superusers_search_filter_and_read_it():
    factories.make_partner(name="Old name")
    partner = Partner.objects.get()
    partner.name = "New name"
    partner.save()
    root = people.logged_in(people.make_superuser())
    assert "New name" in root.get(TRAIL, {"q": "New"}).content.decode()
    assert "New name" not in root.get(TRAIL, {"q": "nowhere"}).content.decode()
    assert "signed in" in root.get(TRAIL, {"what": "signed in"}).content.decode()
    assert "New name" not in root.get(TRAIL, {"what": "signed in"}).content.decode()
    assert "New name" in root.get(TRAIL, {"thing": "partner", "what": "changed"}).content.decode()
    entry = LogEntry.objects.get(object_repr="New name")
    shown = root.get(page("logentry", "change", entry.pk, app="auditlog")).content.decode()
    assert "Old name" in shown
    assert "New name" in shown


def test_nobody_changes_or_deletes_it():
    factories.make_partner()
    root = people.logged_in(people.make_superuser())
    entry = LogEntry.objects.first()
    for what in ("change", "delete"):
        answer = root.post(page("logentry", what, entry.pk, app="auditlog"), {"post": "yes"})
        assert answer.status_code == 403
    assert root.get(page("logentry", "add", app="auditlog")).status_code == 403
    root.post(TRAIL, {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"})
    assert LogEntry.objects.filter(pk=entry.pk).exists()


def test_lists_stay_cheap(django_assert_max_num_queries):
    root = people.logged_in(people.make_superuser())
    for number in range(60):
        factories.make_partner(f"p{number}")
    with django_assert_max_num_queries(12):
        root.get(TRAIL)


def test_requests_that_keep_nothing_ask_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert Client().get("/healthz").status_code == 200
