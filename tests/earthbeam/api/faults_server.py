"""What gunicorn serves in ``test_roster_under_faults``: the project, quick to give EDU up, though
not as quick as a busy machine may stall the EDU of a test."""

import os
from importlib import import_module

from runway.wsgi import application as application

os.environ["JWT_CNXN_WAIT_TIME"] = "4"
# Only now, as Django has to be set up before.
_edu = import_module("edu.connect")
_edu.LOGIN_TIMEOUT = _edu.ANSWER_TIMEOUT = 4  # type: ignore[attr-defined]
_edu.NETWORK_TIMEOUT = _edu.SOCKET_TIMEOUT = 5  # type: ignore[attr-defined]
_edu.LONGEST_PAUSE = 0.05  # type: ignore[attr-defined]
_batches = import_module("snowflake.connector.result_batch")
_batches.DOWNLOAD_TIMEOUT = 4  # type: ignore[attr-defined]
_batches.MAX_DOWNLOAD_RETRY = 2  # type: ignore[attr-defined]
