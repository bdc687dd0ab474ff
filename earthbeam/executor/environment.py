"""The variables an executor is started with: contract section 7, plus a few of our own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

DEFAULT_BUNDLE_REPO = "https://github.com/edanalytics/earthmover_edfi_bundles.git"
DEFAULT_BUNDLE_HOSTS = ("github.com",)
DEFAULT_TIMEOUT_SECONDS = 3600
MOST_REQUESTS_AT_ONCE = 64
_CERTIFICATE_AUTHORITIES = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),  # aiohttp, as Python itself
    *("REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "GIT_SSL_CAINFO"),  # requests, boto3, and git
)


def certificate_authorities(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that name files of certificate authorities to trust."""
    return {name: variables[name] for name in _CERTIFICATE_AUTHORITIES if variables.get(name)}


class BadEnvironment(Exception):
    """A variable that the executor needs is missing or unusable. The message names it."""


@dataclass(frozen=True)
class Environment:
    """The launcher's variables. ``init_token`` never shows in a repr."""

    init_token: str = field(repr=False)
    init_job_url: str
    timeout_seconds: int
    bundle_repo: str
    bundle_mirror: str | None = None
    """A mirror of it that the launcher has updated and that is read-only.

    If None, the executor keeps its own.
    """
    bundle_hosts: tuple[str, ...] = DEFAULT_BUNDLE_HOSTS
    """Hosts that bundles' packages may be cloned from."""
    possible_student_id_columns: str | None = None
    roster_gzip: bool = False
    """Whether to ask the app for a gzipped roster, for a slow link between the two."""
    ods_requests_at_once: int | None = None
    """How many records to send to the ODS at the same time. None for the bundle's number."""

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> "Environment":
        """Read the variables. Raises BadEnvironment."""
        for name in ("INIT_TOKEN", "INIT_JOB_URL"):
            if not variables.get(name):
                raise BadEnvironment(f"{name} is not set; the app's launcher sets it for each run.")
        url = variables["INIT_JOB_URL"]
        if urlsplit(url).scheme not in ("http", "https"):
            raise BadEnvironment("INIT_JOB_URL must be an http or https URL.")
        seconds = variables.get("TIMEOUT_SECONDS") or str(DEFAULT_TIMEOUT_SECONDS)
        if not seconds.isdecimal() or int(seconds) < 1:
            raise BadEnvironment("TIMEOUT_SECONDS must be a whole number of seconds above 0.")
        gzip = variables.get("ROSTER_GZIP") or "0"
        if gzip not in ("0", "1"):
            raise BadEnvironment("ROSTER_GZIP must be 1 or 0.")
        at_once = variables.get("ODS_REQUESTS_AT_ONCE") or None
        if at_once and not (at_once.isdecimal() and 1 <= int(at_once) <= MOST_REQUESTS_AT_ONCE):
            raise BadEnvironment(
                f"ODS_REQUESTS_AT_ONCE must be a whole number from 1 to {MOST_REQUESTS_AT_ONCE}."
            )
        return cls(
            init_token=variables["INIT_TOKEN"],
            init_job_url=url,
            timeout_seconds=int(seconds),
            bundle_repo=variables.get("BUNDLE_REPO") or DEFAULT_BUNDLE_REPO,
            bundle_hosts=tuple(filter(None, variables.get("BUNDLE_HOSTS", "").split(",")))
            or DEFAULT_BUNDLE_HOSTS,
            bundle_mirror=variables.get("BUNDLE_MIRROR") or None,
            possible_student_id_columns=variables.get("POSSIBLE_STUDENT_ID_COLUMNS") or None,
            roster_gzip=gzip == "1",
            ods_requests_at_once=int(at_once) if at_once else None,
        )
