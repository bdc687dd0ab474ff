"""The time by which processes of different machines decide: the database's."""

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """Return the database's time, which no machine's wrong clock changes."""
    with connection.cursor() as cursor:
        cursor.execute("select statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
