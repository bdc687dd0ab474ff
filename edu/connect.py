"""Opening a real connection to EDU, and telling its errors apart.

The Snowflake library takes seconds to import, so it is imported on first use only, or in the
background after a web worker has started.
"""

import logging
import os
import threading
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from edu.credentials import EduCredentials
from edu.errors import (
    ConnectFailed,
    ConnectionLost,
    EduError,
    LoginRejected,
    QueryFailed,
    RosterIncomplete,
)

if TYPE_CHECKING:
    from edu.pool import Connection

logger = logging.getLogger(__name__)

LOGIN_TIMEOUT = 45
"""Seconds after which no further login is tried."""
LOGIN_ATTEMPT_TIMEOUT = 30
"""Seconds that one attempt may take; the connector's own 10 give up on a slow account."""
NETWORK_TIMEOUT = 180
"""Seconds that one query may take, retries of its requests included; the connector's default is
for ever. A query that runs longer is cancelled."""
SOCKET_TIMEOUT = 60
"""Seconds without an answer; Snowflake itself answers "still running" after 45."""
ANSWER_TIMEOUT = 5
"""Seconds within which EDU has to say a word on a connection that is used again."""
LONGEST_PAUSE = 4
"""Seconds between two of the connector's ten tries to download a batch; its own 16 would keep a
thread for a minute after everybody has gone."""

_SESSION_GONE = frozenset({390104, 390110, 390111, 390112, 390114, 390115, 390195})
"""Snowflake's codes for a session or token that has expired or that it does not know."""
_UNREADABLE_BATCH = 255005
"""The connector's code for a batch that is no Arrow stream, as a damaged one is."""


def connect(credentials: EduCredentials) -> "Connection":
    """Open a connection by key pair. Blocks for at most about LOGIN_TIMEOUT + one attempt.

    Raises ConnectFailed when EDU cannot be reached, LoginRejected when it refuses.
    """
    connector = _import_connector()
    local = {
        name: value
        for name in ("host", "port", "protocol")
        if (value := getattr(credentials, name)) is not None
    }
    try:
        connection: Connection = connector.connect(
            user=credentials.username,
            account=credentials.account,
            database=credentials.database,
            schema=credentials.schema,
            warehouse=credentials.warehouse,
            role=credentials.role,
            private_key=credentials.private_key,
            authenticator="SNOWFLAKE_JWT",
            application="Runway",
            paramstyle="qmark",  # parameters are bound by the server, never spliced into SQL
            login_timeout=LOGIN_TIMEOUT,
            network_timeout=NETWORK_TIMEOUT,
            socket_timeout=SOCKET_TIMEOUT,
            # Bounds what a slow reader holds in memory. The prefetch setting would not: the login
            # reply overwrites it.
            client_fetch_threads=1,
            client_session_keep_alive=False,
            backoff_policy=connector.backoff_policies.exponential_backoff(cap=LONGEST_PAUSE),
            platform_detection_timeout_seconds=0.0,
            log_imported_packages_in_telemetry=False,
            session_parameters={"QUERY_TAG": "runway", "CLIENT_TELEMETRY_ENABLED": False},
            **local,
        )
    except Exception as error:  # noqa: BLE001  (the library raises more than its own errors)
        failure = _connect_failure(error)
    else:
        return connection
    # Raised outside the handler: the library's errors quote hosts and requests.
    raise failure


def _connect_failure(error: Exception) -> ConnectFailed:
    from snowflake.connector import errors

    number = getattr(error, "errno", None)
    logger.warning("EDU connect failed: %s, code %s", type(error).__name__, number)
    refused = isinstance(error, errors.DatabaseError) and not isinstance(
        error, errors.OperationalError
    )
    if refused or isinstance(error, errors.ForbiddenError):
        return LoginRejected()
    return ConnectFailed()


def query_failure(error: Exception) -> EduError:
    """What an error of a query or of its result means to us; its text is not kept."""
    from snowflake.connector import errors

    number = getattr(error, "errno", None)
    logger.warning("EDU query failed: %s, code %s", type(error).__name__, number)
    if number == _UNREADABLE_BATCH:
        return RosterIncomplete()
    refused = isinstance(error, errors.ProgrammingError) and number not in _SESSION_GONE
    return QueryFailed() if refused else ConnectionLost()


def answers(connection: Any) -> bool:
    """Whether EDU says anything on a connection that has lain idle: a heartbeat, tried once.

    Costs one exchange and no warehouse. A dead network would else be noticed by the query only,
    which may be silent for SOCKET_TIMEOUT and is tried for NETWORK_TIMEOUT. What EDU says does not
    matter: an expired session is renewed, or told, at the query. Takes about ANSWER_TIMEOUT, twice
    that where it has to connect anew.
    """
    try:
        rest = connection.rest
        said = rest.fetch(
            "post",
            f"{rest.server_url}/session/heartbeat?{urlencode({'requestId': uuid.uuid4()})}",
            {"Content-Type": "application/json", "Accept": "application/json"},
            timeout=ANSWER_TIMEOUT,
            socket_timeout=ANSWER_TIMEOUT,
            token=rest.token,
            no_retry=True,
        )
    except Exception as error:  # noqa: BLE001  (the library raises more than its own errors)
        number = getattr(error, "errno", None)
        logger.warning("EDU does not answer: %s, code %s", type(error).__name__, number)
        return False
    return "success" in said


def import_in_background() -> None:
    """Import the connector in a thread, so that neither start nor first request pays for it."""
    threading.Thread(target=_import_connector, name="edu-import", daemon=True).start()


def _import_connector() -> Any:
    # Read by the connector when it logs in; there is no argument for it.
    os.environ.setdefault("JWT_CNXN_WAIT_TIME", str(LOGIN_ATTEMPT_TIMEOUT))
    import pyarrow  # noqa: F401  (the connector would import it at the first result)
    import snowflake.connector.backoff_policies

    # Its warnings carry the signed URLs of results, that is, of students' data; our own lines
    # say what happened.
    logging.getLogger("snowflake.connector").setLevel(logging.CRITICAL)
    return snowflake.connector
