"""Defects of others (D2 to D25) that are nearly right at first sight: a second look at each, from another side."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import Script
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.throttling import Throttle, checking, throttle
from redis_toolkit.throttling.algorithms import ALGORITHMS
from redis_toolkit.throttling.rates import rates
from redis_toolkit.throttling.rules import declared
from tests.integration.throttling.visitors import listening_at

make = RequestFactory()
ALL = sorted(ALGORITHMS)
#: What is kept: so many numbers in a string, or a sorted set.
SHAPES = {"gcra": 1, "token_bucket": 1, "fixed_window": 2, "sliding_counter": 3, "sliding_log": "zset"}


def shape(client: redis.Redis) -> Any:
    """Of the only key there is."""
    [key] = client.keys("*")
    return "zset" if client.type(key) == b"zset" else len((client.get(key) or b"").split())


def one(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def another(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@pytest.mark.parametrize("algorithm", sorted(set(ALL) - {"sliding_log"}))
def test_d2_three_hundred_hits_are_one_short_string(algorithm: str, redis_client: redis.Redis) -> None:
    """As short as after the first, but for the digits of a count; and as many numbers."""
    limit = Throttle("size", "1000/d", algorithm=algorithm)
    limit.hit("ada")
    [key] = redis_client.keys("*")
    first = redis_client.strlen(key)
    for _ in range(299):
        assert limit.hit("ada")
    assert redis_client.keys("*") == [key]
    assert first <= redis_client.strlen(key) <= first + len("300") - len("1")
    assert shape(redis_client) == SHAPES[algorithm]


@pytest.mark.parametrize(
    ("written", "other"),
    [
        (["203.0.113.5", "203.0.113.5:1000", "203.0.113.5:1001"], "203.0.113.6:1000"),
        (["2001:db8::1", "[2001:db8::2]", "[2001:db8::3]:1000", "[2001:db8::3]:1001"], "[2001:db8:0:1::1]:1000"),
    ],
)
@pytest.mark.parametrize("told", ["the peer", "a proxy"])
def test_d4_a_client_is_one_by_any_port_and_not_its_proxy(
    written: list[str], other: str, told: str, settings: Any
) -> None:
    """All its spellings are one; another client, through the same proxy, is another, and so is the proxy itself."""
    settings.REDIS_TOOLKIT_TRUSTED_PROXIES = ["10.0.0.0/8"]
    guarded = throttle("1/d", key="ip", name="ports")(one)

    def ask(address: str) -> int:
        if told == "the peer":
            return guarded(make.get("/", REMOTE_ADDR=address)).status_code
        return guarded(make.get("/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": address})).status_code

    assert [ask(address) for address in written] == [200] + [429] * (len(written) - 1)
    assert [ask(other), ask(other)] == [200, 429]
    assert guarded(make.get("/", REMOTE_ADDR="10.0.0.1")).status_code == 200


@pytest.mark.parametrize(
    "text", ["5/m!", "5/m 10", "5/10m5", "x5/m", "5/w week", "5/m burst=2x", "5//m", "5/m/h", "5/m,"]
)
def test_d6_the_whole_text_is_a_rate(text: str) -> None:
    """Nothing before it, nothing behind it."""
    with pytest.raises(ValueError, match=r"is no rate|has no unit"):
        rates(text)


@pytest.mark.parametrize("algorithm", ALL)
def test_d10_awaited_hits_leave_the_life_of_a_key_alone(algorithm: str, redis_client: redis.Redis) -> None:
    """Not that of the cache, 300 seconds: it lives until nothing is remembered, also after refunds and looks."""
    limit = Throttle("awaited", "1000/52w", algorithm=algorithm)

    async def use() -> None:
        await asyncio.gather(*(limit.ahit("ada") for _ in range(20)))
        await limit.apeek("ada")
        await limit.arefund("ada")

    asyncio.run(use())
    [key] = redis_client.keys("*")
    assert redis_client.pttl(key) == pytest.approx(limit.peek("ada").reset_after * 1000, abs=60_000)


@pytest.mark.parametrize("algorithm", ALL)
def test_d13_every_door_has_the_algorithm_it_was_given(algorithm: str, redis_client: redis.Redis) -> None:
    """A throttle, a view and a rule of the settings: by what is kept. DRF's classes: test_drf.py."""
    request = make.get("/")
    doors = {
        "throttle": lambda: Throttle("name", "9/52w", algorithm=algorithm).hit("ada"),
        "view": lambda: throttle("9/52w", key="ip", algorithm=algorithm)(one)(request),
        "settings": lambda: checking.check(
            [
                declared({"site": {"rate": "9/52w", "key": "ip", "algorithm": algorithm}})["site"]
                .rule.case(request, None)
                .asked
            ]
        ),
    }
    for door in doors.values():
        redis_client.flushdb()
        door()
        assert shape(redis_client) == SHAPES[algorithm]


def test_d14_two_views_do_not_count_together_by_themselves() -> None:
    """Without a name that somebody gave them: of one module, with the same key, at the same rate."""
    doors = [throttle("1/d", key="ip")(view) for view in (one, another)]
    assert [door(make.get("/")).status_code for door in doors * 2] == [200, 200, 429, 429]


@pytest.mark.parametrize("algorithm", [*ALL, "gcra alone"])
@pytest.mark.parametrize("rate", ["10/s", "4/s", "1/s"])
def test_d17_of_fifty_at_one_moment_as_many_as_the_limit(algorithm: str, rate: str, redis_client: redis.Redis) -> None:
    """However short the period, by either script: in a transaction, in which no key can run out."""
    limit = Throttle("short", rate, algorithm=algorithm.split(maxsplit=1)[0]).limits
    script, words = Script("throttle_check").source, [0, *limit.arguments(0, 1)]
    if algorithm == "gcra alone":
        script, words = Script("throttle_gcra").source, [*limit.plain_arguments(1)]
    with redis_client.pipeline(transaction=True) as steps:
        for _ in range(50):
            steps.eval(script, 1, *limit.keys("0" * 32), 1_700_000_000_000_000, 1, *words)
        answers = steps.execute()
    assert sum(answer[0] for answer in answers) == limit.rates[0].limit


IDENTITIES = [
    (name, *parts)
    for name in ("a", "a:b", "a b", "a/b", "a:g86400000", "{a}")
    for parts in (
        ("b",),
        ("b:c",),
        ("b", "c"),
        ("b/c",),
        ("bc",),
        ("", "b"),
        ("b", ""),
        ("}b",),
        (1,),
        ("1",),
        (11, 1),
        (1, 11),
    )
]


def test_d22_d23_names_and_identities_are_not_run_together(redis_client: redis.Redis) -> None:
    """Of 72 throttles with identities, each of which may be used once, every one is."""
    assert all(Throttle(str(name), "1/d").hit(*parts) for name, *parts in IDENTITIES)
    assert len(redis_client.keys("*")) == len(IDENTITIES) == 72


def test_d25_a_hit_comes_to_the_server_once(valkey: ValkeyServer) -> None:
    """Nobody answers: one hit is one connection, and the next one none."""
    limit = Throttle("mails", "9/d", on_outage="closed")
    assert limit.hit("ada")
    link().close()
    with listening_at(valkey) as visitors:
        assert [limit.hit("ada").source, visitors()] == ["closed", 1]
        assert [limit.hit("ada").source, visitors()] == ["closed", 0]
