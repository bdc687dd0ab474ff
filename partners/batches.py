"""Delete many rows without one long transaction."""

from typing import Any

from django.db.models import QuerySet

ROWS = 10_000


def delete_in_batches(rows: QuerySet[Any], size: int = ROWS) -> int:
    """Delete ``rows``, ``size`` at a time, and return their number.

    Each batch is a transaction, so locks are short, and what was deleted before a failure stays so.
    """
    total = 0
    while True:
        count, _ = rows.model._base_manager.filter(
            pk__in=rows.order_by().values("pk")[:size]
        ).delete()
        total += count
        if count < size:
            return total
