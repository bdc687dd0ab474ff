"""gunicorn's configuration: threads, since rosters and callbacks spend their time waiting.

gunicorn runway.wsgi                 # from the project's folder
"""

import atexit
import faulthandler
import os
import shutil
import tempfile

from earthbeam.privacy import keep_private

if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # set it if workers shall count in it too
    counts = tempfile.mkdtemp(prefix="runway-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = counts
    atexit.register(shutil.rmtree, counts, ignore_errors=True)

# The master and its workers, which are forks of it.
keep_private()

bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "runway.gunicorn_worker.Worker"
# ROSTER_STREAMS_MAX limits roster streams below this number, so that callbacks find a thread.
threads = int(os.environ.get("WEB_THREADS", "16"))
keepalive = 5
# Not a limit for requests: gthread's workers report from their main loop, whatever threads do.
timeout = 60
graceful_timeout = 30
max_requests_jitter = 0
control_socket_disable = True
accesslog = os.environ.get("ACCESS_LOG") or None
# Hides links that open files for anyone who has them.
logger_class = "runway.access_log.Logger"
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108


def post_worker_init(worker: object) -> None:
    """Import the Snowflake connector in the background, so that the first request does not wait.

    A worker that does not report in time gets SIGABRT, and then prints where its threads are.
    """
    faulthandler.enable()
    from edu.connect import import_in_background
    from partners import edu_processes

    import_in_background()
    edu_processes.start()


def worker_exit(server: object, worker: object) -> None:
    """Close EDU's connections."""
    from edu.connections import shutdown
    from partners import edu_processes

    shutdown()
    edu_processes.stop()


def child_exit(server: object, worker: object) -> None:
    """Forget the gauges of a process that has ended; what it has counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[attr-defined]
