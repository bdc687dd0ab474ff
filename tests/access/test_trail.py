"""What the audit trail keeps, and who may read it."""

import pytest
from auditlog.models import LogEntry
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse

from earthbeam.external.file_links import link
from earthbeam.jobs import year_settings
from earthbeam.models import Run, RunLog, Webhook
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


def test_an_ods_connections_secret_is_not_kept():
    connection = factories.make_ods_connection(client_secret="hush-hush")
    client = people.logged_in(people.make_partner_admin())
    clean_slate()
    client.post(
        page("odsconnection", "change", connection.pk),
        {
            "url": connection.url,
            "client_id": "next",
            "secret": "another hush",
            "save_anyway": "on",
            "reason": "It opens on Monday.",
        },
    )
    retired, added = entries()
    assert list(retired.changes_dict) == ["retired_at"]
    assert retired.object_pk == str(connection.pk)
    assert added.action == LogEntry.Action.CREATE
    assert "client_secret" not in added.changes_dict
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


def test_bundles_enabled_on_either_page_are_kept():
    bundle = factories.make_bundle()
    factories.make_partner()
    client = people.logged_in(people.make_partner_admin())
    clean_slate()
    client.post(page("bundle", "change", bundle.pk, app="earthbeam"), {"enabled_for": ["ea"]})
    client.post(page("partner", "bundles", "ea"), {"was": [bundle.pk]})
    enabled, disabled = entries()
    assert enabled.changes_dict["enabled_for"]["objects"] == ["EA"]
    assert (disabled.content_type.model, disabled.object_pk) == ("partner", "ea")
    assert disabled.changes_dict == {
        "enabled_for": {"type": "m2m", "operation": "delete", "objects": [str(bundle)]}
    }
    root = people.logged_in(people.make_superuser())
    shown = root.get(page("logentry", "change", disabled.pk, app="auditlog")).content.decode()
    assert str(bundle) in shown


def set_mappings(client, bundle, csv):
    """Through the preview, as people do."""
    url = page("partner", "mapping", "ea") + f"?bundle={bundle.pk}&type=gradeLevelDescriptors"
    preview = client.post(url, {"text": csv})
    client.post(url, {"confirmed": preview.context["payload"]})


def test_replaced_descriptor_mappings_are_kept_in_one_entry_of_what_changed():
    factories.make_partner()
    bundle = factories.make_bundle()
    client = people.logged_in(people.make_partner_admin())
    clean_slate()
    head = "grade,edfi_descriptor,local_descriptor\r\n"
    set_mappings(client, bundle, head + "3,uri://x#Third,\r\n4,uri://x#Fourth,\r\n")
    set_mappings(client, bundle, head + "3,uri://x#Third,\r\n4,uri://x#Other,\r\n")
    first, second = entries()
    field = f"descriptor mappings of {bundle}, gradeLevelDescriptors"
    assert first.changes_dict == {
        field: ["", "3,uri://x#Third,\r\n4,uri://x#Fourth,\r\n"],
    }
    assert second.changes_dict == {field: ["4,uri://x#Fourth,\r\n", "4,uri://x#Other,\r\n"]}
    assert {(each.object_pk, each.actor.username) for each in (first, second)} == {("ea", "admin")}
    root = people.logged_in(people.make_superuser())
    shown = root.get(page("logentry", "change", second.pk, app="auditlog")).content.decode()
    assert "uri://x#Other" in shown


def test_school_years_saved_on_the_partners_page_are_kept():
    partner = factories.make_config(enabled=False).partner
    client = people.logged_in(people.make_partner_admin())
    clean_slate()
    client.post(
        page("partner", "years", "ea"),
        {
            "year": "2526",
            "enabled-2526": "on",
            "to-2526": "edu",
            "seen": year_settings.fingerprint(year_settings.settings_of(partner)),
            "confirmed": "yes",
        },
    )
    [entry] = entries()
    assert entry.changes_dict == {
        "enabled": ["False", "True"],
        "sends_to_ods": ["True", "False"],
    }


def test_an_ods_connection_saved_anyway_is_kept_with_the_reason():
    factories.make_year()
    tenant = factories.make_tenant()
    client = people.logged_in(people.make_partner_admin())
    clean_slate()
    client.post(
        page("odsconnection", "add"),
        {
            "tenant": tenant.pk,
            "school_year": "2526",
            "url": "http://127.0.0.1:9/ods",
            "client_id": "next",
            "secret": "hush",
            "save_anyway": "on",
            "reason": "It opens on Monday.",
        },
    )
    [entry] = entries()
    assert entry.changes_dict["saved_anyway_reason"][1] == "It opens on Monday."
    assert entry.changes_dict["check_ok"][1] == "False"
    assert "hush" not in str(list(LogEntry.objects.values()))


NO_NOTICES = {"notices-TOTAL_FORMS": "0", "notices-INITIAL_FORMS": "0"}


def test_webhooks_are_kept_without_their_secrets():
    factories.make_partner()
    client = people.logged_in(people.make_partner_admin())
    clean_slate()
    fields = {"partner": "ea", "format": "signed", "url": "http://127.0.0.1:9/a"}
    fields["enabled"] = "on"
    client.post(page("webhook", "add", app="earthbeam"), fields)
    webhook = Webhook.objects.get()
    changed = NO_NOTICES | {"url": "http://127.0.0.1:9/b"}
    client.post(page("webhook", "change", webhook.pk, app="earthbeam"), changed)
    client.post(page("webhook", "secret", webhook.pk, app="earthbeam"))
    client.post(page("webhook", "delete", webhook.pk, app="earthbeam"), {"post": "yes"})
    added, changed, secret, deleted = entries()
    assert added.changes_dict["url"] == ["None", "http://127.0.0.1:9/a"]
    assert changed.changes_dict == {
        "url": ["http://127.0.0.1:9/a", "http://127.0.0.1:9/b"],
        "enabled": ["True", "False"],
    }
    assert secret.additional_data["event"] == "webhook secret replaced"
    assert deleted.action == LogEntry.Action.DELETE
    assert "whsec_" not in str(list(LogEntry.objects.values()))


def test_settings_whose_secret_no_key_opens_are_still_changed_and_deleted(settings):
    connection = factories.make_ods_connection()
    webhook = Webhook.objects.create(partner=connection.tenant.partner, url="http://127.0.0.1:9/a")
    root = people.logged_in(people.make_superuser())
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    clean_slate()
    disabled = NO_NOTICES | {"url": webhook.url}
    root.post(page("webhook", "change", webhook.pk, app="earthbeam"), disabled)
    root.post(page("webhook", "secret", webhook.pk, app="earthbeam"))
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    root.post(page("webhook", "delete", webhook.pk, app="earthbeam"), {"post": "yes"})
    root.post(page("odsconnection", "delete", connection.pk), {"post": "yes"})
    assert not Webhook.objects.exists()
    assert not OdsConnection.objects.exists()
    assert [each.action for each in entries()] == [
        LogEntry.Action.UPDATE,
        LogEntry.Action.ACCESS,
        LogEntry.Action.DELETE,
        LogEntry.Action.DELETE,
    ]


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


def test_looking_at_unmatched_rows_and_whole_logs_is_kept():
    run = factories.make_unmatched_run()
    RunLog.objects.create(run=run, text="log")
    client = people.logged_in(people.make_superuser())
    clean_slate()
    client.get(page("job", "unmatched", run.job_id, app="earthbeam"))
    client.get(page("job", "log", run.job_id, run.pk, app="earthbeam"))
    client.get(page("run", "change", run.pk, app="earthbeam"))
    client.post(page("job", "unmatched", run.job_id, app="earthbeam"), {"content": "stale"})
    client.get(page("job", "change", run.job_id, app="earthbeam"))  # is no such look
    kept = [(each.additional_data["event"], each.object_pk) for each in entries()]
    assert kept == [
        ("unmatched rows viewed", str(run.job_id)),
        ("run log downloaded", str(run.job_id)),
        ("run log viewed", str(run.job_id)),
        ("unmatched rows viewed", str(run.job_id)),
    ]


def test_following_a_link_to_a_file_is_kept_without_the_files_name():
    run = factories.make_run(status=Run.Status.SUCCESS)
    factories.store_file(run.job, "output/ods/Smith.jsonl")
    request = RequestFactory().get("/")
    url = link(request, run.job, "output/ods/Smith.jsonl", "download")
    clean_slate()
    assert Client().get(url, REMOTE_ADDR="203.0.113.7").status_code == 200
    [entry] = entries()
    assert entry.additional_data == {"event": "file fetched by link", "kind": "output/ods"}
    assert (entry.object_pk, entry.remote_addr) == (str(run.job_id), "203.0.113.7")


def test_keeping_edus_rosters_for_a_day_is_kept():
    factories.make_partner()
    client = people.logged_in(people.make_partner_admin())
    clean_slate()
    client.post(page("partner", "edu_keep_rosters", "ea"), {"keep": "on"})
    assert Partner.objects.get().keep_edu_rosters_until is not None
    client.post(page("partner", "edu_keep_rosters", "ea"), {"keep": "off"})
    assert Partner.objects.get().keep_edu_rosters_until is None
    on, off = entries(object_pk="ea")
    assert set(on.changes_dict) == set(off.changes_dict) == {"keep_edu_rosters_until"}
