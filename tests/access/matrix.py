"""Who may open and do what: the tables that test_matrix.py tries, for every address there is.

A page, a button or an admin class that is not in these tables fails the tests. To add one:

* an admin class: an entry in MODELS, what each of its standard pages gives to whom;
* an address of your own (``get_urls``): an entry in PAGES by the name of its URL, with a ``Visit``
  for each method that people use: who gets what, the URL's arguments, what is posted;
* an action of a list: an entry in ACTIONS, who may do it to the target.

The target is what belongs to the tenant grand_bend of the partner ea. Texts name it, or an
attribute of it, by model: ``{earthbeam.job.pk}``, ``{partners.partner.pk}``; world.py makes them.

What somebody gets is one of these words:

* ``YES``: the page; or, to a POST, that it was done;
* ``AGAIN``: to a POST, the form again, with what is wrong with it (nothing was done);
* ``NO``: 403, this is not for such people;
* ``NONE``: 404 or "doesn't exist": nothing tells whether there is such a thing;
* ``SIGN_IN``: the sign-in page. So do all who are no members get, if a profile does not say else.

Beside that, for every visit: what is hidden from somebody (world.py, HIDDEN_FROM) is not on the
page, nothing changes by a GET, nor by a POST that is not answered with YES, and something does by
one that is.

The APIs take tokens, never a session: PUBLIC_API is what they tell everybody.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from django.core import signing
from django.core.files.uploadedfile import SimpleUploadedFile

from earthbeam.bundles import descriptor_mappings
from earthbeam.jobs import year_settings
from tests import factories
from tests.access.world import (
    ADMIN,
    ADMIN_ELSEWHERE,
    ANONYMOUS,
    INACTIVE,
    NO_MEMBER,
    SUPERUSER,
    USER,
    USER_ELSEWHERE,
)

YES, AGAIN, NO, NONE, SIGN_IN = "yes", "the form again", "no", "none", "sign in"

Profile = dict[str, str]


def _profile(*members: str) -> Profile:
    """For a user and a user elsewhere, an admin and an admin elsewhere, a superuser."""
    roles = (USER, USER_ELSEWHERE, ADMIN, ADMIN_ELSEWHERE, SUPERUSER)
    outsiders = dict.fromkeys((ANONYMOUS, INACTIVE, NO_MEMBER), SIGN_IN)
    return outsiders | dict(zip(roles, members, strict=True))


# --- Profiles ------------------- user  elsewhere  admin  elsewhere  superuser
MEMBERS = _profile(YES, YES, YES, YES, YES)  # lists, forms: each sees the own things there
OF_TENANT = _profile(YES, NONE, YES, NONE, YES)  # a thing of the tenant
ADMINS_OF_TENANT = _profile(NONE, NONE, YES, NONE, YES)
CREATE_IN_TENANT = _profile(YES, AGAIN, YES, AGAIN, YES)
ADMINS = _profile(NO, NO, YES, YES, YES)  # lists and forms of settings
OF_PARTNER = _profile(NO, NO, YES, NONE, YES)  # a setting of the partner
OF_PARTNER_PAGE = _profile(NONE, NONE, YES, NONE, YES)  # the same where 404 is for all
CREATE_IN_PARTNER = _profile(NO, NO, YES, AGAIN, YES)
SUPERUSERS = _profile(NO, NO, NO, NO, YES)
SUPERUSERS_AGAIN = _profile(NO, NO, NO, NO, AGAIN)
_JOB_ADMINS = _profile(NO, NONE, YES, NONE, YES)  # who see a job and administer its partner
_WITHDRAWERS = _JOB_ADMINS  # if the partner does not let users
NOBODY = _profile(NO, NO, NO, NO, NO)
EVERYBODY = dict.fromkeys(MEMBERS, YES)
SIGNED_IN = EVERYBODY | dict.fromkeys((ANONYMOUS, INACTIVE), SIGN_IN)
TO_SIGN_IN = dict.fromkeys(MEMBERS, SIGN_IN)
NOT_SO = dict.fromkeys(MEMBERS, NONE)


@dataclass(frozen=True)
class Visit:
    """``data`` is posted; a callable in it gets the targets, for each visit. ``query`` is the
    URL's."""

    who: Profile
    args: tuple[str, ...] = ()
    query: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    answers_in_place: bool = False
    """A POST that is answered with a page, not with a redirection, when it was done."""
    stores_nothing: bool = False
    """A POST that, when it was done, has changed no row, but those of sessions and trails."""


@dataclass(frozen=True)
class Model:
    """An admin class's standard pages; the forms are what is posted to add and to change."""

    list: Profile = field(default_factory=lambda: SUPERUSERS)
    add: Profile = field(default_factory=lambda: SUPERUSERS)
    create: Profile = field(default_factory=lambda: SUPERUSERS_AGAIN)
    see: Profile = field(default_factory=lambda: SUPERUSERS)
    change: Profile = field(default_factory=lambda: SUPERUSERS)
    delete: Profile = field(default_factory=lambda: SUPERUSERS)
    history: Profile = field(default_factory=lambda: SUPERUSERS)
    add_form: dict[str, Any] = field(default_factory=dict)
    add_query: dict[str, str] = field(default_factory=dict)
    see_query: dict[str, str] = field(default_factory=dict)
    form: dict[str, Any] = field(default_factory=dict)
    protected: bool = False
    """Other things need the target, so that even who may delete is told to delete those first."""
    created_in_place: bool = False
    """Who adds one is shown a page at once, not sent to the list."""

    def visits(self, label: str) -> dict[str, dict[str, Visit]]:
        """By page, then by method."""
        target = (f"{{{label}.pk}}",)
        deletes = {
            role: AGAIN if word == YES and self.protected else word
            for role, word in self.delete.items()
        }
        return {
            "changelist": {"GET": Visit(self.list)},
            "add": {
                "GET": Visit(self.add, query=self.add_query),
                "POST": Visit(
                    self.create,
                    query=self.add_query,
                    data=self.add_form,
                    answers_in_place=self.created_in_place,
                ),
            },
            "change": {
                "GET": Visit(self.see, target, query=self.see_query),
                "POST": Visit(self.change, target, data=self.form),
            },
            "delete": {
                "GET": Visit(self.delete, target),
                "POST": Visit(deletes, target, data={"post": "yes"}),
            },
            "history": {"GET": Visit(self.history, target)},
        }


_SETTING = Model(
    list=ADMINS,
    add=ADMINS,
    create=CREATE_IN_PARTNER,
    see=OF_PARTNER,
    change=OF_PARTNER,
    history=OF_PARTNER_PAGE,
)
_SETTING_TO_READ = replace(_SETTING, add=NOBODY, create=NOBODY, change=NOBODY)
_REPORT = Model(  # what runs tell: to look at
    list=MEMBERS, add=NOBODY, create=NOBODY, see=OF_TENANT, change=NOBODY, history=OF_TENANT
)


Targets = dict[str, Any]


def _file(name: str, content: bytes = factories.SCORES) -> Callable[[Targets], SimpleUploadedFile]:
    return lambda _: SimpleUploadedFile(name, content)


def _seen_years(targets: Targets) -> str:
    return year_settings.fingerprint(year_settings.settings_of(targets["partners.partner"]))


def _seen_rows(targets: Targets) -> str:
    return hashlib.sha256(factories.UNMATCHED_ROWS.encode()).hexdigest()


def _refused_rows(targets: Targets) -> str:
    head, _, second, *_ = factories.LOADED_INPUT.splitlines(keepends=True)
    return hashlib.sha256(f"{head}{second}".encode()).hexdigest()


def _no_mappings(targets: Targets) -> str:
    """The confirmation that the target's mappings go."""
    target = targets["earthbeam.descriptormapping"]
    chosen = target.partner, target.bundle, target.descriptor_type
    seen = descriptor_mappings.fingerprint(descriptor_mappings.current(*chosen))
    ids = [target.partner_id, target.bundle_id, target.descriptor_type]
    return signing.dumps(
        {"set": ids, "columns": [], "rows": [], "seen": seen},
        salt="earthbeam.descriptor-mappings",
        compress=True,
    )


_MAPPING_SET = {"bundle": "{earthbeam.bundle.pk}", "type": "gradeLevelDescriptors"}
_JOB, _PARTNER = ("{earthbeam.job.pk}",), ("{partners.partner.pk}",)
_QUEUED, _RESOLVED = ("{earthbeam.queued_job.pk}",), ("{earthbeam.resolved_job.pk}",)
_LOADED = ("{earthbeam.loaded_job.pk}",)
_PREVIEWED = ("{earthbeam.previewed_job.pk}",)
_UNMATCHED, _WEBHOOK = ("{earthbeam.unmatched_job.pk}",), ("{earthbeam.webhook.pk}",)

MODELS: dict[str, Model] = {
    "partners.partner": replace(
        _SETTING,
        add=SUPERUSERS,
        create=SUPERUSERS,
        add_form={"id": "new", "name": "New"},
        form={"name": "Renamed"},
        protected=True,
    ),
    "partners.tenant": replace(
        _SETTING,
        add_form={"partner": "{partners.partner.pk}", "code": "new"},
        form={"name": "Renamed"},
        see_query={"roster": "2627"},  # looks for the roster's file
        protected=True,
    ),
    "partners.schoolyear": Model(
        create=SUPERUSERS,
        add_form={"id": "3031", "start_year": "2030", "end_year": "2031"},
        form={"id": "2526", "start_year": "2035", "end_year": "2036"},
        protected=True,
    ),
    # Changed on the partner's page of school years.
    "partners.schoolyearconfig": replace(_SETTING_TO_READ, delete=NOBODY),
    "partners.odsconnection": replace(
        _SETTING,
        # One active connection a tenant and year; there is one.
        create=_profile(NO, NO, AGAIN, AGAIN, AGAIN),
        add_form={"tenant": "{partners.tenant.pk}", "school_year": "{partners.schoolyear.pk}"},
        form={
            "url": "http://127.0.0.1:9/new",
            "client_id": "new",
            "secret": "new",
            "save_anyway": "on",
            "reason": "It opens on Monday.",
        },
    ),
    "partners.membership": Model(
        form={
            "user": "{auth.user.pk}",
            "partner": "{partners.partner.pk}",
            "role": "partner_admin",
        },
    ),
    "earthbeam.bundlerevision": Model(add=NOBODY, create=NOBODY, change=NOBODY, delete=NOBODY),
    "earthbeam.bundle": Model(
        list=ADMINS,
        add=NOBODY,
        create=NOBODY,
        see=ADMINS,
        change=ADMINS,
        history=SUPERUSERS,  # it tells of people of all partners
        form={"enabled_for": []},
        protected=True,
    ),
    # Replaced as whole sets on the partner's page of mappings.
    "earthbeam.descriptormapping": replace(_SETTING_TO_READ, delete=NOBODY),
    "earthbeam.webhook": replace(
        _SETTING,
        delete=OF_PARTNER,
        add_form={
            "partner": "{partners.partner.pk}",
            "url": "http://127.0.0.1:9/new",
            "format": "signed",
            "enabled": "on",
        },
        form={
            "url": "http://127.0.0.1:9/other",
            "format": "signed",
            "enabled": "on",
            "notices-TOTAL_FORMS": "0",
            "notices-INITIAL_FORMS": "0",
        },
        created_in_place=True,  # with the secret, which is shown this once
    ),
    "earthbeam.job": replace(
        _REPORT,
        add=MEMBERS,
        create=CREATE_IN_TENANT,
        add_query={"bundle": "{earthbeam.bundle.pk}"},
        add_form={
            "tenant": "{partners.tenant.pk}",
            "school_year": "{partners.schoolyear.pk}",
            "file_INPUT_FILE": _file("a.csv"),
        },
    ),
    "earthbeam.destruction": replace(_SETTING_TO_READ, delete=NOBODY),
    "earthbeam.run": replace(_REPORT, delete=NOBODY),
    "earthbeam.outputset": replace(_REPORT, delete=NOBODY),
    "auth.user": Model(form={"username": "renamed", "is_active": "on", "is_superuser": "on"}),
    "socialaccount.socialaccount": Model(change=NOBODY),
    "auditlog.logentry": Model(add=NOBODY, create=NOBODY, change=NOBODY, delete=NOBODY),
    "procrastinate.procrastinatejob": Model(
        add=NOBODY, create=NOBODY, change=NOBODY, delete=NOBODY
    ),
}

# By the name of the URL or, where it has none, by its route.
PAGES: dict[str, dict[str, Visit]] = {
    # --- Getting in and out ---
    "": {"GET": Visit(EVERYBODY)},
    "favicon.ico": {"GET": Visit(EVERYBODY)},
    "admin:login": {"GET": Visit(EVERYBODY)},
    "admin:logout": {"POST": Visit(EVERYBODY, answers_in_place=True, stores_nothing=True)},
    "sign_out": {"POST": Visit(dict.fromkeys(EVERYBODY, SIGN_IN))},
    "openid_connect_login": {"POST": Visit(NOT_SO, ("unknown",))},
    "openid_connect_callback": {"GET": Visit(NOT_SO, ("unknown",))},
    # --- Second factors and sessions: everybody's own ---
    # Without a password that was right a short while ago they lead to signing in.
    "second_factor": {"GET": Visit(TO_SIGN_IN), "POST": Visit(TO_SIGN_IN, data={"code": "1"})},
    "second_factor_cancel": {"POST": Visit(TO_SIGN_IN)},
    # And in a session to entering the password again.
    "second_factor_set_up": {"GET": Visit(SIGNED_IN)},
    "second_factor_app": {
        "GET": Visit(SIGNED_IN),
        "POST": Visit(SIGNED_IN, data={"code": "1"}, stores_nothing=True),
    },
    "second_factor_passkey": {
        "GET": Visit(SIGNED_IN),
        "POST": Visit(SIGNED_IN, data={"credential": "{}"}, stores_nothing=True),
    },
    "notifications": {
        "GET": Visit(MEMBERS),
        "POST": Visit(MEMBERS, data={"failed": "daily", "rows": "off"}),
    },
    "second_factors": {"GET": Visit(SIGNED_IN)},
    "second_factor_confirm": {
        "GET": Visit(SIGNED_IN),
        # Who has no password, as issuers' people, has nothing to confirm.
        "POST": Visit(
            SIGNED_IN | {SUPERUSER: AGAIN}, data={"password": "wrong"}, stores_nothing=True
        ),
    },
    "second_factor_remove": {"POST": Visit(SIGNED_IN, ("1",), stores_nothing=True)},
    "recovery_codes": {"POST": Visit(SIGNED_IN, stores_nothing=True)},
    "sign_out_everywhere": {"POST": Visit(TO_SIGN_IN)},
    "session": {
        "GET": Visit(EVERYBODY),
        "POST": Visit(EVERYBODY, answers_in_place=True, stores_nothing=True),
    },
    # --- Everybody's own ---
    "admin:index": {"GET": Visit(MEMBERS)},
    "admin:password_change": {"GET": Visit(MEMBERS)},
    "admin:password_change_done": {"GET": Visit(MEMBERS)},
    "admin:jsi18n": {"GET": Visit(MEMBERS)},
    "admin:app_list": {"GET": Visit(MEMBERS, ("earthbeam",))},
    "admin:view_on_site": {"GET": Visit(_profile(*[NONE] * 5), ("1", "1"))},
    "admin/(?P<url>.*)$": {"GET": Visit(_profile(*[NONE] * 5), ("no/such/page",))},
    # What it answers is tried in test_matrix.py, for every field that has it.
    "admin:autocomplete": {"GET": Visit(_profile(*[NO] * 5))},
    # --- Partners ---
    "admin:earthbeam_bundlerevision_make_current": {
        "POST": Visit(SUPERUSERS, ("{earthbeam.bundlerevision.pk}",))
    },
    "admin:partners_partner_edu_panel": {"GET": Visit(OF_PARTNER_PAGE, _PARTNER)},
    "admin:partners_partner_edu_test": {
        "POST": Visit(OF_PARTNER_PAGE, _PARTNER, answers_in_place=True, stores_nothing=True)
    },
    "admin:partners_partner_edu_reset": {"POST": Visit(OF_PARTNER_PAGE, _PARTNER)},
    "admin:partners_partner_edu_keep_rosters": {
        "POST": Visit(OF_PARTNER_PAGE, _PARTNER, data={"keep": "on"})
    },
    "admin:partners_partner_bundles": {
        "GET": Visit(OF_PARTNER_PAGE, _PARTNER),
        "POST": Visit(OF_PARTNER_PAGE, _PARTNER, data={"was": "{earthbeam.bundle.pk}"}),
    },
    "admin:partners_partner_years": {
        "GET": Visit(OF_PARTNER_PAGE, _PARTNER),
        "POST": Visit(
            OF_PARTNER_PAGE,
            _PARTNER,
            data={
                "year": "{partners.schoolyear.pk}",
                "to-2526": "edu",
                "seen": _seen_years,
                "confirmed": "yes",
            },
        ),
    },
    "admin:partners_partner_year_tenants": {
        "GET": Visit(OF_PARTNER_PAGE, _PARTNER, query={"year": "2627"})  # looks for rosters
    },
    "admin:partners_partner_mappings": {"GET": Visit(OF_PARTNER_PAGE, _PARTNER)},
    "admin:partners_partner_mapping": {
        "GET": Visit(OF_PARTNER_PAGE, _PARTNER, query=_MAPPING_SET),
        "POST": Visit(
            OF_PARTNER_PAGE, _PARTNER, query=_MAPPING_SET, data={"confirmed": _no_mappings}
        ),
    },
    "admin:partners_partner_mapping_export": {
        "GET": Visit(OF_PARTNER_PAGE, _PARTNER, query=_MAPPING_SET)
    },
    "admin:partners_partner_confirmed": {
        "GET": Visit(OF_PARTNER_PAGE, _PARTNER),
        "POST": Visit(  # searches
            OF_PARTNER_PAGE, _PARTNER, data={"q": "77"}, answers_in_place=True, stores_nothing=True
        ),
    },
    "admin:partners_partner_confirmed_revoke": {
        "POST": Visit(OF_PARTNER_PAGE, _PARTNER, data={"row": "{earthbeam.confirmedstudent.pk}"})
    },
    "admin:partners_partner_confirmed_import": {
        "POST": Visit(
            OF_PARTNER_PAGE,
            _PARTNER,
            data={
                "tenant": "{partners.tenant.pk}",
                "file": _file("a.csv", b"column,id,studentUniqueId\nStudentID,78,604823\n"),
            },
        )
    },
    "admin:partners_partner_confirmed_export": {"GET": Visit(OF_PARTNER_PAGE, _PARTNER)},
    "admin:partners_partner_access": {"GET": Visit(OF_PARTNER_PAGE, _PARTNER)},
    "admin:partners_partner_access_export": {"GET": Visit(OF_PARTNER_PAGE, _PARTNER)},
    "admin:partners_odsconnection_test": {
        "POST": Visit(OF_PARTNER_PAGE, ("{partners.odsconnection.pk}",))
    },
    # --- Jobs ---
    "admin:earthbeam_job_file": {
        "GET": Visit(OF_TENANT, (*_JOB, "output/ods/of-grand-bend.jsonl"))
    },
    "admin:earthbeam_job_check": {
        "POST": Visit(
            OF_TENANT,
            data={
                "tenant": "{partners.tenant.pk}",
                "bundle": "{earthbeam.bundle.pk}",
                "key": "INPUT_FILE",
                "name": "a.csv",
                "size": "26",
                "head": _file("a.csv"),
                "sha256": hashlib.sha256(factories.SCORES).hexdigest(),
            },
            answers_in_place=True,
            stores_nothing=True,
        )
    },
    "admin:earthbeam_job_live": {"GET": Visit(OF_TENANT, _JOB)},
    # Full of internals.
    "admin:earthbeam_job_log": {"GET": Visit(ADMINS_OF_TENANT, (*_JOB, "{earthbeam.run.pk}"))},
    "admin:earthbeam_job_run": {"POST": Visit(OF_TENANT, _JOB)},
    # Without EDU it starts nothing.
    "admin:earthbeam_job_with_edu": {"POST": Visit(OF_TENANT, _JOB, stores_nothing=True)},
    # Its last run has found no damage to undo.
    "admin:earthbeam_job_repair": {
        "POST": Visit(OF_TENANT, _JOB, data={"kind": "leading_zeros"}, stores_nothing=True)
    },
    "admin:earthbeam_job_cancel": {
        "POST": Visit(OF_TENANT, _QUEUED, data={"run": "{earthbeam.queued_job.last_run_id}"})
    },
    "admin:earthbeam_job_hold": {"POST": Visit(_JOB_ADMINS, _JOB)},
    "admin:earthbeam_job_release": {"POST": Visit(_JOB_ADMINS, ("{earthbeam.held_job.pk}",))},
    "admin:earthbeam_job_resolve": {"POST": Visit(OF_TENANT, _UNMATCHED)},
    "admin:earthbeam_job_unresolve": {"POST": Visit(OF_TENANT, _RESOLVED)},
    "admin:earthbeam_job_note": {"POST": Visit(OF_TENANT, _JOB, data={"text": "Seen."})},
    "admin:earthbeam_job_unmatched": {
        "GET": Visit(OF_TENANT, _UNMATCHED),
        "POST": Visit(
            OF_TENANT, _UNMATCHED, data={"do": "rerun", "content": _seen_rows, "id-1": "604999"}
        ),
    },
    "admin:earthbeam_job_preview": {"POST": Visit(OF_TENANT, _JOB)},
    "admin:earthbeam_job_previewed": {"GET": Visit(OF_TENANT, _PREVIEWED)},
    "admin:earthbeam_job_resend": {"POST": Visit(OF_TENANT, _LOADED)},
    "admin:earthbeam_job_refused": {
        "GET": Visit(OF_TENANT, _LOADED),
        "POST": Visit(OF_TENANT, _LOADED, data={"content": _refused_rows, "cell-1-2": "11"}),
    },
    "admin:earthbeam_job_refused_file": {"GET": Visit(OF_TENANT, _LOADED)},
    "admin:earthbeam_job_withdraw": {
        "GET": Visit(_WITHDRAWERS, _LOADED),
        # Another job of the tenant is queued.
        "POST": Visit(_WITHDRAWERS, _LOADED, data={"typed": "2"}, stores_nothing=True),
    },
    "admin:earthbeam_job_unmatched_file": {"GET": Visit(OF_TENANT, _UNMATCHED)},
    "admin:earthbeam_job_disagreeing": {"GET": Visit(OF_TENANT, _UNMATCHED)},
    "admin:earthbeam_job_resolve_linked": {
        # Nothing of it is settled.
        "POST": Visit(OF_TENANT, _UNMATCHED, stores_nothing=True)
    },
    # --- Webhooks ---
    "admin:earthbeam_webhook_secret": {
        "POST": Visit(OF_PARTNER_PAGE, _WEBHOOK, answers_in_place=True)
    },
    "admin:earthbeam_webhook_test": {"POST": Visit(OF_PARTNER_PAGE, _WEBHOOK, stores_nothing=True)},
    "admin:earthbeam_webhook_again": {"POST": Visit(OF_PARTNER_PAGE, _WEBHOOK)},
    # --- People ---
    "admin:auth_user_reset_second_factor": {
        "POST": Visit(SUPERUSERS, ("{auth.user.pk}",), stores_nothing=True)  # there is none
    },
    "admin:auth_user_password_change": {
        "GET": Visit(SUPERUSERS, ("{auth.user.pk}",)),
        "POST": Visit(
            SUPERUSERS,
            ("{auth.user.pk}",),
            data={
                "usable_password": "true",
                "password1": "sturdy horse 99",
                "password2": "sturdy horse 99",
            },
        ),
    },
}

# By model and action: who may do it to the target.
ACTIONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("partners.partner", "reset_edu_connections"): (ADMIN, SUPERUSER),
    ("partners.odsconnection", "retire"): (ADMIN, SUPERUSER),
    ("partners.odsconnection", "test_selected"): (ADMIN, SUPERUSER),
    ("procrastinate.procrastinatejob", "retry"): (),  # the target's has not failed
    ("procrastinate.procrastinatejob", "cancel"): (SUPERUSER,),
    ("procrastinate.procrastinatejob", "abort"): (SUPERUSER,),
    ("earthbeam.job", "run_again"): (USER, ADMIN, SUPERUSER),
    ("earthbeam.job", "cancel"): (USER, ADMIN, SUPERUSER),
    ("earthbeam.job", "resolve"): (USER, ADMIN, SUPERUSER),
    ("earthbeam.job", "unresolve"): (USER, ADMIN, SUPERUSER),
    # What is deleted from lists; of what others need, nothing.
    ("partners.partner", "delete_selected"): (),
    ("partners.tenant", "delete_selected"): (),
    ("partners.schoolyear", "delete_selected"): (),
    ("partners.odsconnection", "delete_selected"): (SUPERUSER,),
    ("partners.membership", "delete_selected"): (SUPERUSER,),
    ("earthbeam.bundle", "delete_selected"): (),
    ("earthbeam.webhook", "delete_selected"): (ADMIN, SUPERUSER),
    ("earthbeam.job", "delete_selected"): (SUPERUSER,),
    ("auth.user", "delete_selected"): (SUPERUSER,),
    ("socialaccount.socialaccount", "delete_selected"): (SUPERUSER,),
}

# Actions that are for others than the model's own target.
ACTION_TARGETS = {
    ("earthbeam.job", "cancel"): "earthbeam.queued_job",
    ("earthbeam.job", "resolve"): "earthbeam.unmatched_job",
    ("earthbeam.job", "unresolve"): "earthbeam.resolved_job",
}

# What the external API can do, as a page and for machines; there is no data in it.
PUBLIC_API = {"api/v1/schema", "api/v1/docs"}
