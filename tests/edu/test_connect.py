import logging
import socket
import subprocess
import sys
from typing import Any

import pytest

from edu.connect import connect
from edu.errors import ConnectFailed, LoginRejected
from tests.edu.conftest import credentials_for, sandbox_credentials


def test_a_connection_is_opened_with_the_key_pair(sandbox_edu):
    connection = connect(sandbox_credentials(sandbox_edu))
    assert connection.cursor().execute("select current_schema()").fetchone() == ("STAGING",)
    connection.close()


def test_another_key_is_refused(sandbox_edu, key, caplog):
    with pytest.raises(LoginRejected) as failure:
        connect(sandbox_credentials(sandbox_edu, key))
    assert failure.value.__context__ is None
    assert "390144" in caplog.text


def test_a_login_that_is_forbidden_is_refused(snowflake, snowflake_credentials):
    snowflake.on_login = lambda request: request.send_error(403) or True
    with pytest.raises(LoginRejected):
        connect(snowflake_credentials)


def test_an_unreachable_edu_is_said_to_be_unreachable(key, monkeypatch):
    monkeypatch.setattr("edu.connect.LOGIN_TIMEOUT", 1)
    with socket.socket() as nobody, pytest.raises(ConnectFailed) as failure:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        connect(credentials_for(key, port=nobody.getsockname()[1]))
    assert not isinstance(failure.value, LoginRejected)


def test_a_login_that_hangs_ends_within_its_time(key, monkeypatch):
    monkeypatch.setattr("edu.connect.LOGIN_TIMEOUT", 1)
    monkeypatch.setenv("JWT_CNXN_WAIT_TIME", "1")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(ConnectFailed),
    ):
        connect(credentials_for(key, port=silent.getsockname()[1]))


def test_the_session_carries_our_limits(snowflake, snowflake_credentials):
    connection: Any = connect(snowflake_credentials)
    assert connection.network_timeout == 180
    assert connection.socket_timeout == 60
    assert connection.client_fetch_threads == 1
    assert connection.application == "Runway"
    connection.close()


def test_signed_urls_of_results_do_not_reach_the_log(snowflake, snowflake_credentials):
    connect(snowflake_credentials).close()
    library = logging.getLogger("snowflake.connector.result_batch")
    assert library.getEffectiveLevel() == logging.CRITICAL


def test_the_library_is_not_imported_before_it_is_needed():
    program = (
        "import os, sys, django; os.environ['RUNWAY_ENV'] = 'development';"
        "from django.conf import settings; settings.configure();"
        "import edu.connections;"
        "assert 'snowflake.connector' not in sys.modules;"
        "import edu.connect, threading; edu.connect.import_in_background();"
        "[t.join() for t in threading.enumerate() if t.name == 'edu-import'];"
        "assert 'snowflake.connector' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
