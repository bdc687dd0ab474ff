"""Open a connection to EDU, and classify its errors.

The Snowflake library takes seconds to import, so it is imported only on first use, or in the
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
"""Seconds for one attempt. The connector's own 10 are too few for a slow account."""
NETWORK_TIMEOUT = 180
"""Seconds for one query, including retries of its requests.

The connector's default is no limit. A query that runs longer is cancelled.
"""
SOCKET_TIMEOUT = 60
"""Seconds without a response. Snowflake itself responds "still running" after 45."""
ANSWER_TIMEOUT = 5
"""Seconds within which EDU must respond on a connection that is reused."""
LONGEST_PAUSE = 4
"""The most seconds between the connector's ten tries to download a batch.

Its own 16 would hold a thread for a minute after the client has gone.
"""

_SESSION_GONE = frozenset({390104, 390110, 390111, 390112, 390114, 390115, 390195})
"""Snowflake's codes for an expired or unknown session or token."""
_UNREADABLE_BATCH = 255005
"""The connector's code for a batch that is not an Arrow stream, such as a damaged one."""


def connect(credentials: EduCredentials) -> "Connection":
    """Open a connection by key pair. Blocks for at most about LOGIN_TIMEOUT + one attempt.

    Raises ConnectFailed if EDU cannot be reached, and LoginRejected if it refuses.
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
            paramstyle="qmark",  # parameters are bound by the server, never inserted into SQL
            login_timeout=LOGIN_TIMEOUT,
            network_timeout=NETWORK_TIMEOUT,
            socket_timeout=SOCKET_TIMEOUT,
            # Limits what a slow reader holds in memory. The prefetch setting would not, since the
            # login response overwrites it.
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
    # Raised outside the handler, since the library's errors quote hosts and requests.
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
    """Classify an error of a query or of its result. Its text is not kept."""
    from snowflake.connector import errors

    number = getattr(error, "errno", None)
    logger.warning("EDU query failed: %s, code %s", type(error).__name__, number)
    if number == _UNREADABLE_BATCH:
        return RosterIncomplete()
    refused = isinstance(error, errors.ProgrammingError) and number not in _SESSION_GONE
    return QueryFailed() if refused else ConnectionLost()


def answers(connection: Any) -> bool:
    """Whether EDU responds on an idle connection: a heartbeat, tried once.

    Takes one request and no warehouse. Otherwise only the query would notice a dead network, and
    that may be silent for SOCKET_TIMEOUT and is retried for NETWORK_TIMEOUT. Any response counts:
    an expired session is renewed or reported at the query. Takes at most about ANSWER_TIMEOUT, or
    twice that if it has to reconnect.
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
    """Import the connector in a thread, so that neither the start nor the first request waits."""
    threading.Thread(target=_import_connector, name="edu-import", daemon=True).start()


_importing = threading.Lock()
_imported: Any = None


def _import_connector() -> Any:
    """Import the connector, and convert a first result before any other thread can."""
    global _imported
    with _importing:
        if _imported is None:
            _imported = _import()
            _convert_a_first_result()
    return _imported


def _convert_a_first_result() -> None:
    """Convert a small result, as the connector does it.

    The connector's C++ code initializes itself at the first conversion. If two threads do that at
    once, one waits for the other while it holds Python's lock, and the whole process stands still
    (connector 4.8.1).
    """
    import pyarrow
    from snowflake.connector.arrow_context import ArrowConverterContext
    from snowflake.connector.nanoarrow_arrow_iterator import PyArrowTableIterator

    kind = {"logicalType": "TEXT", "charLength": "1", "byteLength": "4", "finalType": "T"}
    field = pyarrow.field("LINE", pyarrow.string(), metadata=kind)
    batch = pyarrow.record_batch([pyarrow.array(["x"])], schema=pyarrow.schema([field]))
    with pyarrow.BufferOutputStream() as content:
        with pyarrow.ipc.new_stream(content, batch.schema) as stream:
            stream.write_batch(batch)
        data = content.getvalue().to_pybytes()
    context = ArrowConverterContext({"TIMEZONE": "UTC"})
    for _ in PyArrowTableIterator(None, data, context, False, False, False, False, False):
        pass


def _import() -> Any:
    # The connector reads this at login. There is no argument for it.
    os.environ.setdefault("JWT_CNXN_WAIT_TIME", str(LOGIN_ATTEMPT_TIMEOUT))
    import pyarrow  # noqa: F401  (the connector would import it at the first result)
    import snowflake.connector.backoff_policies

    # Its warnings contain the signed URLs of results, which are students' data. Our own log lines
    # report what happened.
    logging.getLogger("snowflake.connector").setLevel(logging.CRITICAL)
    return snowflake.connector
