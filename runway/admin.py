"""The queue's admin, from its package, made fit for a table of every launch there ever was."""

from django.contrib import admin
from procrastinate.contrib.django.admin import ProcrastinateJobAdmin
from procrastinate.contrib.django.models import ProcrastinateJob

admin.site.unregister(ProcrastinateJob)


@admin.register(ProcrastinateJob)
class QueueAdmin(ProcrastinateJobAdmin):
    # The package's other filters read all rows to list the different values of a column.
    list_filter = ["status"]
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    ordering = ["-pk"]
