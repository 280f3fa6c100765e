"""How often: ``"100/m"``, ``"5/15m"``, ``"10/s, 1000/h"``, ``"100/m burst=20"``. Pure: no Django, no Redis.

    rates   = rate ("," | ";") rate ...
    rate    = count "/" [multiple] unit ["burst=" count]
    unit    = s, sec, second(s) | m, min, minute(s) | h, hr, hour(s) | d, day(s) | w, week(s)

The whole text must be that. Peers read ``5/month`` as five a minute; here it is an error that names the units.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from itertools import pairwise
from typing import Final

__all__ = ["MOST", "NONE", "Given", "Rate", "rates"]

#: The largest limit: all arithmetic stays below 2**53, in which Lua's numbers are exact.
MOST: Final = 1_000_000
#: The longest period in seconds.
LONGEST: Final = 366 * 86_400
_SECOND: Final = 1_000_000
_UNITS: Final = {
    name: seconds
    for names, seconds in (
        ("s sec second seconds", 1),
        ("m min minute minutes", 60),
        ("h hr hour hours", 3600),
        ("d day days", 86_400),
        ("w week weeks", 7 * 86_400),
    )
    for name in names.split()
}
_RATE: Final = re.compile(
    r"\s*(?P<count>[0-9]+)\s*/\s*(?P<multiple>[0-9]*)\s*(?P<unit>[A-Za-z]+)(?:\s+burst\s*=\s*(?P<burst>[0-9]+))?\s*",
    re.ASCII,
)
_HOW: Final = '"100/m", "5/15m", "10/s, 1000/h" or "100/m burst=20", with the units s, m, h, d and w'


@dataclass(frozen=True, slots=True)
class Rate:
    """``limit`` units in each ``period`` (microseconds), of which ``burst`` may come at once (None: all of them).

    A limit of 0 lets nobody through. ``burst`` means something to GCRA alone. Raises ValueError for what cannot be.
    """

    limit: int
    period: int
    burst: int | None = None

    def __post_init__(self) -> None:
        _whole("limit", self.limit, 0, MOST)
        _whole("period in microseconds", self.period, 1000, LONGEST * _SECOND)
        if self.period % 1000:
            raise ValueError(f"The period of a rate is whole milliseconds, not {self.period} microseconds.")
        if self.burst is not None:
            _whole("burst", self.burst, 1, max(1, self.limit))

    @property
    def most_at_once(self) -> int:
        """How many may come at once."""
        return self.limit if self.burst is None else self.burst

    @property
    def seconds(self) -> float:
        """The period in seconds."""
        return self.period / _SECOND

    def __str__(self) -> str:
        seconds, odd = divmod(self.period, _SECOND)
        unit, length = next(
            (u, n) for u, n in (("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)) if not seconds % n
        )
        many = "" if seconds == length else str(seconds // length)
        text = f"{self.limit}/{many}{unit}" if seconds and not odd else f"{self.limit}/{self.seconds:g}s"
        return text if self.burst is None else f"{text} burst={self.burst}"


#: No limit at all.
NONE: Final[tuple[Rate, ...]] = ()

#: A rate as it may be written: text; a limit and a period; a Rate; several of these; None for no limit.
Given = str | Rate | tuple[int, timedelta] | Sequence["str | Rate | tuple[int, timedelta]"] | None


def rates(given: Given) -> tuple[Rate, ...]:
    """The rates that are ``given``, the shortest period first; none for None. Raises ValueError with the cure."""
    if given is None:
        return NONE
    found = tuple(sorted(_each(given), key=lambda rate: rate.period))
    if not found:
        raise ValueError(f"A rate is missing: it is written as {_HOW}. None is no limit.")
    for one, next_ in pairwise(found):
        if one.period == next_.period:
            raise ValueError(f"{one} and {next_} have the same period: keep the smaller.")
    return found


def _each(given: object) -> list[Rate]:
    if isinstance(given, Rate):
        return [given]
    if isinstance(given, str):
        return [_parse(part) for part in re.split(r"[,;]", given)]
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], timedelta):
        return [Rate(given[0], given[1] // timedelta(microseconds=1))]
    if isinstance(given, Sequence) and not isinstance(given, bytes):
        return [rate for part in given for rate in _each(part)]
    raise ValueError(f"{given!r} is no rate: write it as {_HOW}.")


def _parse(text: str) -> Rate:
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text.strip()!r} is no rate: write it as {_HOW}.")
    unit = found["unit"].lower()
    if unit not in _UNITS:
        close = get_close_matches(unit, _UNITS, n=1)
        hint = (
            "A month has no fixed length: write 30d."
            if unit.startswith("mo")
            else f"Did you mean {close[0]!r}?"
            if close
            else ""
        )
        raise ValueError(f"{text.strip()!r} has no unit of ours ({unit!r}): write it as {_HOW}. {hint}".rstrip())
    multiple = int(found["multiple"] or 1)
    if not multiple:
        raise ValueError(f"{text.strip()!r} has a period of nothing.")
    burst = None if found["burst"] is None else int(found["burst"])
    return Rate(int(found["count"]), multiple * _UNITS[unit] * _SECOND, burst)


def _whole(what: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"The {what} of a rate is a whole number from {least} to {most}, not {value!r}.")
