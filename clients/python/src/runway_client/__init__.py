"""A client of Runway's API: submit assessment files, follow their jobs, fetch output sets."""

from runway_client.auth import ClientCredentials
from runway_client.client import Runway
from runway_client.errors import Damaged, JobFailed, NotInTime, Refused, RunwayError, Unreachable
from runway_client.types import Job, NewJob, OutputSet, Run

__all__ = [
    "ClientCredentials",
    "Damaged",
    "Job",
    "JobFailed",
    "NewJob",
    "NotInTime",
    "OutputSet",
    "Refused",
    "Run",
    "Runway",
    "RunwayError",
    "Unreachable",
]
