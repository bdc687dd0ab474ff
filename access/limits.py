"""Limit the tries of passwords and codes, by account and by address, in the database.

An attempt is counted before its password is checked, in one statement, so that concurrent processes
together cannot exceed the limit. A successful attempt is subtracted again.
"""

import hashlib
import ipaddress
import unicodedata
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import F
from django.utils import timezone

from access.models import FailedSignIns

WINDOW = timedelta(minutes=15)
PER_ACCOUNT = 10
PER_ADDRESS = 50
"""Higher than the account's, since a whole district office may share one address."""
CODES_PER_ACCOUNT = 5
"""Codes have six digits, and three of them are valid at any time."""

_COUNT = """
INSERT INTO access_failedsignins AS kept (key, count, since) VALUES (%(key)s, 1, %(now)s)
ON CONFLICT (key) DO UPDATE SET
  count = CASE WHEN kept.since <= %(stale)s THEN 1 ELSE kept.count + 1 END,
  since = CASE WHEN kept.since <= %(stale)s THEN %(now)s ELSE kept.since END
RETURNING count, since
"""


class TooManyAttempts(Exception):
    """No password is checked before ``until``. ``first`` is true for the first such attempt."""

    def __init__(self, until: datetime, *, first: bool) -> None:
        super().__init__(f"until {until}")
        self.until, self.first = until, first


def count_attempt(account: str, address: str | None) -> None:
    """Count an attempt that is about to be made. Raises TooManyAttempts if it is not allowed.

    It makes no difference whether the account exists. Without an address, only the account counts.
    """
    _count(_keys(account, address))


def forgive(account: str, address: str | None) -> None:
    """Reset the account's count after a successful attempt, and subtract it from the address's."""
    for key, limit in _keys(account, address):
        kept = FailedSignIns.objects.filter(key=key)
        if limit == PER_ACCOUNT:
            kept.delete()
        else:
            kept.filter(count__gt=0).update(count=F("count") - 1)


def count_code(user_key: int) -> None:
    """Count a code that is about to be tried as a second factor, like ``count_attempt``.

    Only a right code resets the count. If a right password did, anyone who knows it could try codes
    without limit.
    """
    _count([(_key("code", str(user_key)), CODES_PER_ACCOUNT)])


def forgive_codes(user_key: int) -> None:
    """Reset the count after a right code."""
    FailedSignIns.objects.filter(key=_key("code", str(user_key))).delete()


def _count(keys: list[tuple[str, int]]) -> None:
    now = timezone.now()
    FailedSignIns.objects.filter(since__lte=now - WINDOW).delete()
    for key, limit in keys:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, {"key": key, "now": now, "stale": now - WINDOW})
            count, since = cursor.fetchone()
        if count > limit:
            raise TooManyAttempts(since + WINDOW, first=count == limit + 1)


def _keys(account: str, address: str | None) -> list[tuple[str, int]]:
    keys = [(_key("account", _same(account)), PER_ACCOUNT)]
    if address is not None:
        # The address first, so that one over its limit cannot use up accounts' attempts.
        keys.insert(0, (_key("address", _network(address)), PER_ADDRESS))
    return keys


def _same(account: str) -> str:
    """Normalize a name: case, surrounding blanks, and Unicode's look-alikes."""
    return unicodedata.normalize("NFKC", account).casefold().strip()


def _network(address: str) -> str:
    """Return what an address counts as. With IPv6 that is its /64, since a client has all of it."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network(f"{address}/64", strict=False))


def _key(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()
