"""Clients that know an algorithm and get out of it what they can; and what the documentation promises of each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from hypothesis import strategies as st

from redis_toolkit.throttling import Rate

__all__ = ["ALL", "AS_TOLD", "TOO_SOON", "Had", "Move", "attack", "busiest", "lengths", "moves", "promised"]

#: Asked for so much at a moment: whether that is allowed, what remains, and the microseconds to wait (-1: for ever).
Ask = Callable[[int, int, bool], tuple[bool, int, int]]

#: As long as a denial says, and a microsecond less.
AS_TOLD, TOO_SOON = "as told", "too soon"
#: Everything that can be had.
ALL = -1


class Move(NamedTuple):
    """What an attacker does: time passes (microseconds, ``AS_TOLD``, ``TOO_SOON``, or up to an edge), and it asks.

    ``edge``: microseconds after the beginning of a window, and how many windows on; instead of ``passes``.
    """

    passes: Any
    edge: tuple[int, int] | None
    asks: int


class Had(NamedTuple):
    """So many ``units`` were allowed at that ``moment``."""

    moment: int
    units: int


def moves(rate: Rate) -> Any:
    """Any number of moves, at any moments, and at those that matter."""
    gap = -(-rate.period // rate.limit)
    passes = st.one_of(
        st.sampled_from([0, 1, AS_TOLD, AS_TOLD, TOO_SOON, gap, rate.period - 1, rate.period, rate.period + 1]),
        st.integers(0, 2 * gap), st.integers(0, 2 * rate.period),
    )  # fmt: skip
    edges = st.tuples(st.sampled_from([-1000, -1, 0, 1, 999, 1000]), st.integers(0, 2))
    asks = st.just(ALL) | st.integers(1, rate.limit)
    in_time = st.builds(Move, passes, st.none(), asks)
    at_edges = st.builds(Move, st.just(0), edges, asks)
    return st.lists(in_time | at_edges, min_size=8, max_size=40)


def attack(ask: Ask, rate: Rate, share: int, plan: list[Move], start: int) -> list[Had]:
    """What somebody gets who goes by that plan. What is said to remain remains, and not a unit more."""
    now, wait, found = start, 0, []
    offset = rate.period * share >> 32
    for move in plan:
        if move.edge is not None:
            after, windows = move.edge
            edge = now - (now - offset) % rate.period + (1 + windows) * rate.period
            now = max(now, edge + after)
        else:
            # (Who asks for more than is ever allowed is told -1.)
            now += {AS_TOLD: max(0, wait), TOO_SOON: max(0, wait - 1)}.get(move.passes, move.passes)
        _, left, _ = ask(now, 0, False)
        much = left if move.asks == ALL else move.asks
        if much:
            allowed, _, _ = ask(now, much, True)
            assert allowed is (much <= left), (now, much, left)
            if allowed:
                found.append(Had(now, much))
        allowed, _, wait = ask(now, 1, False)
        if move.asks == ALL:
            assert not allowed
        wait = max(0, wait)
    return found


def lengths(rate: Rate) -> list[int]:
    """Spans in microseconds: from one moment to three periods."""
    found = {1, 2, rate.period // 100, rate.period // 2, rate.period - 1, rate.period, 2 * rate.period, 3 * rate.period}
    return sorted(length for length in found if length)


def busiest(had: list[Had], length: int) -> int:
    """The most units in any span of that length, its end not included."""
    moments = [each.moment for each in had]
    sums = [0, *accumulate(each.units for each in had)]
    return max(_spans(moments, sums, length), default=0)


def _spans(moments: list[int], sums: list[int], length: int) -> Iterator[int]:
    for at, moment in enumerate(moments):
        yield sums[bisect_left(moments, moment + length)] - sums[at]


def promised(kind: str, rate: Rate, length: int) -> int:
    """The most units in any span of that length, its end not included, by docs/explanation/throttle-algorithms.md.

    GCRA: less than burst + N·L/T; the sliding counter: less than N + N·L/T; fixed windows: N·(1 + ⌈L/T⌉); the log:
    N·⌈L/T⌉.
    """
    limit, period = rate.limit, rate.period
    if kind in {"g", "c"}:
        at_once = rate.most_at_once if kind == "g" else limit
        # (The largest whole number that is less.)
        return at_once - 1 - (-limit * length // period)
    return limit * (-(-length // period) + (kind == "f"))
