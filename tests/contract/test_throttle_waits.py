"""What is said comes true where it once did not: waits of bans and of the punished, time that stands still, windows."""

from __future__ import annotations

from datetime import timedelta
from math import floor

import pytest
import redis

from redis_toolkit.testing.throttling import throttle_clock
from redis_toolkit.throttling import Ban, Decision, Rate, Throttle, banning, checking
from redis_toolkit.throttling.algorithms import check
from tests.contract.throttle_worlds import START, Entry, Server

SECOND = 1_000_000


def ask(limit: Throttle, now: int, cost: int = 1, *, charges: bool = True, who: str = "ada") -> Decision:
    return checking.check([limit._asked((who,), cost)], now=now, charges=charges)[0]


def test_f1_who_waits_until_a_ban_ends_is_let_in(redis_client: redis.Redis) -> None:
    """The wait of a ban is that of the rate, where the rate denies for longer."""
    limit = Throttle("log-in", "1/d", ban=Ban(strikes=3, within=600, length=900))
    decisions = [ask(limit, START) for _ in range(4)]
    assert decisions[3].banned
    assert ask(limit, START + round(decisions[3].retry_after * SECOND), charges=False).allowed


@pytest.mark.parametrize(
    ("algorithm", "rate", "hits", "cost"),
    [
        ("gcra", "10/h", [(0, 5)], 6),
        ("sliding_log", "3/m", [(0, 1), (10, 1), (20, 1)], 1),
        ("sliding_counter", "10/h", [(0, 5)], 6),
    ],
)
def test_f2_who_is_punished_is_told_the_wait_after_the_punishment(
    algorithm: str, rate: str, hits: list[tuple[int, int]], cost: int, redis_client: redis.Redis
) -> None:
    """Who then waits as told is let in."""
    limit = Throttle("punitive", rate, algorithm=algorithm, punitive=True)
    for seconds, units in hits:
        assert ask(limit, START + seconds * SECOND, units)
    now = START + 30 * SECOND
    decision = ask(limit, now, cost)
    assert not decision
    assert ask(limit, now + round(decision.retry_after * SECOND), cost, charges=False).allowed


def test_f3_when_time_stands_still_a_refund_gives_back_one(redis_client: redis.Redis) -> None:
    """Of the sliding log: members of one moment are not told apart once the newest, by its text, is gone."""
    limit = Throttle("still", "10/h", algorithm="sliding_log")
    with throttle_clock():
        assert all(limit.hit("ada") for _ in range(10))
        limit.refund("ada")
        assert [bool(limit.hit("ada")) for _ in range(3)] == [True, False, False]


def test_f4_a_period_with_a_fraction_of_a_millisecond_is_refused() -> None:
    """Windows are counted in milliseconds, and keys name them."""
    with pytest.raises(ValueError, match="whole milliseconds"):
        Throttle("odd", (10, timedelta(microseconds=1_333_333)))


def test_f6_windows_begin_where_the_algorithm_in_python_says(redis_client: redis.Redis) -> None:
    """Of a year, at a share of which the place is no number of a double."""
    scripts, rate, share = Server(redis_client), Rate(5, 366 * 86_400 * SECOND), 2_283_636_243
    assert floor(rate.period * (share / 2**32)) != rate.period * share >> 32
    verdict = check("f", rate, None, START, 1, share)
    answer = scripts.check(START, share, [Entry("f", rate=rate)])
    assert answer == [1, verdict.remain, verdict.retry, verdict.reset]


def test_a_ban_is_listed_for_its_own_length(redis_client: redis.Redis) -> None:
    """Not for what the rate has to be waited for after it."""
    limit = Throttle("log-in", "1/d", ban=Ban(strikes=1, length=900))
    limit.hit("ada")
    assert limit.hit("ada").retry_after > 80_000
    [ban] = banning.listed()
    assert round(ban.seconds) in range(890, 901)
