"""Lists in pages, oldest first. A cursor names the last row of the previous page.

A page is a plain list. If there is more, the header ``Link`` (RFC 8288) has the URL of the next
page. Rows added meanwhile appear at the end, and no row appears twice.
"""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

MAX_LIMIT = 1000


class BadCursor(ValueError):
    """A cursor that Runway did not create."""


def encode(at: datetime, row_id: UUID) -> str:
    """Return the cursor that follows the row with this time and ID."""
    return base64.urlsafe_b64encode(json.dumps([at.isoformat(), str(row_id)]).encode()).decode()


def after(cursor: str, *, time_field: str, id_field: str) -> Q:
    """Return the condition for the rows after ``cursor``. Raises BadCursor."""
    try:
        at, row_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        at, row_id = datetime.fromisoformat(at), UUID(row_id)
        if at.tzinfo is None:
            raise ValueError
        at = at.astimezone(UTC)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise BadCursor from None
    # The first part lets the index find the place; the second excludes earlier rows of that moment.
    return Q(**{f"{time_field}__gte": at}) & (
        Q(**{f"{time_field}__gt": at}) | Q(**{f"{id_field}__gt": row_id})
    )


def next_link(request: Request, cursor: str) -> dict[str, str]:
    """Return the header that links to the page after this one."""
    url = replace_query_param(request.build_absolute_uri(), "cursor", cursor)
    return {"Link": f'<{url}>; rel="next"'}


def page(rows: list[Any], limit: int) -> tuple[list[Any], bool]:
    """Split ``rows``, which are up to ``limit`` + 1: the page's rows, and whether more follow."""
    return rows[:limit], len(rows) > limit
