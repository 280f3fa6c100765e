"""What throttles promise, of the scripts on a server: who waits as told is let in and no sooner, and never more than so many."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_toolkit.throttling import Rate, Throttle, checking
from redis_toolkit.throttling.algorithms import ALGORITHMS, NEVER
from tests.contract.throttle_worlds import KINDS, START, Entry, Server
from tests.property.throttle_attacks import ALL, AS_TOLD, Move, attack, busiest, lengths, moves, promised

SECOND = 1_000_000
#: By the script that is for GCRA and nothing else.
ALONE = "gcra alone"


@pytest.fixture
def scripts(redis_client: redis.Redis) -> Server:
    return Server(redis_client)


@st.composite
def histories(draw: Any, most_rules: int) -> tuple[list[Entry], int, list[tuple[int, list[int]]]]:
    """Rates of so many rules, two of a rule at most; where windows begin; what passes, and what is asked of each rule."""
    entries = []
    for rule in range(draw(st.integers(1, most_rules))):
        kind = draw(st.sampled_from(KINDS))
        periods = st.sampled_from([SECOND, 60 * SECOND, 61_007_000, 86_400 * SECOND])
        for period in draw(st.lists(periods, min_size=1, max_size=2, unique=True)):
            limit = draw(st.integers(1, 12))
            burst = draw(st.none() | st.integers(1, limit)) if kind == "g" else None
            entries.append(Entry(kind, rule, Rate(limit, period, burst)))
    steps = st.one_of(st.sampled_from([0, 1, 999, 1000]), st.integers(0, 3 * SECOND), st.integers(0, 200 * SECOND))
    costs = st.lists(st.integers(0, 6), min_size=most_rules, max_size=most_rules)
    plan = draw(st.lists(st.tuples(steps, costs), min_size=10, max_size=25))
    return entries, draw(st.integers(0, 2**32 - 1)), plan


@pytest.mark.parametrize("most_rules", [1, 3])
def test_who_waits_as_told_is_let_in_and_no_sooner(most_rules: int, scripts: Server) -> None:
    """The longest wait of a denial, of one rule and of several: then it is allowed; not a microsecond earlier.

    So it is with whole milliseconds: waited to the next one it is enough, and one less is not.
    """
    waited = []

    @settings(max_examples=2 * settings().max_examples)
    @given(histories(most_rules))
    def honoured(history: tuple[list[Entry], int, list[tuple[int, list[int]]]]) -> None:
        entries, share, steps = history
        scripts.forget()
        now = START
        for passes, costs in steps:
            now += passes
            asked = [replace(entry, cost=costs[entry.rule]) for entry in entries]
            answer = scripts.check(now, share, asked)
            retries = answer[2::4]
            if all(answer[::4]) or NEVER in retries:
                continue
            wait = max(retries)
            assert wait > 0
            enough = -(-wait // 1000) * 1000
            for later, allowed in ((wait, True), (wait - 1, False), (enough, True), (enough - 1000, False)):
                found = scripts.check(now + later, share, asked, charges=False)
                assert all(found[::4]) is allowed
            waited.append(wait)

    honoured()
    assert len(waited) >= 20
    assert any(wait % 1000 for wait in waited)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_decision_says_so_too(algorithm: str, redis_client: redis.Redis) -> None:
    """``retry_after`` of a throttle with three rates, waited for to the millisecond, of fifty denials."""
    limit = Throttle("mails", "3/m, 20/h, 50/d", algorithm=algorithm)
    asked, now, denials, let_in = [limit._asked(("ada",), None)], START, 0, 0
    while denials < 50:
        [decision] = checking.check(asked, now=now)
        if decision:
            let_in += 1
            continue
        denials += 1
        wait = -(-round(decision.retry_after * SECOND) // 1000) * 1000
        assert decision.retry_after not in {0, inf}
        [early] = checking.check(asked, now=now + wait - 1000, charges=False)
        [then] = checking.check(asked, now=now + wait, charges=False)
        assert (early.allowed, then.allowed) == (False, True)
        now += wait
    assert let_in >= 50


class World:
    """One identity under one rate, on the server."""

    def __init__(self, scripts: Server, kind: str, rate: Rate, share: int = 0) -> None:
        self._scripts, self._share = scripts, share
        self._entry, self._is_alone = Entry(kind[0], rate=rate), kind == ALONE
        scripts.forget()

    def __call__(self, now: int, cost: int, charges: bool) -> tuple[bool, int, int]:
        asked = [replace(self._entry, cost=cost)]
        if self._is_alone:
            allowed, remain, retry, _ = self._scripts.check_gcra(now, asked, charges=charges)
        else:
            allowed, remain, retry, _ = self._scripts.check(now, self._share, asked, charges=charges)
        return bool(allowed), remain, retry


@st.composite
def campaigns(draw: Any, kind: str) -> tuple[Rate, int, list[Move]]:
    """A rate, where its windows begin, and what somebody does who wants the most."""
    limit = draw(st.integers(1, 12) | st.just(100))
    period = draw(st.sampled_from([SECOND, 61_007_000, 86_400 * SECOND]))
    rate = Rate(limit, period, draw(st.none() | st.integers(1, limit)) if kind[0] == "g" else None)
    return rate, draw(st.integers(0, 2**32 - 1)), draw(moves(rate))


@pytest.mark.parametrize("kind", [*KINDS, ALONE])
def test_never_more_than_is_promised(kind: str, scripts: Server) -> None:
    """In spans of eight lengths no more than is documented, whenever somebody asks, and at whatever edge."""
    had = []

    @given(campaigns(kind))
    def bounded(campaign: tuple[Rate, int, list[Move]]) -> None:
        rate, share, plan = campaign
        found = attack(World(scripts, kind, rate, share), rate, share, plan, START)
        for length in lengths(rate):
            assert busiest(found, length) <= promised(kind[0], rate, length)
        had.extend(found)

    bounded()
    assert len(had) >= 50


@pytest.mark.parametrize(("kind", "most"), [("g", 199), (ALONE, 199), ("f", 200), ("c", 199), ("l", 100)])
def test_and_so_much_can_be_had(kind: str, most: int, scripts: Server) -> None:
    """Of a hundred a minute within a minute: what the documentation says is what a script lets through."""
    rate = Rate(100, 60 * SECOND)
    plan = [Move(0, (-1, 0), ALL), Move(1, None, ALL), *[Move(AS_TOLD, None, ALL)] * 150]
    assert busiest(attack(World(scripts, kind, rate), rate, 0, plan, START), rate.period) == most


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_limit_is_raised(algorithm: str, redis_client: redis.Redis) -> None:
    """Who has used two of two has one left of three; by GCRA none, for what was counted is a part of the burst."""
    two, three = (Throttle("mails", f"{count}/52w", algorithm=algorithm) for count in (2, 3))
    assert two.hit("ada", cost=2)
    assert three.peek("ada", cost=0).remaining == (0 if ALGORITHMS[algorithm] == "g" else 1)
