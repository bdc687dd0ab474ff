"""Filters for lists of jobs, runs, and output sets, in addition to partner, tenant, and year."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from earthbeam.jobs.status import NEEDS_ATTENTION, JobStatus, has_status
from earthbeam.models import Bundle, Job, Run
from partners import scoping
from partners.list_filters import NamedFilter

# In bookmarked URLs.
NEEDS_ATTENTION_GROUP, IN_PROGRESS = "to_look_at", "in_progress"
_GROUPS = {
    NEEDS_ATTENTION_GROUP: ("Needs attention: errors or unmatched rows", NEEDS_ATTENTION),
    IN_PROGRESS: ("In progress: queued or running", (JobStatus.QUEUED, JobStatus.RUNNING)),
}


class JobStatusFilter(admin.SimpleListFilter):
    """Every status of jobs/status.py, and the two groups that people work through."""

    title, parameter_name = "status", "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        groups = [(value, label) for value, (label, _) in _GROUPS.items()]
        return [*groups, *((str(value), str(label)) for value, label in JobStatus.choices)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        value = self.value()
        if value in _GROUPS:
            return queryset.filter(has_status(*_GROUPS[value][1]))
        if value in JobStatus.values:
            return queryset.filter(has_status(value))
        return queryset


class EduFilter(admin.SimpleListFilter):
    """Jobs whose last run had to do without EDU although cross-year matching is on."""

    title, parameter_name = "cross-year matching", "edu"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("unavailable", "EDU was unavailable")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        if self.value() == "unavailable":
            return queryset.filter(last_run__in=Run.objects.exclude(edu_unavailable=""))
        return queryset


class BundleFilter(NamedFilter):
    title, parameter_name = "assessment", "assessment"

    def names(self, user: User) -> Iterable[tuple[str, str]]:
        names = Bundle.objects.values_list("display_name", flat=True)
        return ((name, name) for name in names.order_by("display_name").distinct())

    def called(self, text: str, user: User) -> Iterable[Any]:
        keys = Bundle.objects.values_list("pk", flat=True)
        return list(keys.filter(display_name=text)) or keys.filter(display_name__icontains=text)


class PersonFilter(NamedFilter):
    """Filter by who created a job in the admin."""

    title, parameter_name = "person", "person"

    def names(self, user: User) -> Iterable[tuple[str, str]]:
        people = self._visible(user).values_list("username", "first_name", "last_name")
        return ((name, f"{first} {last}".strip() or name) for name, first, last in people)

    def called(self, text: str, user: User) -> Iterable[Any]:
        people = self._visible(user).values_list("pk", flat=True)
        part = (
            Q(username__icontains=text)
            | Q(first_name__icontains=text)
            | Q(last_name__icontains=text)
            | Q(email__icontains=text)
        )
        return list(people.filter(username=text)) or people.filter(part)

    def _visible(self, user: User) -> QuerySet[User]:
        jobs = scoping.visible(
            Job.objects.order_by(), user, partner="tenant__partner", tenant="tenant"
        )
        of_person = jobs.filter(created_by=OuterRef("pk"))
        return User.objects.filter(Exists(of_person)).order_by("username")


class ApiClientFilter(NamedFilter):
    """Filter by the API client that created a job."""

    title, parameter_name = "API client", "client"
    LEAST = 1  # people create jobs too

    # Loose index scans of all clients, and of those of some tenants. They read one entry per
    # client; DISTINCT would read all jobs.
    _ALL = """
        with recursive client (name) as (
            select min(api_client) from earthbeam_job where api_client <> ''
            union all
            select (select min(api_client) from earthbeam_job
                    where api_client <> '' and api_client > client.name)
            from client where name is not null
        ) select name from client where name is not null order by name limit %s"""
    _OF_TENANTS = """
        with recursive client (tenant, name) as (
            select tenant, (select min(api_client) from earthbeam_job
                            where tenant_id = tenant and api_client <> '')
            from unnest(%s::bigint[]) visible (tenant)
            union all
            select tenant, (select min(api_client) from earthbeam_job
                            where tenant_id = tenant and api_client <> ''
                                and api_client > client.name)
            from client where name is not null
        ) select distinct name from client where name is not null order by name limit %s"""

    def names(self, user: User) -> Iterable[tuple[str, str]]:
        with connection.cursor() as cursor:
            if user.is_superuser:
                cursor.execute(self._ALL, [self.SUGGESTED])
            else:
                keys = scoping.tenant_keys(user)
                cursor.execute(self._OF_TENANTS, [keys, self.SUGGESTED])
            return [(name, name) for (name,) in cursor.fetchall()]

    def called(self, text: str, user: User) -> Iterable[Any]:
        names = [name for name, _ in self.lookup_choices]
        if text in names:
            return [text]
        return [name for name in names if text.casefold() in name.casefold()]
