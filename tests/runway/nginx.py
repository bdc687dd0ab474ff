"""nginx with the configuration that the project ships, on free ports, in front of a server."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certificates import make_certificate

CONFIGURATION = Path(__file__).resolve().parents[2] / "ops" / "nginx.conf"
PROGRAM = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
REQUIRED = os.environ.get("REQUIRE_NGINX") == "1"
"""Set in CI, where a missing nginx is a failure and no reason to leave tests out."""

needs_nginx = pytest.mark.skipif(
    PROGRAM is None and not REQUIRED, reason="no nginx on this machine"
)


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@contextmanager
def in_front_of(upstream: str, folder: Path) -> Iterator[tuple[int, Path]]:
    """The port at which it speaks TLS (with ``folder``/127.0.0.1.pem), and its access log."""
    assert PROGRAM is not None, "nginx is required, and not on this machine"
    port, log = free_port(), folder / "access.log"
    certificate = make_certificate(folder, "127.0.0.1")
    text = CONFIGURATION.read_text()
    for pattern, replacement in (
        (r"server 127\.0\.0\.1:8000;", f"server {upstream};"),
        (r"listen 80;", f"listen 127.0.0.1:{free_port()};"),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        (r"/etc/nginx/runway\.(pem|key)", str(certificate)),
        (r"/var/log/nginx/runway\.log", str(log)),
    ):
        text, count = re.subn(pattern, replacement, text)
        assert count, pattern
    (folder / "runway.conf").write_text(text)
    paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in paths)
    main = folder / "nginx.conf"
    main.write_text(
        "daemon off;\nworker_processes 1;\n"
        f"{'user root root;' if os.geteuid() == 0 else ''}\n"
        f"pid {folder}/nginx.pid;\n"
        f"error_log {folder}/error.log;\n"
        f"events {{ worker_connections 512; }}\n"
        f"http {{\n{temporary}include {folder}/runway.conf;\n}}\n"
    )
    process = subprocess.Popen(
        (PROGRAM, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(main))
    )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=60).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None and time.monotonic() < end, log.with_name(
                    "error.log"
                ).read_text()
                time.sleep(0.05)
        yield port, log
    finally:
        process.terminate()
        process.wait(60)
