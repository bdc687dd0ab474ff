"""Send errors to a service that speaks Sentry's protocol, if SENTRY_DSN names one.

An event has the error's type, message, and stack, masked like the log, and the ids that the log
has. It has no variables, no body, header, cookie, or query of a request, and no user.
"""

from typing import Any

import sentry_sdk
from structlog.contextvars import get_contextvars

from runway.access_log import without_secrets
from runway.logs import Mask


def set_up(dsn: str, *, environment: str, release: str, mask: Mask) -> None:
    """Send the errors of this process to ``dsn``."""

    def scrubbed(event: Any, hint: dict[str, Any]) -> Any:
        request = event.pop("request", None) or {}
        for name in ("user", "breadcrumbs", "modules", "extra", "server_name"):
            event.pop(name, None)
        if "url" in request:
            event["request"] = {
                "url": without_secrets(request["url"]),
                "method": request.get("method"),
            }
        event["tags"] = {key: str(value) for key, value in get_contextvars().items()}
        return _masked(event, mask)

    sentry_sdk.init(
        dsn,
        environment=environment,
        release=release,
        before_send=scrubbed,
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        traces_sample_rate=0,
        auto_session_tracking=False,
        send_client_reports=False,
    )


def _masked(value: Any, mask: Mask) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _masked(each, mask) for key, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, mask) for each in value]
    return value
