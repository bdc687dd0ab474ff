"""The queue's admin from its package, adapted to a table of all launches ever."""

from django.contrib import admin
from procrastinate.contrib.django.admin import ProcrastinateJobAdmin
from procrastinate.contrib.django.models import ProcrastinateJob

admin.site.unregister(ProcrastinateJob)


@admin.register(ProcrastinateJob)
class QueueAdmin(ProcrastinateJobAdmin):
    # The package's other filters read all rows to list a column's distinct values.
    list_filter = ["status"]
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    ordering = ["-pk"]
