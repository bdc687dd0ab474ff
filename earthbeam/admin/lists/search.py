"""Search in lists of many rows.

Queries small tables and indexes first, and then narrows the list by keys. A single condition like
"the ID, or the tenant's name, or a file's name contains it" would compare every row, twice for each
page.
"""

import re
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from earthbeam.models import Bundle, Job, JobFile, JobNote, Run
from partners import scoping
from partners.models import Tenant

# Fewer digits match too many IDs, and usually mean something else: a year, a tenant's code.
_ID = re.compile(r"[0-9a-f]{6,32}")
_MAX_WORDS = 6
MOST = 1_000
"""How many of the newest files or notes with a text are found."""


def ids_that_begin(model: type[Model], word: str) -> list[UUID]:
    """Return the keys of ``model`` that begin with ``word``, with or without dashes.

    Uses a range, which the key's index supports.
    """
    digits = word.lower().replace("-", "")
    if not _ID.fullmatch(digits):
        return []
    first, last = (UUID(digits.ljust(32, filler)) for filler in "0f")
    rows = model._default_manager.filter(pk__gte=first, pk__lte=last)
    return list(rows.order_by().values_list("pk", flat=True)[:MOST])


def any_of(found: dict[str, Sequence[Any]]) -> Q | None:
    """Return the condition that a row leads to one of the keys, or None if there are no keys."""
    conditions = [Q(**{f"{lookup}__in": keys}) for lookup, keys in found.items() if keys]
    return reduce(lambda one, other: one | other, conditions) if conditions else None


class WordSearch(admin.ModelAdmin):
    """Finds rows that match each word of the search.

    ``job_lookup`` leads to the job, as in ``run__job__``. ``id_lookups`` lead to what is found by
    the beginning of its ID.
    """

    job_lookup = ""
    id_lookups: dict[str, type[Model]] = {"pk": Job, "last_run": Run}

    def keys_called(self, words: Sequence[str]) -> list[dict[str, Sequence[Any]]]:
        """Return, for each word, the keys of what has it in its name, by look-up."""
        tenants = _called(Tenant.objects.values_list("pk", "code", "name"), words)
        bundles = _called(Bundle.objects.values_list("pk", "display_name"), words)
        return [
            {
                f"{self.job_lookup}tenant": of_tenant,
                f"{self.job_lookup}bundle": of_bundle,
                **{
                    lookup: ids_that_begin(model, word) for lookup, model in self.id_lookups.items()
                },
            }
            for word, of_tenant, of_bundle in zip(words, tenants, bundles, strict=True)
        ]

    def keys_with_text(
        self, request: HttpRequest, rows: QuerySet[Any], text: str
    ) -> dict[str, Sequence[Any]]:
        """Return what contains the text, if slow to find. Called once or twice per search."""
        return {}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = search_term.split()[:_MAX_WORDS]
        if not words:
            return queryset, False
        called = [any_of(keys) for keys in self.keys_called(words)]
        fits = [condition for condition in called if condition is not None]
        rest = " ".join(word for word, it in zip(words, called, strict=True) if it is None)
        condition = any_of(self.keys_with_text(request, queryset, " ".join(words)))
        if rest and fits and (with_text := any_of(self.keys_with_text(request, queryset, rest))):
            condition = _or(condition, reduce(and_, [*fits, with_text]))
        elif not rest:
            condition = _or(condition, reduce(and_, fits))
        return queryset.none() if condition is None else queryset.filter(condition), False


class JobSearch(WordSearch):
    """Finds jobs also by the names of their files and by their notes."""

    def keys_with_text(
        self, request: HttpRequest, rows: QuerySet[Any], text: str
    ) -> dict[str, Sequence[Any]]:
        files = JobFile.objects.filter(name__icontains=text).order_by("-pk")
        notes = JobNote.objects.filter(text__icontains=text).order_by("-pk")
        if not request.user.is_superuser:
            tenants = scoping.tenant_keys(request.user)
            files = files.filter(job__tenant__in=tenants)
            notes = notes.filter(job__tenant__in=tenants)
        return {"pk": list(_jobs(files).union(_jobs(notes)))}


def _jobs(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.values_list("job", flat=True)[:MOST]


def _called(rows: Iterable[tuple[Any, ...]], words: Sequence[str]) -> list[list[Any]]:
    """Return, for each word, the keys of rows with a name that contains it."""
    known = [(key, *(name.casefold() for name in names)) for key, *names in rows]
    return [
        [key for key, *names in known if any(word.casefold() in name for name in names)]
        for word in words
    ]


def _or(one: Q | None, other: Q) -> Q:
    return other if one is None else one | other
