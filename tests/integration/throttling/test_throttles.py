"""``Throttle`` on a real server: hits, several rates, refunds, bans, shadows; what is remembered, and for how long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from math import inf
from typing import Any

import pytest
import redis

from redis_toolkit.core.clock import freeze, travel
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import Throttled
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.throttling import Ban, Decision, Rate, Throttle, checking

ALGORITHMS = ("gcra", "token_bucket", "fixed_window", "sliding_counter", "sliding_log")


def trips(ask: Any) -> int:
    before = link().round_trips
    ask()
    return link().round_trips - before


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_so_often_and_no_oftener(algorithm: str, redis_client: redis.Redis) -> None:
    """Five of seven; each identity by itself; one key, which runs out by itself."""
    limit = Throttle("mails", "5/h", algorithm=algorithm)
    decisions = [limit.hit("ada") for _ in range(7)]
    assert [each.allowed for each in decisions] == [True] * 5 + [False] * 2
    assert [each.remaining for each in decisions] == [4, 3, 2, 1, 0, 0, 0]
    assert (decisions[0].limit, decisions[0].name, decisions[0].source) == (5, "mails", "redis")
    assert decisions[4].retry_after == 0
    # (Windows begin somewhere.)
    assert 0 < decisions[5].retry_after <= 7200
    assert limit.hit("bob").allowed
    keys = redis_client.keys("*")
    assert len(keys) == 2
    assert all(0 < redis_client.pttl(key) <= 7_200_000 for key in keys)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_denial_writes_nothing(algorithm: str, redis_client: redis.Redis) -> None:
    """Neither another value nor another life."""
    limit = Throttle("mails", "1/h", algorithm=algorithm)
    limit.hit("ada")
    [key] = redis_client.keys("*")
    before = redis_client.dump(key)
    checking.forget()
    assert not limit.hit("ada")
    assert redis_client.dump(key) == before


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_look_says_what_a_hit_would_say(algorithm: str, redis_client: redis.Redis) -> None:
    """A denial is remembered and what was counted deleted behind our back: a look knows what a hit will be told."""
    limit = Throttle("mails", "1/h", algorithm=algorithm)
    limit.hit("ada")
    assert not limit.hit("ada")
    redis_client.flushall()
    assert [limit.peek("ada").allowed, limit.hit("ada").allowed] == [False, False]
    with travel(2):
        assert [limit.peek("ada").allowed, limit.hit("ada").allowed] == [True, True]


def test_one_round_trip_and_none_for_who_was_denied() -> None:
    """The script is loaded by the first; a denial is remembered until it is over, for two seconds at most."""
    limit = Throttle("mails", "1/h")
    limit.hit("warm")
    assert trips(lambda: limit.hit("ada")) == 1
    assert trips(lambda: limit.hit("ada")) == 1
    found: list[Decision] = []
    assert trips(lambda: found.append(limit.hit("ada"))) == 0
    assert (found[0].allowed, found[0].source) == (False, "denied before")
    with travel(1):
        assert trips(lambda: found.append(limit.hit("ada"))) == 0
        assert found[0].retry_after - found[1].retry_after == pytest.approx(1, abs=0.5)
    with travel(2):
        assert trips(lambda: limit.hit("ada")) == 1


def test_who_asks_for_less_is_asked_about() -> None:
    """A denial of five units says nothing of one."""
    limit = Throttle("mails", "5/h")
    limit.hit("ada")
    assert not limit.hit("ada", cost=5)
    assert limit.hit("ada")


def test_several_rates_are_all_charged_or_none() -> None:
    """The denied seventh consumes nothing of the hour; one round trip for both."""
    limit = Throttle("mails", "3/s, 5/h", algorithm="sliding_log")
    assert limit.peek("ada").remaining == 3
    assert limit.hit("ada", cost=3).allowed
    assert trips(lambda: limit.hit("ada")) == 1
    checking.forget()
    decision = limit.peek("ada", cost=0)
    assert [(str(each.rate), each.remaining) for each in decision.quotas] == [("3/s", 0), ("5/h", 2)]


def test_the_denial_is_that_of_the_longest_wait() -> None:
    """Of a second and an hour that are both used up, the hour."""
    limit = Throttle("mails", "2/s, 2/h", algorithm="sliding_log")
    limit.hit("ada", cost=2)
    decision = limit.hit("ada")
    assert (decision.limit, 3500 < decision.retry_after <= 3600) == (2, True)
    assert decision.retry_after_seconds == 3600


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_cost_that_can_never_be(algorithm: str) -> None:
    """More than the limit: denied for ever, which is no time to wait."""
    decision = Throttle("mails", "5/h", algorithm=algorithm).hit("ada", cost=6)
    assert (decision.allowed, decision.retry_after, decision.retry_after_seconds) == (False, inf, None)


def test_no_limit_and_no_way() -> None:
    """None lets everything through without asking; 0 lets through nothing."""
    free = Throttle("free", None)
    assert trips(lambda: free.hit("ada")) == 0
    assert (free.hit("ada").allowed, free.hit("ada").source) == (True, "none")
    closed = Throttle("closed", "0/m").hit("ada")
    assert (closed.allowed, closed.retry_after) == (False, inf)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_refunds(algorithm: str) -> None:
    """What is given back may be used again, and never more."""
    limit = Throttle("log-in", "3/h", algorithm=algorithm)
    for _ in range(3):
        limit.hit("ada")
    assert not limit.hit("ada")
    limit.refund("ada", cost=2)
    assert [bool(limit.hit("ada")) for _ in range(3)] == [True, True, False]
    for _ in range(5):
        limit.refund("ada", cost=3)
    assert limit.peek("ada").remaining == 3


def test_reset() -> None:
    """Everything of one identity is forgotten, and nothing of another."""
    limit = Throttle("mails", "1/h, 2/d", ban=Ban(strikes=1))
    for who in ("ada", "bob"):
        limit.hit(who)
        assert not limit.hit(who)
    assert limit.peek("ada").banned
    assert (limit.reset("ada"), limit.reset("ada")) == (True, False)
    assert limit.hit("ada")
    assert not limit.hit("bob")


def test_a_limit_is_changed_and_what_was_counted_counts() -> None:
    """Two of two are used; of three one is left, of one none."""
    two, three, one = (Throttle("mails", f"{count}/h", algorithm="sliding_log") for count in (2, 3, 1))
    assert two.hit("ada", cost=2)
    assert three.peek("ada").remaining == 1
    assert (one.peek("ada").remaining, one.peek("ada").allowed) == (0, False)


def test_a_burst() -> None:
    """Of a hundred a minute two at once, then one for each six hundred milliseconds."""
    limit = Throttle("mails", "100/m burst=2")
    decisions = [limit.hit("ada") for _ in range(3)]
    assert [each.allowed for each in decisions] == [True, True, False]
    assert 0.3 < decisions[2].retry_after <= 0.6
    assert limit.limits.rates == (Rate(100, 60_000_000, 2),)


def test_punitive_hits_count_though_they_are_denied() -> None:
    """Who goes on is kept out for as long as he does."""
    for punitive in (False, True):
        limit = Throttle(f"mails {punitive}", "10/h", algorithm="gcra", punitive=punitive)
        limit.hit("ada", cost=10)
        limit.refund("ada", cost=5)
        assert not limit.hit("ada", cost=6)
        assert limit.hit("ada", cost=5).allowed is not punitive


def test_bans_double_and_are_forgotten(heard: list[dict[str, Any]]) -> None:
    """Three denials: an hour. Three more after it: two. A day after that: an hour again."""
    ban = Ban(strikes=3, within=timedelta(hours=12), length=3600, longest=7200, memory=86_400)
    limit = Throttle("log-in", "1/6m", ban=ban)
    start = 1_700_000_000_000_000
    hour = 3_600_000_000

    def hit(hours: float) -> Decision:
        asked = limit._asked(("ada",), None)
        return checking.check([asked], now=start + round(hours * hour))[0]

    assert hit(0).allowed
    first = [hit(0.01), hit(0.02), hit(0.03)]
    assert [each.banned for each in first] == [False, False, True]
    assert first[2].retry_after == 3600
    assert (hit(0.83).banned, round(hit(0.83).retry_after)) == (True, 720)
    assert hit(1.1).allowed
    again = [hit(1.11), hit(1.12), hit(1.13)]
    assert [(each.banned, each.retry_after) for each in again[2:]] == [(True, 7200)]
    # 24 hours of memory from its end at 3.13.
    assert hit(28).allowed
    assert [hit(28).banned, hit(28).banned, hit(28).retry_after] == [False, False, 3600]
    # Longer ago than the memory: the first ban again.


def test_a_shadow_hinders_nobody(heard: list[dict[str, Any]]) -> None:
    """It is denied, and told of; the other throttle is charged all the same."""
    shadow, real = Throttle("shadow", "1/h", shadow=True), Throttle("real", "5/h")
    asked = [each._asked(("ada",), None) for each in (shadow, real)]
    for left in (4, 3, 2):
        decisions = checking.check(asked)
        assert [(each.allowed, each.shadow) for each in decisions] == [(left == 4, True), (True, False)]
        assert decisions[1].remaining == left
    with shadow.guard("ada"):
        pass
    assert [(said["decision"].shadow, said["told"]) for said in heard] == [(True, "ada")]


def test_different_identities_are_all_charged_or_none() -> None:
    """An address that may and a user who may not: one round trip, and one to give back what the address was charged."""
    address, user = Throttle("address", "5/h", algorithm="sliding_log"), Throttle("user", "1/h")
    asked = [address._asked(("ip", "1.2.3.4"), None), user._asked(("user", 7), None)]
    assert all(checking.check(asked))
    found: list[Decision] = []
    assert trips(lambda: found.extend(checking.check(asked))) == 2
    assert [each.allowed for each in found] == [True, False]
    assert address.peek("ip", "1.2.3.4", cost=0).remaining == 4


def test_identities_are_told_apart_and_not_to_be_read(redis_client: redis.Redis) -> None:
    """No two are one by how they are put together; no part of one stands in Redis."""
    limit = Throttle("mails", "9/h")
    for identity in (("a", "bc"), ("ab", "c"), ("abc",), ("a:bc",), ("a/b", "c"), ("a", "b/c"), (7,), ("7",), ("+7",)):
        limit.hit(*identity)
    limit.hit("bobby@example.org" * 1000)
    keys = redis_client.keys("*")
    assert len(keys) == 10
    assert all(len(key) < 80 and b"bobby" not in key for key in keys)


def test_asynchronously() -> None:
    """The same, awaited."""
    limit = Throttle("mails", "2/h")

    async def ask() -> list[bool]:
        first = [bool(await limit.ahit("ada")) for _ in range(3)]
        await limit.arefund("ada")
        return [*first, bool(await limit.apeek("ada")), await limit.areset("ada")]

    assert asyncio.run(ask()) == [True, True, False, True, True]


def test_guard(heard: list[dict[str, Any]]) -> None:
    """A block that is not entered, and the decision in the exception."""
    limit = Throttle("mails", "1/h")
    with limit.guard("ada") as decision:
        assert decision.remaining == 0
    with pytest.raises(Throttled) as raised, limit.guard("ada"):
        pytest.fail("it was entered")
    assert raised.value.decision.retry_after > 3500
    assert [(said["told"], said["decision"].name) for said in heard] == [("ada", "mails")]


def test_switched_off(settings: Any) -> None:
    """Everything is let through, and nobody asked."""
    settings.REDIS_TOOLKIT_THROTTLE = False
    limit = Throttle("closed", "0/m")
    assert trips(lambda: limit.hit("ada")) == 0
    assert limit.hit("ada").allowed


WRONG: dict[str, tuple[Any, ...]] = {
    "A throttle has a name": ("", "1/m", {}),
    "There is no algorithm 'leaky'": ("a", "1/m", {"algorithm": "leaky"}),
    "on_outage is one of open, closed, local": ("a", "1/m", {"on_outage": "half"}),
    "A cost is a whole number": ("a", "1/m", {"cost": -1}),
    "A sliding log keeps each unit": ("a", "1001/m", {"algorithm": "sliding_log"}),
    "burst= is for gcra": ("a", "5/m burst=2", {"algorithm": "fixed_window"}),
    "is too much for sliding_counter": ("a", "1000000/52w", {"algorithm": "sliding_counter"}),
    "is no rate": ("a", "often", {}),
}


@pytest.mark.parametrize("said", WRONG)
def test_what_cannot_be(said: str) -> None:
    """It is said where it is written."""
    name, rate, words = WRONG[said]
    with pytest.raises(ValueError, match=said):
        Throttle(name, rate, **words)


@pytest.mark.parametrize("words", [{"strikes": 0}, {"within": 0}, {"length": -1}, {"length": 10, "longest": 5}])
def test_bans_that_cannot_be(words: dict[str, Any]) -> None:
    """As well."""
    with pytest.raises(ValueError, match="ban"):
        Ban(**words)


def test_nobody_is_counted() -> None:
    """Who is asked about has to be said, in text and whole numbers."""
    limit = Throttle("mails", "1/h")
    with pytest.raises(ValueError, match="Who is counted"):
        limit.hit()
    for part in (None, 1.5, True, b"ada"):
        with pytest.raises(TypeError, match="An identity is made of text"):
            limit.hit(part)  # type: ignore[arg-type]


def test_a_server_of_their_own(settings: Any, valkey: ValkeyServer, redis_client: redis.Redis) -> None:
    """Another alias, with a breaker of its own: the cache's may be away."""
    with ValkeyServer() as other, redis.Redis.from_url(other.url) as theirs:
        settings.CACHES = {**settings.CACHES, "counters": {**settings.CACHES["default"], "LOCATION": other.url}}
        settings.REDIS_TOOLKIT_THROTTLE_ALIAS = "counters"
        valkey.kill()
        limit = Throttle("mails", "1/h", on_outage="closed")
        assert [(each.allowed, each.source) for each in (limit.hit("ada"), limit.hit("ada"))] == [
            (True, "redis"), (False, "redis"),
        ]  # fmt: skip
        assert len(theirs.keys("*")) == 1
        link("counters").close()


def test_waiting(heard: list[dict[str, Any]]) -> None:
    """Twenty a second, one at once: the second waits for a twentieth, the third has not that much time."""
    limit = Throttle("jobs", "20/s burst=1")
    with freeze() as clock:
        before = clock.moment
        for _ in range(2):
            assert limit.wait("ada", timeout=10)
        assert clock.moment - before == 50_000
        with pytest.raises(Throttled):
            limit.wait("ada", timeout=0)
    assert [said["decision"].retry_after for said in heard] == [0.05]
    # And by the clock of all.
    assert [bool(Throttle("others", "20/s burst=1").wait("ada", timeout=10)) for _ in range(2)] == [True, True]
    assert Throttle("shadow", "0/m", shadow=True).wait("ada", timeout=0).shadow
