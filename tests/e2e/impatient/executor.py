"""`manage.py executor`, started from any directory."""

import runpy
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(PROJECT))

from earthbeam.executor.reporting import app_client  # noqa: E402
from earthbeam.executor.rosters import fetching  # noqa: E402

app_client.PAUSES = (0.1, 0.2)  # type: ignore[assignment]
fetching.STREAM_PAUSES = (0.1, 0.2, 0.3)
sys.argv = ["manage.py", "executor"]
runpy.run_path(str(PROJECT / "manage.py"), run_name="__main__")
