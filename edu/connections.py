"""This process's connections to EDU: the interface for the rest of Runway.

Each process has one ``Pools``, created on first use and thus after gunicorn has forked. A web
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
    """Return this process's pools."""
    global _pools
    with _lock:
        if _pools is None:
            _pools = Pools(lookup, connect)
        return _pools


def available(partner_id: str, generation: int) -> bool:
    """Whether the partner's EDU can be queried: a live pool exists, or credentials are available.

    Raises EduError (CredentialLookupFailed, KeyUnreadable, NotConfigured) if that is unknown;
    callers log it and treat it as no.
    """
    return pools().available(partner_id, generation)


def open_roster(
    *,
    partner_id: str,
    generation: int,
    tenant_code: str,
    label: str,
    with_names: bool = False,
    on_end: Callable[[], None] | None = None,
) -> RosterStream:
    """Return the tenant's roster of all years as a stream of bytes whose first batch has arrived.

    The caller must call the stream's ``close()``. ``with_names`` adds students' names and birth
    dates, and raises NamesUnavailable if EDU does not give them. ``label`` names the run in the
    log. ``on_end`` is called once, however the stream ends, but not if this function raises.

    Raises any EduError, and then leaves nothing open.
    """
    return open_roster_stream(
        pools(),
        partner_id=partner_id,
        generation=generation,
        tenant_code=tenant_code,
        label=label,
        with_names=with_names,
        on_end=on_end,
        answers=answers,
        failure=query_failure,
    )


def stats() -> list[PoolStats]:
    """Return the current state of this process's pools, by partner."""
    current = _pools
    return [] if current is None else current.stats()


def connected_ago() -> dict[str, float]:
    """Return the seconds since this process last opened a connection, by partner."""
    current = _pools
    return {} if current is None else current.connected_ago()


def follow(partner_id: str, generation: int) -> None:
    """Drop this process's connections of an older generation of the partner."""
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
    """Forget the parent's connections in a forked child, which must neither use nor close them."""
    global _lock, _pools
    _lock = threading.Lock()
    _pools = None


os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(shutdown)
