"""Sessions in Django's table, with expiry that depends on use and on the sign-in.

Only a row's ``expire_date`` counts. A single UPDATE changes it, so that a request never restores a
session that another one has ended, or overwrites what another one has stored.
"""

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import db
from django.utils import timezone

SIGN_IN = "sign_in"
"""The key of the sign-in's data: see sessions.py."""

_STEP = timedelta(minutes=1)
"""Use is recorded at most this often."""


class SessionStore(db.SessionStore):
    """Expires after SESSION_COOKIE_AGE without use, and SESSION_LONGEST after sign-in."""

    ends_at: datetime | None = None

    def _get_session_from_db(self) -> Any:
        found = super()._get_session_from_db()  # type: ignore[misc]
        self.ends_at = found.expire_date if found else None
        return found

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row = super().create_model_instance(data)
        self.ends_at = row.expire_date
        return row

    def get_session_cookie_age(self) -> int:
        sign_in = self.get(SIGN_IN)
        if not isinstance(sign_in, dict):
            return settings.SESSION_COOKIE_AGE
        left = sign_in["began"] + settings.SESSION_LONGEST - time.time()
        return max(0, min(settings.SESSION_COOKIE_AGE, int(left)))

    def seconds_left(self) -> int:
        """Return how many seconds the session lasts without use; 0 if there is none."""
        if self.is_empty() or self.ends_at is None:
            return 0
        return max(0, int((self.ends_at - timezone.now()).total_seconds()))

    def extend(self) -> None:
        """Extend the session, since it is in use."""
        ends_at = self.get_expiry_date()
        if self.ends_at is None or ends_at - self.ends_at < _STEP:
            return
        rows = self.model.objects.filter(
            session_key=self.session_key, expire_date__gt=timezone.now()
        )
        if rows.update(expire_date=ends_at):
            self.ends_at = ends_at
