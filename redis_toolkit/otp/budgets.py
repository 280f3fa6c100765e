"""How many codes are sent: to one destination, for one address, into one country, and in all.

A budget is written ``"5/h"``: so many in a second, minute, hour or day (s, m, h, d), or several (``"3/10m"``). Each is
a log of the sends themselves, so it is exact, and what could not be sent is given back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from redis_toolkit.core import keys
from redis_toolkit.core.clients import counted_address
from redis_toolkit.core.connections import pack
from redis_toolkit.core.scripts import Script
from redis_toolkit.otp.flows import Flow, moment
from redis_toolkit.otp.peppers import first_pepper

__all__ = ["Budget", "Window", "give_back", "kept", "spend", "window"]

_SPEND: Final = Script("otp_spend")
_WRITTEN: Final = re.compile(r"([0-9]{1,5})/([0-9]{0,5})([smhd])\Z")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MICRO: Final = 1_000_000
_MOST: Final = 10_000
_LONGEST: Final = 31 * 86_400
#: Characters of a telephone number that stand for its country and network.
_PREFIX: Final = 5


@dataclass(frozen=True, slots=True)
class Window:
    """``limit`` sends in any ``period`` (microseconds)."""

    limit: int
    period: int


@dataclass(frozen=True, slots=True)
class Budget:
    """The ``key`` under which one window is counted."""

    key: str
    window: Window


def window(text: object) -> Window | None:
    """``"5/h"``, ``"3/10m"``; None for no limit. Raises ValueError for anything else."""
    if text is None:
        return None
    found = _WRITTEN.match(text) if isinstance(text, str) else None
    seconds = int(found[2] or 1) * _SECONDS[found[3]] if found else 0
    limit = int(found[1]) if found else 0
    if not 1 <= limit <= _MOST or not 1 <= seconds <= _LONGEST:
        raise ValueError(f"{text!r} is no budget: write 5/h or 3/10m (s, m, h, d; at most {_MOST} in at most 31 days).")
    return Window(limit, seconds * _MICRO)


def kept(purpose: str, kind: str, who: str, given: Window | None) -> list[Budget]:
    """The budget of one ``kind`` ("ip", "destination", "prefix" or "total") for ``who``, or none without a window."""
    if given is None:
        return []
    if kind == "ip":
        who = counted_address(who) or who
    elif kind == "prefix":
        if "@" in who or who[0] not in "+0123456789":
            return []
        who = who[:_PREFIX]
    tag = first_pepper().mac("budget", purpose, kind, who).hex()[:32]
    return [Budget(keys.tagged("o", tag, keys.escape(purpose), "b"), given)]


def spend(budgets: list[Budget], send: str) -> Flow[float | None]:
    """Take one of each: None, or, if one is used up and none was taken, the seconds to wait. One round trip, or two."""
    if not budgets:
        return None
    now = moment()
    calls = [_SPEND.call(each.key, now, send, each.window.limit, each.window.period) for each in budgets]
    waits = yield calls, True
    longest = max(waits)
    if not longest:
        return None
    yield from give_back([each.key for each, wait in zip(budgets, waits, strict=True) if not wait], send)
    return float(longest) / _MICRO


def give_back(names: list[str], send: str) -> Flow[None]:
    """Give back what a send has taken of the budgets under these keys; one round trip."""
    if names:
        yield [pack(("ZREM", name, send)) for name in names], True
