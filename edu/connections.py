"""The connections to EDU of this process: what the rest of Runway calls.

One ``Pools`` for each process, made on first use and therefore after gunicorn has forked. A web
worker calls ``shutdown`` when it exits (gunicorn's ``worker_exit``) and
``edu.connect.import_in_background`` after it has started (``post_worker_init``).
"""

import atexit
import os
import threading
from collections.abc import Callable

from edu.connect import answers, connect, query_failure
from edu.credentials import lookup
from edu.pool import PoolStats
from edu.pools import Pools
from edu.roster import RosterStream, open_roster_stream

_lock = threading.Lock()
_pools: Pools | None = None


def pools() -> Pools:
    """This process's pools."""
    global _pools
    with _lock:
        if _pools is None:
            _pools = Pools(lookup, connect)
        return _pools


def available(partner_id: str, generation: int) -> bool:
    """Whether the partner's EDU can be asked: a live pool exists, or credentials can be had now.

    Raises EduError (CredentialLookupFailed, KeyUnreadable, NotConfigured) when that cannot be
    told; callers log it and count it as no.
    """
    return pools().available(partner_id, generation)


def open_roster(
    *,
    partner_id: str,
    generation: int,
    tenant_code: str,
    label: str,
    on_end: Callable[[], None] | None = None,
) -> RosterStream:
    """The tenant's roster of all years as a stream of bytes whose first batch has arrived.

    The caller owes the stream a ``close()``. ``label`` names the run in the log. ``on_end`` is
    called once when the stream ends in whatever way, and not at all if this function raises.

    Raises any EduError; nothing is left open then.
    """
    return open_roster_stream(
        pools(),
        partner_id=partner_id,
        generation=generation,
        tenant_code=tenant_code,
        label=label,
        on_end=on_end,
        answers=answers,
        failure=query_failure,
    )


def stats() -> list[PoolStats]:
    """This process's pools at this moment, by partner."""
    current = _pools
    return [] if current is None else current.stats()


def connected_ago() -> dict[str, float]:
    """Seconds since this process last opened a connection, by partner."""
    current = _pools
    return {} if current is None else current.connected_ago()


def follow(partner_id: str, generation: int) -> None:
    """Give up this process's connections of an older generation of the partner."""
    current = _pools
    if current is not None:
        current.follow(partner_id, generation)


def shutdown() -> None:
    """Close all connections, within ten seconds. For gunicorn's worker_exit and interpreter exit.

    Nothing can be opened afterwards.
    """
    current = _pools
    if current is not None:
        current.shutdown()


def _forget_after_fork() -> None:
    """A forked child must not use, nor close, the connections of its parent."""
    global _lock, _pools
    _lock = threading.Lock()
    _pools = None


os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(shutdown)
