"""Limit the time of checks that a person waits for, whatever AWS and EDU do."""

import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from threading import Thread

from edu.diagnosis import Step

PATIENCE = 25.0
"""In seconds: longer than a login to a slow account, shorter than a proxy waits for a page."""


def in_time(steps: Iterator[Step], patience: float | None = None) -> Iterator[Step]:
    """Yield the steps. After ``patience`` seconds in total, yields a failed step instead.

    The step in progress then continues in a separate thread, which ends and closes its connection
    when the connector's own limits are reached, within a few minutes.
    """
    done: SimpleQueue[Step | Exception | None] = SimpleQueue()

    def work() -> None:
        try:
            for step in steps:
                done.put(step)
        except Exception as error:  # noqa: BLE001  (raised to whoever waits)
            done.put(error)
        else:
            done.put(None)

    if patience is None:
        patience = PATIENCE
    deadline = time.monotonic() + patience
    Thread(target=work, name="edu-check", daemon=True).start()
    asked = "AWS"  # for the credentials; then EDU
    while True:
        try:
            step = done.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            yield _late(asked, patience)
            return
        if step is None:
            return
        if isinstance(step, Exception):
            raise step
        asked = "EDU"
        yield step


def _late(asked: str, patience: float) -> Step:
    return Step(
        "Waiting",
        False,
        f"{asked} did not answer within {patience:.0f} seconds.",
        remedy="Try again in a minute. If it stays so, have manage.py check_edu run on the server:"
        " it waits longer, and tells where it stops.",
        may_pass_later=True,
        seconds=patience,
    )
