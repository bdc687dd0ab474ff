"""Where sessions are kept: Django's table, with ends that depend on use and on the sign-in.

A row's ``expire_date`` is the only truth. It moves by a single UPDATE, so that a request never
brings back a session that another one has ended, nor writes over what another one has stored.
"""

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import db
from django.utils import timezone

SIGN_IN = "sign_in"
"""The key of what is kept about a sign-in: see sessions.py."""

_STEP = timedelta(minutes=1)
"""Use is written down no more often."""


class SessionStore(db.SessionStore):
    """Ends after SESSION_COOKIE_AGE without use, and SESSION_LONGEST after somebody signed in."""

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
        """How long the session lasts if it is not used; 0 where there is none."""
        if self.is_empty() or self.ends_at is None:
            return 0
        return max(0, int((self.ends_at - timezone.now()).total_seconds()))

    def extend(self) -> None:
        """The session is in use: move its end."""
        ends_at = self.get_expiry_date()
        if self.ends_at is None or ends_at - self.ends_at < _STEP:
            return
        rows = self.model.objects.filter(
            session_key=self.session_key, expire_date__gt=timezone.now()
        )
        if rows.update(expire_date=ends_at):
            self.ends_at = ends_at
