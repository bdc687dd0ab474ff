"""System checks that find configuration mistakes before the first request or job."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register

from earthbeam.bundles import revisions
from earthbeam.errors import LauncherMisconfigured
from earthbeam.files import BadLocation, DirectoryStore, is_s3, open_store
from earthbeam.files.directory import is_open_to_others
from earthbeam.launchers import LAUNCHERS, sandbox
from runway import aws

_SHORTEST_KEY = 32  # bytes; RFC 7518, 3.2: HS256 needs a key as long as its hash
_LONGEST_SESSION = 12 * 60 * 60  # seconds; AWS STS, AssumeRole


@register(Tags.security)
def check_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.E001, an invalid encryption key, and runway.E002, a weak key for tokens."""
    found: list[CheckMessage] = []
    for number, key in enumerate(settings.ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            found.append(
                Error(
                    f"Key {number} of ENCRYPTION_KEYS is not a Fernet key.",
                    hint="Give keys that Fernet.generate_key() of the package cryptography makes "
                    "(44 characters each), the newest first, separated by commas.",
                    id="runway.E001",
                )
            )
    keys = [settings.EXECUTOR_JWT_KEY, *settings.EXECUTOR_JWT_KEY_FALLBACKS]
    if min(len(key.encode()) for key in keys) < _SHORTEST_KEY:
        found.append(
            Error(
                f"EXECUTOR_JWT_KEY or a fallback of it is shorter than {_SHORTEST_KEY} bytes.",
                hint="Set it to a random text, such as "
                "`python -c 'import secrets; print(secrets.token_urlsafe(48))'` prints.",
                id="runway.E002",
            )
        )
    return found


@register()
def check_app_url(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.E003, no URL that can be called, and runway.W001, tokens over http."""
    if settings.EXECUTOR_APP_URL:
        name, url = "EXECUTOR_APP_URL", settings.EXECUTOR_APP_URL
    else:
        name, url = "APP_URL", settings.APP_URL
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return [
            Error(
                f"{name} is {url!r}, which executors cannot call.",
                hint="Set it to the http or https URL at which executors reach this app.",
                id="runway.E003",
            )
        ]
    if parts.scheme == "https" or settings.IN_DEVELOPMENT or _is_loopback(parts.hostname):
        return []
    return [
        Warning(
            f"{name} is plain http: tokens, ODS secrets and rosters travel unencrypted.",
            hint="Give executors an https URL, or make sure that the network between is private.",
            id="runway.W001",
        )
    ]


@register(Tags.security)
def check_issuers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.E009: a connection to the issuer over which sign-ins could be forged."""
    return [
        Error(
            f"The issuer {each.id!r} of OIDC_ISSUERS is not reached by https.",
            hint="Give its https URL: without it nothing proves who answers.",
            id="runway.E009",
        )
        for each in settings.OIDC_ISSUERS
        if not _is_safe(each.issuer)
    ]


@register()
def check_files_base(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.E004, no storage for jobs' files, and runway.W006, others can read them."""
    try:
        store = open_store(settings.FILES_BASE)
    except BadLocation as error:
        return [
            Error(
                f"FILES_BASE cannot be used: {error}.",
                hint="Set it to where jobs' files shall lie, such as file:///srv/runway/files "
                "or s3://BUCKET.",
                id="runway.E004",
            )
        ]
    if settings.IN_DEVELOPMENT or not isinstance(store, DirectoryStore):
        return []
    if is_open_to_others(store.root):
        return [
            Warning(
                "The folder of FILES_BASE can be read by other users of this machine.",
                hint=f"Close it: chmod 700 {store.root}",
                id="runway.W006",
            )
        ]
    return []


@register()
def check_launcher(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.E005: no run could be launched."""
    if settings.EXECUTOR_LAUNCHER in LAUNCHERS:
        return []
    return [
        Error(
            f"EXECUTOR_LAUNCHER is {settings.EXECUTOR_LAUNCHER!r}, which is no launcher.",
            hint=f"Set it to one of: {', '.join(LAUNCHERS)}.",
            id="runway.E005",
        )
    ]


@register()
def check_executors_reach_files(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Check runway.E007: executors could not read their jobs' files."""
    on_s3, launcher = is_s3(settings.FILES_BASE), settings.EXECUTOR_LAUNCHER
    if launcher == "ecs" and not on_s3:
        problem = "FILES_BASE is a directory, which executors on ECS do not see."
        hint = "Set FILES_BASE to s3://BUCKET."
    elif launcher == "local" and on_s3 and not settings.IN_DEVELOPMENT:
        problem = "FILES_BASE is on S3, for which the worker's own executors get no credentials."
        hint = "Set EXECUTOR_LAUNCHER to ecs, or FILES_BASE to a directory: file:///DIRECTORY."
    else:
        return []
    return [Error(problem, hint=hint, id="runway.E007")]


@register()
def check_ecs(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.E008, ECS cannot be found, and runway.W003, runs outlive their credentials."""
    if settings.EXECUTOR_LAUNCHER != "ecs":
        return []
    found: list[CheckMessage] = []
    if not settings.ENVLABEL:
        found.append(
            Error(
                "EXECUTOR_LAUNCHER is ecs, but ENVLABEL is not set.",
                hint="Set ENVLABEL to the label below which SSM holds the parameters of ECS.",
                id="runway.E008",
            )
        )
    if settings.EXECUTOR_TIMEOUT_SECONDS > _LONGEST_SESSION:
        found.append(
            Warning(
                "EXECUTOR_TIMEOUT_SECONDS is above 12 hours, after which executors' credentials "
                "for S3 end.",
                hint=f"Set it to {_LONGEST_SESSION} at most.",
                id="runway.W003",
            )
        )
    return found


@register()
def check_region(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.E012, AWS without a region, and runway.W007, the same for EDU only."""
    on_aws = bool(
        is_s3(settings.FILES_BASE) or settings.EXECUTOR_LAUNCHER == "ecs" or settings.EVENT_BUS
    )
    if not on_aws and (settings.IN_DEVELOPMENT or not settings.ENVLABEL):
        return []
    if aws.region():
        return []
    hint = "Set AWS_REGION to the region of the deployment, such as us-east-1."
    if on_aws:
        problem = "No AWS region is known, so nothing of AWS can be reached."
        return [Error(problem, hint=hint, id="runway.E012")]
    problem = "No AWS region is known: EDU's credentials cannot be looked up."
    return [Warning(problem, hint=f"{hint} Cross-year matching needs it.", id="runway.W007")]


@register()
def check_email(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.W008: emails from an address that servers refuse."""
    if not settings.EMAIL_URL or not settings.DEFAULT_FROM_EMAIL.endswith("@localhost"):
        return []
    return [
        Warning(
            "EMAIL_URL is set, but EMAIL_FROM is not.",
            hint="Set it to the address that emails come from, then try `manage.py sendtestemail`.",
            id="runway.W008",
        )
    ]


@register()
def check_support(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.E014: a support contact that no link can lead to."""
    contact = settings.SUPPORT_CONTACT
    if not contact or re.fullmatch(r"https?://\S+|[^\s@:/?]+@[^\s@:/?]+", contact):
        return []
    return [
        Error(
            f"SUPPORT_CONTACT is {contact!r}, which is neither an email address nor a URL.",
            hint="Set it to an address such as support@example.org, or to an https URL.",
            id="runway.E014",
        )
    ]


@register()
def check_edu_stand_in(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Check runway.E013: an invalid port of EDU's stand-in."""
    port = (settings.EDU_SNOWFLAKE or {}).get("port")
    if not port or (port.isdecimal() and 0 < int(port) < 65536):
        return []
    return [
        Error(
            f"EDU_SNOWFLAKE_PORT is {port!r}, which is not a port.",
            hint="Set it to a number from 1 to 65535, or leave it empty for Snowflake itself.",
            id="runway.E013",
        )
    ]


@register()
def check_bundles(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.E011: an invalid setting for bundles' approval."""
    if settings.BUNDLE_APPROVAL in revisions.APPROVALS:
        return []
    return [
        Error(
            f"BUNDLE_APPROVAL is {settings.BUNDLE_APPROVAL!r}.",
            hint=f"Set it to one of: {', '.join(revisions.APPROVALS)}.",
            id="runway.E011",
        )
    ]


@register()
def check_sandbox(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.E010, local executors without a sandbox, and runway.W005, the same on purpose.

    runway.I001 reports what they run in.
    """
    if settings.EXECUTOR_LAUNCHER != "local":
        return []
    try:
        used = sandbox.is_used()
    except LauncherMisconfigured as error:
        return [Error(str(error), hint=sandbox.HINT, id="runway.E010")]
    if used or (settings.IN_DEVELOPMENT and settings.EXECUTOR_SANDBOX != sandbox.NONE):
        return [Info(sandbox.describe(), id="runway.I001")]
    return [Warning(sandbox.describe(), hint=sandbox.HINT, id="runway.W005")]


@register()
def check_threads(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.E006: roster streams could take every thread, and executors could not report."""
    if settings.ROSTER_STREAMS_MAX < settings.WEB_THREADS:
        return []
    return [
        Error(
            f"ROSTER_STREAMS_MAX ({settings.ROSTER_STREAMS_MAX}) is not below WEB_THREADS "
            f"({settings.WEB_THREADS}).",
            hint="Lower ROSTER_STREAMS_MAX, so that a thread is left for everything else.",
            id="runway.E006",
        )
    ]


@register(deploy=True)
def check_production(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.W002: a deployment that runs on local fallbacks."""
    if not settings.IN_DEVELOPMENT:
        return []
    return [
        Warning(
            "RUNWAY_ENV is development: keys, hosts and database fall back to local ones.",
            hint="Unset RUNWAY_ENV, or set it to production, wherever real data is.",
            id="runway.W002",
        )
    ]


@register(deploy=True)
def check_proxy(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check runway.W004: slow clients would occupy gunicorn's threads."""
    if settings.IN_DEVELOPMENT or settings.BEHIND_TLS_PROXY:
        return []
    return [
        Warning(
            "BEHIND_TLS_PROXY is not set: it looks as if clients reach gunicorn directly.",
            hint="Put a server that buffers requests in front, such as nginx with ops/nginx.conf, "
            "and set BEHIND_TLS_PROXY=true. Without one, clients that send slowly occupy threads.",
            id="runway.W004",
        )
    ]


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(str(parts.hostname)))
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
