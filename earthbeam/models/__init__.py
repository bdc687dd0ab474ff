from earthbeam.models.bundles import Bundle, DescriptorMapping
from earthbeam.models.jobs import Job, JobFile, JobNote
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
    "Bundle",
    "DescriptorMapping",
    "Job",
    "JobFile",
    "JobNote",
    "OutputFile",
    "OutputSet",
    "ResourceSummary",
    "Run",
    "RunError",
    "RunLog",
    "RunMatches",
    "RunUpdate",
    "UnmatchedIds",
]
