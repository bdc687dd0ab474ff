"""What the API answers, as far as most programs read it. All else is in the same dictionaries."""

from typing import Any, NotRequired, TypedDict


class Run(TypedDict):
    """A run of a job."""

    uid: str
    kind: str
    status: str
    outcome: str | None
    errors: NotRequired[list[dict[str, Any]]]
    matches: NotRequired[dict[str, Any] | None]


class NewJob(TypedDict):
    """A job that waits for its files: a URL for each, valid for an hour."""

    uid: str
    uploadUrls: dict[str, str]


class Job(TypedDict):
    """A job. ``run`` is its last one, in the answers about one job."""

    uid: str
    partner: str
    tenant: str
    schoolYear: str
    bundle: str
    status: str
    outcome: str | None
    run: NotRequired[Run | None]


class OutputSet(TypedDict):
    """A set of files that a job has produced."""

    uid: str
    jobUid: str
    partner: str
    tenant: str
    sentToOds: bool
    createdAt: str
    files: NotRequired[list[str]]
    sha256: NotRequired[dict[str, str] | None]
