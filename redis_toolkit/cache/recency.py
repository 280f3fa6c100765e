"""When this process last saw an answer to be valid: by that alone it knows how stale a dead one may be.

An answer that a write has ended carries no word of when. But whoever saw it valid two seconds ago knows that it has
been stale for two seconds at most. So hot answers, for whose sake stale ones are served, are known best.

A process that has itself written to a table since never takes an older answer of it for good enough.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Final

from redis_toolkit.core.clock import monotonic

__all__ = ["forget", "is_within", "saw", "wrote"]

#: Most answers that are known at once. Beyond that all are forgotten, which costs loads alone.
_MOST: Final = 10_000

_seen: dict[str, float] = {}
_written: dict[str, float] = {}


def saw(key: str, at: float) -> None:
    """The entry under ``key`` was valid ``at`` that moment of the monotonic clock, or later."""
    if len(_seen) >= _MOST:
        _seen.clear()
    _seen[key] = at


def wrote(tables: Iterable[str]) -> None:
    """This process has changed ``tables``, or may have."""
    if _seen:
        at = monotonic()
        for table in tables:
            _written[table] = at


def is_within(key: str, seconds: float, tables: Sequence[str]) -> bool:
    """Whether the entry under ``key`` was valid within the last so many seconds, and not written here since."""
    at = _seen.get(key)
    if at is None or monotonic() - at > seconds:
        return False
    return all(_written.get(table, at) <= at for table in tables)


def forget() -> None:
    """Know nothing, as a new process does."""
    _seen.clear()
    _written.clear()


os.register_at_fork(after_in_child=forget)
