"""No client gets more out of a throttle than is documented, in no span of time, whenever it asks; and that much it can get."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_toolkit.throttling import Rate
from redis_toolkit.throttling.algorithms import ALGORITHMS, State, check
from tests.contract.throttle_worlds import Entry, Twin
from tests.property.throttle_attacks import ALL, AS_TOLD, TOO_SOON, Had, Move, attack, busiest, lengths, moves, promised

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "throttle-algorithms.md"
START = 1_700_000_000_000_000
SECOND = 1_000_000
KINDS = ("g", "f", "c", "l")


class World:
    """One identity under one rate, by the algorithms in Python; the scripts do the same (tests/contract)."""

    def __init__(self, kind: str, rate: Rate, share: int = 0) -> None:
        self._kind, self._rate, self._share = kind, rate, share
        self._state: State = None

    def __call__(self, now: int, cost: int, charges: bool) -> tuple[bool, int, int]:
        verdict = check(self._kind, self._rate, self._state, now, cost, self._share)
        if charges:
            self._state = verdict.state
        return verdict.allowed, verdict.remain, verdict.retry


@st.composite
def campaigns(draw: Any, kind: str) -> tuple[Rate, int, list[Move], list[int]]:
    """A rate, where its windows begin, what is done, and further spans to look at."""
    limit = draw(st.integers(1, 12) | st.integers(1, 1000))
    milliseconds = draw(st.sampled_from([1, 100, 1000, 60_000, 61_007, 86_400_000]) | st.integers(1, 366 * 86_400_000))
    burst = draw(st.none() | st.integers(1, limit)) if kind == "g" else None
    rate = Rate(limit, milliseconds * 1000, burst)
    spans = draw(st.lists(st.integers(1, 4 * rate.period), max_size=3))
    return rate, draw(st.integers(0, 2**32 - 1)), draw(moves(rate)), spans


@pytest.mark.parametrize("kind", KINDS)
def test_never_more_than_is_documented(kind: str) -> None:
    """Over every span of ten lengths that begins with a unit; and some attacks do get all of it."""
    reached = set()

    @settings(max_examples=4 * settings().max_examples)
    @given(campaigns(kind))
    def bounded(campaign: tuple[Rate, int, list[Move], list[int]]) -> None:
        rate, share, plan, spans = campaign
        had = attack(World(kind, rate, share), rate, share, plan, START)
        for length in lengths(rate) + spans:
            most = busiest(had, length)
            assert most <= promised(kind, rate, length), (length, most)
            if most == promised(kind, rate, length):
                reached.add(min(length, rate.period) == rate.period)

    bounded()
    # As well of spans that are shorter than a period as of those that are not.
    assert reached == {False, True}


#: Of a hundred a minute: the units that somebody gets within one moment, within 2 µs, and in spans of T/100, T/2, T, 2T.
MOST = {
    "gcra": (100, 100, 100, 149, 199, 299),
    "token_bucket": (100, 100, 100, 149, 199, 299),
    "gcra burst=10": (10, 10, 10, 59, 109, 209),
    "gcra burst=1": (1, 1, 1, 50, 100, 200),
    "fixed_window": (100, 200, 200, 200, 200, 300),
    "sliding_counter": (100, 100, 100, 149, 199, 298),
    "sliding_log": (100, 100, 100, 100, 100, 200),
}
#: They take all there is just before an edge, then whatever there is as soon as there is something.
PLAN = [Move(0, (-1, 0), ALL), Move(1, None, ALL), *[Move(AS_TOLD, None, ALL)] * 400]


@pytest.mark.parametrize("kind", KINDS)
def test_a_refund_lets_in_no_more_than_it_gives_back(kind: str) -> None:
    """Whatever is given back, and whenever: in a span no more than is documented, and what was given back within it."""
    given_back = []

    @given(campaigns(kind), st.lists(st.integers(0, 3), min_size=40, max_size=40))
    def bounded(campaign: tuple[Rate, int, list[Move], list[int]], refunds: list[int]) -> None:
        rate, share, plan, spans = campaign
        twin, entry, had, back = Twin(), Entry(kind, rate=rate), [], []
        now, wait = START, 0
        for move, units in zip(plan, refunds, strict=False):
            now += {AS_TOLD: max(0, wait), TOO_SOON: max(0, wait - 1)}.get(move.passes, move.passes)
            if twin.refund(now, share, [replace(entry, cost=units)]):
                back.append(Had(now, units))
            _, left, _, _ = twin.check(now, share, [replace(entry, cost=0)], charges=False)
            much = left if move.asks == ALL else move.asks
            allowed, _, wait, _ = twin.check(now, share, [replace(entry, cost=much)])
            if allowed and much:
                had.append(Had(now, much))
        for length in lengths(rate) + spans:
            for first in had:
                within = [each.units for each in had if 0 <= each.moment - first.moment < length]
                returned = [each.units for each in back if 0 <= each.moment - first.moment < length]
                assert sum(within) <= promised(kind, rate, length) + sum(returned)
        given_back.extend(back)

    bounded()
    assert len(given_back) >= 10


@pytest.mark.parametrize("name", MOST)
def test_the_bounds_are_reached(name: str) -> None:
    """By who takes all there is, and asks again when it is told: exactly what is documented, so no bound is too wide."""
    algorithm, _, burst = name.partition(" burst=")
    kind, rate = ALGORITHMS[algorithm], Rate(100, 60 * SECOND, int(burst) if burst else None)
    spans = (1, 2, rate.period // 100, rate.period // 2, rate.period, 2 * rate.period)
    had = attack(World(kind, rate), rate, 0, PLAN, START)
    assert tuple(busiest(had, span) for span in spans) == MOST[name]
    # (No edge is in the middle of a single moment. Of two periods the counter, which rounds down twice, is one below.)
    assert [promised(kind, rate, span) for span in spans[1:5]] == list(MOST[name][1:5])


def test_what_is_taken_is_spread_or_not() -> None:
    """Of GCRA at burst=1 no two units are nearer to each other than a hundredth of the period; of the others they are."""
    nearest = {}
    for name in MOST:
        algorithm, _, burst = name.partition(" burst=")
        rate = Rate(100, 60 * SECOND, int(burst) if burst else None)
        had = attack(World(ALGORITHMS[algorithm], rate), rate, 0, PLAN, START)
        together = max(each.units for each in had)
        nearest[name] = 0 if together > 1 else min(after.moment - each.moment for each, after in pairwise(had))
    assert nearest == dict.fromkeys(MOST, 0) | {"gcra burst=1": 600_000}


def test_a_span_is_counted_without_its_end() -> None:
    """What the tests above count by: units at 0, 5 and 10 are two in any ten microseconds, three in eleven."""
    had = [Had(0, 1), Had(5, 1), Had(10, 1)]
    assert [busiest(had, length) for length in (1, 5, 6, 10, 11)] == [1, 1, 2, 2, 3]


#: What the page has to say, for any span L of a limit of N in a period T.
DOCUMENTED = {
    "`gcra`, `token_bucket`": "less than burst + *N*·*L*/*T*",
    "`sliding_counter`": "less than *N* + *N*·*L*/*T*",
    "`fixed_window`": "*N*·(1 + ⌈*L*/*T*⌉)",
    "`sliding_log`": "*N*·⌈*L*/*T*⌉",
}


@pytest.mark.parametrize("names", DOCUMENTED)
def test_the_page_says_so(names: str) -> None:
    """The formula stands in the row of the algorithm, and what was got of a hundred a minute."""
    row = next(line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(f"| {names} |"))
    assert DOCUMENTED[names] in row
    for algorithm in names.replace("`", "").split(", "):
        _, _, hundredth, half, whole, _ = MOST[algorithm]
        assert f"| {hundredth} | {half} | {whole} |" in row
