"""Denials that this process remembers, so that a client who was denied costs no round trip until it may be allowed.

It changes no answer: a denial writes nothing, so until it is over the same would be denied again. It lasts for two
seconds at most, after which a ``reset`` or a higher limit is noticed by every process. Not for throttles whose denials
count (``punitive``, ``ban``).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.throttling.decisions import Decision
from redis_toolkit.throttling.entries import Limits

__all__ = ["Denials"]

#: Seconds.
LONGEST: Final = 2.0


class Denials:
    """At most ``REDIS_TOOLKIT_THROTTLE_DENIALS`` denials, the oldest of which are forgotten first.

    Of a throttle's name and an identity the last one is remembered. It answers for its own limits and its own cost
    alone: under one name there may be other rates (by tier, by method), and what costs less may be allowed sooner.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[float, float, Limits, int, Decision]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, limits: Limits, identity: str, cost: int) -> Decision | None:
        """The denial of ``identity`` as it stands now, if it holds still."""
        known = self._known.get((limits.name, identity))
        if known is None:
            return None
        until, at, denied_by, costs, decision = known
        moment = monotonic()
        if moment >= until:
            with self._lock:
                self._known.pop((limits.name, identity), None)
            return None
        if costs != cost or (denied_by is not limits and denied_by != limits):
            return None
        return decision.later(moment - at)

    def add(self, limits: Limits, identity: str, cost: int, decision: Decision) -> None:
        """Remember a denial."""
        at, key = monotonic(), (limits.name, identity)
        known = self._known
        with self._lock:
            known[key] = at + min(decision.retry_after, LONGEST), at, limits, cost, decision
            known.move_to_end(key)
            while len(known) > settings.THROTTLE_DENIALS:
                known.popitem(last=False)

    def forget(self, name: str, identity: str) -> None:
        """Forget the denial of one identity."""
        with self._lock:
            self._known.pop((name, identity), None)

    def forget_all(self) -> None:
        """Forget every denial; also in a forked child, where a thread that is not there may hold the lock."""
        self._lock = threading.Lock()
        self._known = OrderedDict()
