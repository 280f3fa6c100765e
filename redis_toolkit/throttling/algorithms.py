"""The algorithms in Python: what ``throttle_check.lua`` does, in this process. Pure.

They decide while Redis is away (``on_outage="local"``), and are what the script is compared with in the tests. Times
are whole microseconds. A *state* is a tuple of whole numbers (of the log: of times), None where nothing is known.

| name | allows in any period | at once | remembers |
|---|---|---|---|
| ``gcra``, ``token_bucket`` | burst + limit - 1 | burst | one number |
| ``fixed_window`` | 2 limits, at the edge of two windows | 2 limits | two numbers |
| ``sliding_counter`` | less than 2 limits | limit | three numbers |
| ``sliding_log`` | limit: exact | limit | each unit |
"""

from __future__ import annotations

from math import ceil
from typing import Any, Final, NamedTuple

from redis_toolkit.throttling.rates import Rate

__all__ = ["ALGORITHMS", "LONGEST_LOG", "NEVER", "Verdict", "check", "code", "problem"]

#: What :attr:`Verdict.retry` says of what will never be allowed.
NEVER: Final = -1
#: The log keeps each unit, so it is for small limits.
LONGEST_LOG: Final = 1000
#: Limit times period in milliseconds, which the sliding counter must have exact in a double.
_EXACT: Final = 2**52

#: Names, and what the scripts call them.
ALGORITHMS: Final = {
    "gcra": "g",
    "token_bucket": "g",
    "fixed_window": "f",
    "sliding_counter": "c",
    "sliding_log": "l",
}

State = tuple[int, ...] | None


class Verdict(NamedTuple):
    """Whether it is ``allowed``, the ``state`` then, and the units that ``remain``.

    ``retry``: microseconds until it is allowed (0: now; NEVER), ``reset``: until nothing is remembered.
    """

    allowed: bool
    state: State
    remain: int
    retry: int
    reset: int


def code(algorithm: str) -> str:
    """What the scripts call it. Raises ValueError, with the names, for an unknown one."""
    try:
        return ALGORITHMS[algorithm]
    except KeyError:
        raise ValueError(f"There is no algorithm {algorithm!r}: {', '.join(ALGORITHMS)}.") from None


def problem(algorithm: str, rate: Rate) -> str | None:
    """Why ``rate`` cannot be had by that algorithm; None: it can."""
    kind = code(algorithm)
    if kind == "l" and rate.limit > LONGEST_LOG:
        return f"A sliding log keeps each unit, so it is for limits up to {LONGEST_LOG}, not {rate.limit}. Take gcra."
    if kind != "g" and rate.burst is not None:
        return f"burst= is for gcra: {algorithm} lets the whole limit through at once."
    if kind == "c" and rate.limit * (rate.period // 1000) > _EXACT:
        return f"{rate} is too much for sliding_counter to be exact. Take gcra."
    return None


def check(kind: str, rate: Rate, state: State, now: int, cost: int, share: int) -> Verdict:
    """Check ``cost`` units against ``rate`` at ``now``; the state is charged if it is allowed.

    ``kind``: as the scripts call it. ``share``: where the windows of this identity begin, of 2**32.
    """
    if not rate.limit:
        return Verdict(allowed=False, state=state, remain=0, retry=NEVER, reset=0)
    found: Verdict = _CHECKS[kind](rate, state or (), now, cost, int(rate.period * (share / 2**32)))
    return found


def _gcra(rate: Rate, state: Any, now: int, cost: int, _: int) -> Verdict:
    gap = ceil(rate.period / rate.limit)
    room = rate.most_at_once * gap
    full = max(state[0] if state else now, now)
    # No bucket is emptier than empty: the clock was set back. (Whatever the burst was when it was charged.)
    if full > now + rate.limit * gap + 1_000_000:
        full = now
    over = full + cost * gap - room - now
    if over <= 0:
        full += cost * gap
        state = (full,)
    retry = 0 if over <= 0 else NEVER if cost > rate.most_at_once else over
    return Verdict(over <= 0, state, max(0, (room - (full - now)) // gap), retry, full - now)


def _fixed(rate: Rate, state: Any, now: int, cost: int, offset: int) -> Verdict:
    ends = now - (now - offset) % rate.period + rate.period
    count = state[1] if state and state[0] == ends else 0
    allowed = count + cost <= rate.limit
    if allowed:
        count += cost
        state = (ends, count)
    retry = 0 if allowed else NEVER if cost > rate.limit else ends - now
    return Verdict(allowed, state, max(0, rate.limit - count), retry, ends - now if count else 0)


def _counter(rate: Rate, state: Any, now: int, cost: int, offset: int) -> Verdict:
    began = now - (now - offset) % rate.period
    count = before = 0
    if state and state[0] == began:
        _, count, before = state
    elif state and state[0] == began - rate.period:
        before = state[1]
    length = rate.period // 1000
    left = length - (now - began) // 1000
    free = rate.limit - count - cost
    allowed = before * left <= free * length
    if allowed:
        retry = 0
    elif cost > rate.limit:
        retry = NEVER
    elif free >= 0:
        retry = began + (length - free * length // before) * 1000 - now
    else:
        retry = began + rate.period + (length - (rate.limit - cost) * length // count) * 1000 - now
    if allowed:
        count += cost
        state = (began, count, before)
    remain = (rate.limit * length - before * left) // length - count
    reset = began + 2 * rate.period - now if count else began + rate.period - now if before else 0
    return Verdict(allowed, state, max(0, remain), retry, reset)


def _log(rate: Rate, state: Any, now: int, cost: int, _: int) -> Verdict:
    live = tuple(moment for moment in state if now - rate.period < moment <= now)
    over = len(live) + cost - rate.limit
    if over <= 0:
        live += (now,) * cost
        retry = 0
    else:
        retry = NEVER if cost > rate.limit else live[over - 1] + rate.period - now
    reset = live[-1] + rate.period - now if live else 0
    return Verdict(over <= 0, live, max(0, rate.limit - len(live)), retry, reset)


_CHECKS: Final[dict[str, Any]] = {"g": _gcra, "f": _fixed, "c": _counter, "l": _log}
