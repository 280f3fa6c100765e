"""The time, in whole microseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from redis_toolkit.core.clock import frozen, now

__all__ = ["MICRO", "asked", "date", "microseconds", "this"]

#: Microseconds in a second.
MICRO: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def this() -> int:
    """Now, by this host's clock; in tests when it stands still."""
    moment = frozen()
    return round(now() * MICRO) if moment is None else moment


def asked() -> str | int:
    """What the scripts are told of the time: nothing, for they ask the server; in tests minus the moment."""
    moment = frozen()
    return "" if moment is None else -moment


def date(moment: int) -> datetime | None:
    """``moment`` for people; None for 0, which is never."""
    return _EPOCH + timedelta(microseconds=moment) if moment else None


def microseconds(length: float | timedelta, name: str, *, least: int = 1) -> int:
    """A length of time, given in seconds or as a timedelta. Raises ValueError for what is none."""
    given: object = length
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds <= 86_400 * 36_600:
        raise ValueError(f"{name} is a number of seconds or a timedelta, of at most a hundred years, not {length!r}.")
    found = round(seconds * MICRO)
    if found < least:
        raise ValueError(f"{name} is a positive number of seconds, or a timedelta, not {length!r}.")
    return found
