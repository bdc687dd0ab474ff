"""`manage.py executor`, started from any directory."""

import runpy
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(PROJECT))

from earthbeam.executor import app_client, rosters  # noqa: E402

app_client.PAUSES = (0.1, 0.2)  # type: ignore[assignment]
rosters.STREAM_PAUSES = (0.1, 0.2, 0.3)
sys.argv = ["manage.py", "executor"]
runpy.run_path(str(PROJECT / "manage.py"), run_name="__main__")
