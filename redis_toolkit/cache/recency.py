"""When this process last saw an answer to be valid: by that alone it knows how stale a dead one may be.

An answer that a write has ended carries no word of when. But whoever saw it valid two seconds ago knows that it has
been stale for two seconds at most. So hot answers, for whose sake stale ones are served, are known best.

A process that has itself written to a table since never takes an older answer of it for good enough. Nor does anybody
take what was built before the answer that was seen:

1. a slow reader loads the old row  2. a write ends it  3. the new one is stored, and seen valid  4. the slow reader
stores over it: that was never seen valid, and has been stale since 2.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import inf
from typing import Final

from redis_toolkit.cache import own_writes
from redis_toolkit.core.clock import monotonic

__all__ = ["forget", "is_within", "saw"]

#: Most answers that are known at once. Beyond that all are forgotten, which costs loads alone.
_MOST: Final = 10_000

_seen: dict[str, tuple[float, float, tuple[object, ...]]] = {}


def saw(key: str, at: float, built: float, state: tuple[object, ...]) -> None:
    """The entry under ``key``, ``built`` then, was valid ``at`` that moment of the monotonic clock, or later.

    ``state``: that of its tables then (``own_writes.seen``).
    """
    if len(_seen) >= _MOST:
        _seen.clear()
    _seen[key] = at, built, state


def is_within(key: str, seconds: float, built: float, tables: Sequence[str]) -> bool:
    """Whether what was ``built`` then, or an older one, was valid so many seconds ago, and not written here since."""
    at, known, state = _seen.get(key, (-inf, inf, ()))
    if monotonic() - at > seconds or built < known:
        return False
    return all(then is now for then, now in zip(state, own_writes.seen(tables), strict=True))


def forget() -> None:
    """Know nothing, as a new process does."""
    _seen.clear()


os.register_at_fork(after_in_child=forget)
