"""Lists in pages: the oldest first, each page told by the last row of the one before.

A page's answer is the plain list; where there is more, the header ``Link`` (RFC 8288) has the URL
of the next page. Rows that come in meanwhile appear at the end, and none twice.
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
    """A cursor that we did not make."""


def encode(at: datetime, row_id: UUID) -> str:
    """The cursor that follows the row with this time and id."""
    return base64.urlsafe_b64encode(json.dumps([at.isoformat(), str(row_id)]).encode()).decode()


def after(cursor: str, *, time_field: str, id_field: str) -> Q:
    """The condition on rows to come after ``cursor``. Raises BadCursor."""
    try:
        at, row_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        at, row_id = datetime.fromisoformat(at), UUID(row_id)
        if at.tzinfo is None:
            raise ValueError
        at = at.astimezone(UTC)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise BadCursor from None
    # The first part lets the index find the place; the second leaves out the rest of that moment.
    return Q(**{f"{time_field}__gte": at}) & (
        Q(**{f"{time_field}__gt": at}) | Q(**{f"{id_field}__gt": row_id})
    )


def next_link(request: Request, cursor: str) -> dict[str, str]:
    """The header that leads to the page after this one."""
    url = replace_query_param(request.build_absolute_uri(), "cursor", cursor)
    return {"Link": f'<{url}>; rel="next"'}


def page(rows: list[Any], limit: int) -> tuple[list[Any], bool]:
    """Of ``rows``, one more than ``limit`` if there are: the page's, and whether more follow."""
    return rows[:limit], len(rows) > limit
