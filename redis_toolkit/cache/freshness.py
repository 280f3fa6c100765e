"""How long things live: pure arithmetic, no Django and no Redis."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from math import inf

__all__ = ["jittered", "seconds", "stamp_life"]


def seconds(ttl: float | timedelta) -> float:
    """A life as seconds. Raises ValueError if it is not positive."""
    value: object = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool) or not 0 < value < inf:
        raise ValueError(f"A ttl is a positive number of seconds or a timedelta, not {ttl!r}.")
    return float(value)


def jittered(ttl: float, jitter: float, dice: float) -> int:
    """``ttl`` seconds as milliseconds, shortened by up to the share ``jitter``; ``dice`` is uniform in [0, 1)."""
    return max(1, round(ttl * 1000 * (1 - jitter * dice)))


def stamp_life(ttl: float, longest: float) -> int:
    """The life of a stamp in milliseconds: twice that of the longest entry that may be built under it."""
    return round(2000 * max(ttl, longest))
