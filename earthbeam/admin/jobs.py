"""Jobs in the admin: each screen is a module of its own."""

from django.contrib import admin
from django.http import HttpRequest

from earthbeam.admin.job_list import JobList
from earthbeam.admin.job_new import NewJob
from earthbeam.admin.job_page import JobPage
from earthbeam.admin.job_unmatched import JobUnmatched
from earthbeam.models import Job


@admin.register(Job)
class JobAdmin(JobList, NewJob, JobUnmatched, JobPage):
    partner_lookup = "tenant__partner"
    tenant_lookup = "tenant"

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False
