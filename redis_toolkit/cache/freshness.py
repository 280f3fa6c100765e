"""How long things live: pure arithmetic, no Django and no Redis."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from math import inf, log
from typing import NamedTuple

__all__ = ["Terms", "is_early", "jittered", "seconds", "span", "stamp_life", "terms"]

#: A read may be early by so many times what building takes, and one in 10^9 of those that are that early refreshes.
_SOONEST = 20


class Terms(NamedTuple):
    """How long an answer may be given. ``ttl`` and ``fresh``: seconds, None: by the setting, and as long as the ttl.

    Past ``fresh`` it is still given, while a new one is made. ``stale``: seconds for which it may be given after a
    write has ended it. ``outage``: seconds for which this process keeps it to itself while Redis is away.
    """

    ttl: float | None = None
    fresh: float | None = None
    stale: float = 0.0
    outage: float = 0.0

    def over(self, other: Terms) -> Terms:
        """These terms, and ``other`` where they say nothing."""
        return Terms(
            self.ttl or other.ttl, self.fresh or other.fresh, self.stale or other.stale, self.outage or other.outage
        )


def terms(ttl: float | timedelta | None, fresh: float | timedelta | None, stale: float | timedelta | None) -> Terms:
    """Terms as they are declared. Raises ValueError for what is no life, and for a ``fresh`` not under the ttl."""
    made = Terms(None if ttl is None else seconds(ttl), None if fresh is None else seconds(fresh), span(stale or 0))
    if made.ttl is not None and made.fresh is not None and made.fresh >= made.ttl:
        raise ValueError(f"An answer is fresh for less than its ttl, so fresh={fresh!r} does not go with ttl={ttl!r}.")
    return made


def seconds(ttl: float | timedelta) -> float:
    """A life as seconds. Raises ValueError if it is not positive."""
    value: object = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool) or not 0 < value < inf:
        raise ValueError(f"A ttl is a positive number of seconds or a timedelta, not {ttl!r}.")
    return float(value)


def span(length: float | timedelta) -> float:
    """A length of time as seconds, 0 included. Raises ValueError if it is negative."""
    if isinstance(length, timedelta):
        length = length.total_seconds()
    return 0.0 if length == 0 and not isinstance(length, bool) else seconds(length)


def is_early(left: float, took: float, beta: float, dice: float) -> bool:
    """Whether an answer that has ``left`` seconds to live, and took so many to build, is to be built anew already.

    ``dice`` is uniform in [0, 1); ``beta`` above 1 makes it earlier. So the many readers of a hot answer do not all
    find it gone: one of them has begun before. XFetch: Vattani, Chierichetti and Lowenstein, *Optimal Probabilistic
    Cache Stampede Prevention*, VLDB 2015.
    """
    reach = took * beta
    return left < reach * _SOONEST and -reach * log(1 - dice) >= left


def jittered(ttl: float, jitter: float, dice: float) -> int:
    """``ttl`` seconds as milliseconds, shortened by up to the share ``jitter``; ``dice`` is uniform in [0, 1)."""
    return max(1, round(ttl * 1000 * (1 - jitter * dice)))


def stamp_life(ttl: float, longest: float) -> int:
    """The life of a stamp in milliseconds: twice that of the longest entry that may be built under it."""
    return round(2000 * max(ttl, longest))
