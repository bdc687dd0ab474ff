"""The queue's tasks, for superusers: procrastinate's own page, made fast for many tasks."""

from django.contrib import admin
from procrastinate.contrib.django.admin import ProcrastinateJobAdmin
from procrastinate.contrib.django.models import ProcrastinateJob

from partners.scoped_admin import SuperuserAdmin

admin.site.unregister(ProcrastinateJob)


@admin.register(ProcrastinateJob)
class QueueAdmin(ProcrastinateJobAdmin, SuperuserAdmin):
    """SuperuserAdmin avoids looking up Django's model permissions on every page."""

    # Procrastinate's other filters read the whole table for their choices.
    list_filter = ["status"]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
