"""Stands in for the executor: does what its first argument says. The ids come from the URL."""

# ruff: noqa: T201

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def environment() -> None:
    print(
        json.dumps({"environment": dict(os.environ), "cwd": str(Path.cwd()), "sid": os.getsid(0)})
    )


def exit_three() -> None:
    print("giving up")
    sys.exit(3)


def untrusting() -> None:
    sys.exit(20)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def megabytes() -> None:
    print("first line")
    for number in range(40_000):
        print(f"{number:06} " + "x" * 60)
    print("a line without end " + "y" * 500_000)
    print("last line")


def secrets() -> None:
    print("token", os.environ["INIT_TOKEN"])
    print(f"Authorization: Bearer {os.environ['INIT_TOKEN']}")
    print("Authorization: Basic b2RzLWNsaWVudDpvZHMtc2VjcmV0")
    print("client_secret=ods-secret&client_id=ods-client")
    print("z" * 8150, "ods-secret", "z" * 200)


def odd_bytes() -> None:
    sys.stdout.buffer.write(b"nul \0 and \xff\r\nno end of line")


def sleep() -> None:
    print("sleeping", flush=True)
    time.sleep(60)


def stubborn() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A grandchild in a session of its own, as the executor's own children are.
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    print("grandchild", child.pid, flush=True)
    time.sleep(60)


def graceful() -> None:
    def told(*_: object) -> None:
        print("told to end", flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, told)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # blocked in a sandbox until here
    print("working", flush=True)
    time.sleep(60)


def leave_child() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print("grandchild", child.pid, flush=True)


if __name__ == "__main__":
    {
        function.__name__: function
        for function in (
            environment,
            exit_three,
            untrusting,
            killed,
            megabytes,
            secrets,
            odd_bytes,
            sleep,
            stubborn,
            graceful,
            leave_child,
        )
    }[sys.argv[1]]()
