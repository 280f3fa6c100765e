"""The script for GCRA alone says and does what the script for everything says and does."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_toolkit.core.scripts import Script
from redis_toolkit.throttling import Rate
from redis_toolkit.throttling.entries import Limits

START = 1_700_000_000_000_000
SECOND = 1_000_000
SHARE = 12345


@st.composite
def limits(draw: Any) -> Limits:
    """Up to three rates, small and large, with bursts and without."""
    found = []
    periods = st.sampled_from([SECOND, 61_007_000, 86_400 * SECOND]) | st.integers(1, 366 * 86_400_000).map(
        lambda milliseconds: milliseconds * 1000
    )
    for period in draw(st.lists(periods, min_size=1, max_size=3, unique=True)):
        limit = draw(st.integers(1, 6) | st.integers(1, 1_000_000))
        found.append(Rate(limit, period, draw(st.none() | st.integers(1, limit))))
    return Limits("any", tuple(found))


PASSES = st.sampled_from([0, 1, 999, SECOND, 61_007_000]) | st.integers(0, 200 * SECOND)
STEPS = st.lists(st.tuples(PASSES, st.integers(0, 7) | st.integers(0, 10**6), st.booleans()), max_size=20)


def test_both_scripts_agree(redis_client: redis.Redis) -> None:
    """The same answers, values and lives, step by step, for hits and for looks; some allowed, some denied, some never."""
    one, all_ = (redis_client.script_load(Script(name).source) for name in ("throttle_gcra", "throttle_check"))
    seen: Counter[bool] = Counter()

    @settings(max_examples=4 * settings().max_examples)
    @given(limits(), STEPS)
    def compared(limits: Limits, steps: list[tuple[int, int, bool]]) -> None:
        assert limits.is_plain
        redis_client.flushdb()
        places = [limits.keys(name * 32) for name in "ab"]
        count, now = len(places[0]), START
        for passes, cost, charges in steps:
            now += passes
            # (With a minus a key lives longer than these steps take.)
            heads = (-now, int(charges))
            # In a transaction the clock by which keys run out stands (before Redis 7.2 it hardly goes on).
            with redis_client.pipeline(transaction=True) as calls:
                calls.evalsha(one, count, *places[0], *heads, *limits.plain_arguments(cost))
                calls.evalsha(all_, count, *places[1], *heads, SHARE, *limits.arguments(0, cost))
                for keys in places:
                    calls.mget(keys)
                for key in (*places[0], *places[1]):
                    calls.pexpiretime(key)
                plain, whole, values, twins, *ends = calls.execute()
            assert plain == whole
            assert values == twins
            assert ends[:count] == pytest.approx(ends[count:], abs=1000)
            seen.update(number == 1 for number in plain[::4])
            seen["never"] += -1 in plain[2::4]  # type: ignore[index]

    compared()
    assert min(seen[True], seen[False], seen["never"]) > 20, seen  # type: ignore[index]


def test_who_is_asked_by_which() -> None:
    """GCRA alone is plain; a ban, a shadow, punishment, another algorithm or a limit of nothing is not."""
    rate = Rate(5, SECOND)
    assert Limits("any", (rate,)).is_plain
    assert Limits("any", (rate,), "token_bucket").is_plain
    others = (
        Limits("any", (rate,), "sliding_log"), Limits("any", (rate,), punitive=True),
        Limits("any", (rate,), shadow=True), Limits("any", (rate, Rate(0, 2 * SECOND))),
    )  # fmt: skip
    assert not any(each.is_plain for each in others)
