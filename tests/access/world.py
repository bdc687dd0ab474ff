"""Two partners, three tenants and everybody who may come: what the matrix is tried on.

Everything of partner ea and its tenant grand_bend is the target. What a page must not show to
somebody carries a mark in its text: ``of-ea-…``, ``of-grand-bend-…``, ``of-lakeside-…``,
``of-tx-…``.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from allauth.socialaccount.models import SocialAccount
from auditlog.models import LogEntry
from django.apps import apps
from django.contrib.admin.models import LogEntry as History
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam.jobs.confirmed_students import Confirmed, remember
from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import (
    ConfirmedStudent,
    DescriptorMapping,
    Destruction,
    JobNote,
    Notice,
    OutputFile,
    OutputSet,
    Run,
    RunLog,
    Webhook,
)
from partners.models import Membership, Tenant
from tests import factories, people

# --- Who comes ------------------------------------------------------------------------------------
ANONYMOUS = "not signed in"
INACTIVE = "a partner admin whose account was switched off"
NO_MEMBER = "staff without a membership"
USER = "a user of the tenant"
USER_ELSEWHERE = "a user of another tenant of the partner"
ADMIN = "an admin of the partner"
ADMIN_ELSEWHERE = "an admin of another partner"
SUPERUSER = "a superuser"

ROLES = (ANONYMOUS, INACTIVE, NO_MEMBER, USER, USER_ELSEWHERE, ADMIN, ADMIN_ELSEWHERE, SUPERUSER)

_EA, _TX = "of-ea-", "of-tx-"
_GRAND_BEND, _LAKESIDE = "of-grand-bend-", "of-lakeside-"

HIDDEN_FROM = {
    ANONYMOUS: (_EA, _TX, _GRAND_BEND, _LAKESIDE),
    INACTIVE: (_EA, _TX, _GRAND_BEND, _LAKESIDE),
    NO_MEMBER: (_EA, _TX, _GRAND_BEND, _LAKESIDE),
    USER: (_EA, _TX, _LAKESIDE),
    USER_ELSEWHERE: (_EA, _TX, _GRAND_BEND),
    ADMIN: (_TX,),
    ADMIN_ELSEWHERE: (_EA, _GRAND_BEND, _LAKESIDE),
    SUPERUSER: (),
}
"""The marks that no page may show to somebody."""


@dataclass
class World:
    clients: dict[str, Client]
    targets: dict[str, Any] = field(default_factory=dict)
    """Objects of grand_bend, by model: ``partners.tenant``; and some jobs by how they stand:
    ``earthbeam.queued_job``."""

    others: dict[str, Any] = field(default_factory=dict)
    """The same of partner tx."""


def make_world() -> World:
    ours = factories.make_tenant("of-grand-bend-tenant", partner=factories.make_partner("ea"))
    lakeside = factories.make_tenant("of-lakeside-tenant", partner=ours.partner)
    theirs = factories.make_tenant("of-tx-tenant", partner=factories.make_partner("tx"))
    factories.make_bundle()
    users = {
        INACTIVE: people.make_partner_admin("inactive", partner=ours.partner),
        NO_MEMBER: User.objects.create_user("no-member", is_staff=True),
        USER: people.make_user("of-grand-bend-person", tenant=ours),
        USER_ELSEWHERE: people.make_user("of-lakeside-person", tenant=lakeside),
        ADMIN: people.make_partner_admin("of-ea-person", partner=ours.partner),
        ADMIN_ELSEWHERE: people.make_partner_admin("of-tx-person", partner=theirs.partner),
        SUPERUSER: people.make_superuser("root"),
    }
    clients = {role: people.logged_in(user) for role, user in users.items()}
    User.objects.filter(username="inactive").update(is_active=False)
    # People see their own name on every page.
    marks = {USER: "jo", USER_ELSEWHERE: "kim", ADMIN: "lou", ADMIN_ELSEWHERE: "max"}
    for role, name in marks.items():
        User.objects.filter(pk=users[role].pk).update(username=name)
    world = World({ANONYMOUS: Client(), **clients})
    world.targets = _belongings(ours, users[USER], "of-grand-bend", "of-ea")
    _belongings(lakeside, users[USER_ELSEWHERE], "of-lakeside", "of-ea")
    world.others = _belongings(theirs, users[ADMIN_ELSEWHERE], "of-tx", "of-tx")
    return world


def _belongings(tenant: Tenant, person: User, mark: str, partner_mark: str) -> dict[str, Any]:
    """Everything that a tenant and its partner may have; jobs end well, so as to be run again."""
    partner, year = tenant.partner, factories.make_year()
    factories.make_config(partner=partner, year=factories.make_year("2627"), sends_to_ods=False)
    job = factories.make_job(
        tenant=tenant,
        created_by=person,
        files={"INPUT_FILE": (f"{mark}-scores.csv", factories.SCORES)},
    )
    run = factories.make_run(job, "success", started_by=person)
    factories.store_file(job, f"output/ods/{mark}.jsonl")
    output_set = OutputSet.objects.create(
        run=run, path="x", sent_to_ods=True, files=[f"{mark}.jsonl"], partner=partner
    )
    OutputFile.objects.create(run=run, path=f"{mark}.csv", size=1)
    RunLog.objects.create(run=run, text=f"{mark}-log")
    JobNote.objects.create(job=job, author=person, text=f"{mark}-note")
    # Bundles are everybody's; who of which partner did what to them is not.
    for thing in (job, job.bundle):
        History.objects.create(
            user=person,
            content_type=ContentType.objects.get_for_model(thing),
            object_id=str(thing.pk),
            object_repr=f"{mark}-history",
            action_flag=2,
            change_message=f"{mark}-message",
        )
    ods = factories.make_ods_connection(tenant=tenant, url=f"http://127.0.0.1:9/{partner_mark}-ods")
    mapping = DescriptorMapping.objects.create(
        partner=partner,
        bundle=job.bundle,
        descriptor_type="gradeLevelDescriptors",
        other_columns={"grade": "3"},
        edfi_descriptor=f"uri://x#{partner_mark}-descriptor",
    )
    remember(tenant, [Confirmed("StudentID", "77", "604822")], by=f"{partner_mark}-confirmer")
    again = start_run(factories.make_job(tenant=tenant, created_by=person), started_by=person)
    queued = ProcrastinateJob.objects.get(args__run_id=str(again.pk))
    again.job.refresh_from_db()  # what its last run is
    unmatched = factories.make_unmatched_run(tenant=tenant, created_by=person)
    loaded = factories.make_loaded_run(tenant=tenant, created_by=person, refused=[2])
    previewed = factories.make_run(
        factories.make_job(tenant=tenant, created_by=person), "success", kind=Run.Kind.PREVIEW
    )
    resolved = factories.make_run(
        factories.make_job(
            tenant=tenant, created_by=person, resolved_by=person, resolved_at=timezone.now()
        ),
        Run.Status.ERROR,
    )
    held = factories.make_job(tenant=tenant, created_by=person, legal_hold=True)
    destruction = Destruction.objects.create(
        partner=partner, tenant=tenant.code, job=job.pk, what="input", files=2, rule=partner_mark
    )
    webhook = Webhook.objects.create(
        partner=partner, url=f"http://127.0.0.1:9/{partner_mark}-{tenant.pk}"
    )
    Notice.objects.create(run=run, webhook=webhook, body={}, outcome=f"{partner_mark}-outcome")
    link = SocialAccount.objects.create(
        user=person, provider="schools", uid=f"{partner_mark}-{uuid.uuid4()}"
    )
    return {
        "partners.partner": partner,
        "partners.tenant": tenant,
        "partners.schoolyear": year,
        "partners.schoolyearconfig": partner.school_years.get(school_year=year),
        "partners.odsconnection": ods,
        "partners.membership": Membership.objects.get(user=person),
        "earthbeam.bundle": job.bundle,
        "earthbeam.confirmedstudent": ConfirmedStudent.objects.get(tenant=tenant),
        "earthbeam.bundlerevision": factories.make_bundle_revision(uuid4().hex),
        "earthbeam.descriptormapping": mapping,
        "earthbeam.destruction": destruction,
        "earthbeam.held_job": held,
        "earthbeam.job": job,
        "earthbeam.run": run,
        "earthbeam.outputset": output_set,
        "earthbeam.queued_job": again.job,
        "earthbeam.unmatched_job": unmatched.job,
        "earthbeam.loaded_job": loaded.job,
        "earthbeam.previewed_job": previewed.job,
        "earthbeam.resolved_job": resolved.job,
        "earthbeam.webhook": webhook,
        "auth.user": person,
        "socialaccount.socialaccount": link,
        "auditlog.logentry": LogEntry.objects.latest("pk"),
        "procrastinate.procrastinatejob": queued,
    }


_PASSING = {"sessions", "auditlog", "admin", "contenttypes", "access"}


def snapshot() -> dict[str, str]:
    """Tells by table whether something changed, but for tables that merely tell of visits."""
    tables = {
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label not in _PASSING
    }
    digests = (
        f"select '{table}', md5(string_agg(t::text, '' order by t::text)) from \"{table}\" t"
        for table in sorted(tables)
    )
    with connection.cursor() as cursor:
        cursor.execute(" union all ".join(digests))
        return dict(cursor.fetchall())  # in any order, where PostgreSQL asks several at once
