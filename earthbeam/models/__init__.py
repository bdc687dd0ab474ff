from earthbeam.models.bundles import Bundle, BundleRevision, BundleSync, DescriptorMapping
from earthbeam.models.confirmed import ConfirmedStudent
from earthbeam.models.destructions import Destruction
from earthbeam.models.external import IdempotencyKey, RequestCount
from earthbeam.models.jobs import POSSIBLE_ID_COLUMNS, Job, JobFile, JobNote, Submission
from earthbeam.models.mails import Mail, MailChoice
from earthbeam.models.notices import Notice, Webhook, new_webhook_secret
from earthbeam.models.reports import (
    OutputFile,
    OutputSet,
    ResourceSummary,
    RunError,
    RunMatches,
    RunUpdate,
    UnmatchedIds,
)
from earthbeam.models.runs import Run, RunLog

__all__ = [
    "POSSIBLE_ID_COLUMNS",
    "Bundle",
    "BundleRevision",
    "BundleSync",
    "ConfirmedStudent",
    "DescriptorMapping",
    "Destruction",
    "IdempotencyKey",
    "Job",
    "JobFile",
    "JobNote",
    "Mail",
    "MailChoice",
    "Notice",
    "OutputFile",
    "OutputSet",
    "RequestCount",
    "ResourceSummary",
    "Run",
    "RunError",
    "RunLog",
    "RunMatches",
    "RunUpdate",
    "Submission",
    "UnmatchedIds",
    "Webhook",
    "new_webhook_secret",
]
