"""Throttles in this process alone, while Redis is away: ``on_outage="local"``.

Each process has a share of every limit (``REDIS_TOOLKIT_THROTTLE_LOCAL_SHARE``), for it knows nothing of the others.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from redis_toolkit.core.clock import monotonic
from redis_toolkit.throttling.algorithms import State, Verdict, check
from redis_toolkit.throttling.decisions import Decision
from redis_toolkit.throttling.entries import Limits
from redis_toolkit.throttling.rates import Rate

__all__ = ["Local"]

#: Identities under rates that are remembered; the one that was asked for longest ago is forgotten first.
_MOST: Final = 10_000
_MICRO: Final = 1_000_000


class Local:
    """What one process knows of identities."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, State] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, asked: list[tuple[Limits, str, int, int]], *, part: float, charges: bool = True) -> list[Decision]:
        """The decisions on ``asked``: limits, identity, cost and share of the windows. All are charged or none.

        ``part``: of each limit, at least 1 unit.
        """
        moment = round(monotonic() * _MICRO)
        with self._lock:
            found: list[list[tuple[str, Verdict]]] = []
            for limits, identity, cost, share in asked:
                places = zip(limits.keys(identity), limits.rates, strict=False)
                found.append(
                    [
                        (place, self._check(limits, rate, reduced(rate, part), place, moment, cost, share))
                        for place, rate in places
                    ]
                )
            allows = all(
                verdict.allowed for (limits, *_), each in zip(asked, found, strict=True) if not limits.shadow
                for _, verdict in each
            )  # fmt: skip
            for (limits, *_), each in zip(asked, found, strict=True):
                own = all(verdict.allowed for _, verdict in each) if limits.shadow else allows
                if own and charges:
                    for place, verdict in each:
                        self._states[place] = verdict.state
                        self._states.move_to_end(place)
            while len(self._states) > _MOST:
                self._states.popitem(last=False)
        decisions = []
        for (limits, *_), each in zip(asked, found, strict=True):
            answers = [number for _, verdict in each for number in (int(verdict.allowed), *verdict[2:])]
            own_limits = replace(limits, rates=tuple(reduced(rate, part) for rate in limits.rates), ban=None)
            decisions.append(own_limits.read(answers, "local"))
        return decisions

    def _check(
        self, limits: Limits, whole: Rate, rate: Rate, place: str, moment: int, cost: int, share: int
    ) -> Verdict:
        # What costs more than this share is let in when all of it is left; otherwise it would be never. What costs more
        # than the whole limit is never let in, by nobody.
        much = min(cost, rate.most_at_once) if rate.limit and cost <= whole.most_at_once else cost
        return check(limits.code, rate, self._states.get(place), moment, much, share)

    def forget(self) -> None:
        """Know nothing; also in a forked child, where a thread that is not there may hold the lock."""
        self._lock = threading.Lock()
        self._states = OrderedDict()


def reduced(rate: Rate, part: float) -> Rate:
    """``part`` of a rate, one unit at least."""
    if not rate.limit:
        return rate
    limit = max(1, int(rate.limit * part))
    return Rate(limit, rate.period, None if rate.burst is None else max(1, min(limit, int(rate.burst * part))))
