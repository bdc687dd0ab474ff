"""Filters that all lists share."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.exceptions import ValidationError

from earthbeam.external import paging

M = TypeVar("M", bound=Model)


def filtered(
    rows: QuerySet[M], asked: dict[str, Any], *, to_job: str, time: str, id_: str
) -> QuerySet[M]:
    """Filter ``rows`` by the parameters of a ListQuery. ``to_job`` leads from a row to its job.

    ``time`` and ``id_`` are the fields that order the list. Raises ValidationError for a cursor
    that is not one of ours.
    """
    if "tenant" in asked:
        rows = rows.filter(**{f"{to_job}tenant__code": asked["tenant"]})
    if "schoolYear" in asked:
        rows = rows.filter(**{f"{to_job}school_year__end_year": int(asked["schoolYear"])})
    if "bundle" in asked:
        name = asked["bundle"]
        path = name if name.startswith("assessments/") else f"assessments/{name}"
        rows = rows.filter(**{f"{to_job}bundle": path})
    if "createdAfter" in asked:
        rows = rows.filter(**{f"{time}__gt": asked["createdAfter"]})
    if "cursor" in asked:
        try:
            rows = rows.filter(paging.after(asked["cursor"], time_field=time, id_field=id_))
        except paging.BadCursor:
            raise ValidationError(
                {"cursor": ["Take the cursor from the header Link of a page."]}
            ) from None
    return rows
