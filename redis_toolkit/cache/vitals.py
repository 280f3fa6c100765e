"""How the cache of this process is: its breaker, its gate, and, if it is to ask, its server."""

from __future__ import annotations

from dataclasses import dataclass

from redis_toolkit.cache import gate, outages, trust
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.connections import link, pack
from redis_toolkit.exceptions import StoreUnavailable

__all__ = ["Health", "health"]


@dataclass(frozen=True, slots=True)
class Health:
    """What :func:`health` found.

    ``state``: "closed", "open" or "half-open", of the breaker of ``alias`` in CACHES; ``since``: when it last opened or
    closed, in seconds since the epoch; ``failures``: how many there were in a row. ``trusted``: whether hits are.
    ``loading`` and ``waiting``: readers that ask the database and that queue to, of ``most`` at once (None: no bound).
    ``kept``: answers kept while Redis is away. ``latency``: seconds of a round trip; ``run``: hexadecimal digits by
    which this thread tells one run of the server from others; ``error``: why it did not answer. (None, and empty, of a
    server that was not asked.)
    """

    alias: str
    state: str
    since: float
    failures: int
    trusted: bool
    loading: int
    waiting: int
    most: int | None
    kept: int
    latency: float | None = None
    run: str = ""
    error: str = ""


def health(*, ask: bool = False) -> Health:
    """How the cache of this process is. Asks nobody, unless it is to ``ask`` Redis, with two round trips."""
    latency, error = None, ""
    if ask:
        try:
            # The first may have to connect.
            link().ask(pack(("PING",)))
            began = monotonic()
            link().ask(pack(("PING",)))
            latency = monotonic() - began
        except StoreUnavailable as reason:
            error = str(reason)
    breaker, (loading, waiting) = link().breaker, gate.crowd()
    return Health(
        settings.ALIAS, breaker.state, breaker.since, breaker.failures, not breaker.is_open and trust.is_given(),
        loading, waiting, settings.LOADS, outages.kept(), latency, link().run.hex(), error,
    )  # fmt: skip
