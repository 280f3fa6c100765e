"""What was found wrong with others' throttles, one by one (D1 to D25), is not so here."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from redis_toolkit.core.clock import freeze, travel
from redis_toolkit.core.connections import link
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.throttling import Throttle, checking, throttle
from redis_toolkit.throttling.algorithms import ALGORITHMS
from redis_toolkit.throttling.identities import digest
from redis_toolkit.throttling.rates import rates

make = RequestFactory()
ALL = sorted(ALGORITHMS)


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def statuses(rate: str, *requests: HttpRequest, **words: Any) -> list[int]:
    """What a view by address answers to these."""
    guarded = throttle(rate, key="ip", name="by address", **words)(view)
    return [guarded(request).status_code for request in requests]


def forwarded(header: str, peer: str = "10.0.0.1") -> HttpRequest:
    return make.get("/", REMOTE_ADDR=peer, headers={"X-Forwarded-For": header})


def in_threads(threads: int, hits: int, hit: Any) -> Counter[Any]:
    """How often ``hit(thread)`` gave what, ``hits`` times in each of so many threads that begin at once."""
    gate = Barrier(threads)

    def work(number: int) -> list[Any]:
        gate.wait()
        found = [hit(number) for _ in range(hits)]
        link().close()
        return found

    with ThreadPoolExecutor(threads) as pool:
        return Counter(each for found in pool.map(work, range(threads)) for each in found)


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("algorithm", ALL)
def test_d1_no_race_lets_more_through(algorithm: str) -> None:
    """Eight threads, 800 hits, a limit of 100: 100. Of processes see tests/concurrency/test_throttles.py."""
    limit = Throttle("race", "100/d", algorithm=algorithm)
    assert in_threads(8, 100, lambda _: limit.hit("ada").allowed)[True] == 100


@pytest.mark.parametrize("algorithm", ["gcra", "fixed_window", "sliding_counter"])
def test_d2_what_is_kept_does_not_grow_with_what_is_counted(algorithm: str, redis_client: Any) -> None:
    """One string of under 60 bytes, after one hit and after a thousand."""
    limit = Throttle("size", "100000/d", algorithm=algorithm)
    for cost in (1, 999):
        limit.hit("ada", cost=cost)
        [key] = redis_client.keys("*")
        assert redis_client.strlen(key) < 60


def test_d3_the_text_of_a_header_is_no_identity(redis_client: Any) -> None:
    """A new header each time, of up to 6 KB, is the same client; its key is short."""
    requests = [forwarded(f"{at}.1.1.1" * (1 + at * 100), peer="203.0.113.5") for at in range(6)]
    assert statuses("2/h", *requests) == [200, 200, 429, 429, 429, 429]
    assert [len(key) < 80 for key in redis_client.keys("*")] == [True]


def test_d4_ports_are_stripped_and_ipv6_is_grouped(settings: Any) -> None:
    """Two connections of one client are one; so are all addresses of a /64."""
    settings.REDIS_TOOLKIT_TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert statuses("1/h", forwarded("203.0.113.5:1000"), forwarded("203.0.113.5:1001")) == [200, 429]
    assert statuses("1/h", forwarded("2001:db8::1"), forwarded("[2001:db8::2]:99")) == [200, 429]


@pytest.mark.parametrize("text", ["5/month", "5/millisecond", "5/hello"])
def test_d5_a_period_is_read_to_its_end(text: str) -> None:
    """Not by its first letter."""
    with pytest.raises(ValueError, match="no unit of ours"):
        rates(text)
    assert rates("5/10m")[0].seconds == 600


def test_d6_a_week_is_a_week() -> None:
    """And a rate without a unit is none."""
    assert rates("5/w")[0].seconds == 7 * 86_400
    with pytest.raises(ValueError, match="is no rate"):
        rates("5")


def test_d7_ipv4_in_ipv6s_clothes_are_many_clients() -> None:
    """Not one ``::/64``."""
    requests = [make.get("/", REMOTE_ADDR=f"::ffff:{address}") for address in ("1.2.3.4", "9.9.9.9", "1.2.3.4")]
    assert statuses("1/h", *requests) == [200, 200, 429]


@pytest.mark.parametrize("peer", ["1.2.3.4:5678", "[2001:db8::1]:80", "unknown", "", "\udcff", "%", "1" * 10_000])
def test_d8_no_address_is_an_error(peer: str) -> None:
    """It is counted."""
    assert statuses("1/h", *[make.get("/", REMOTE_ADDR=peer)] * 2) == [200, 429]


def test_d9_open_means_open(valkey: ValkeyServer) -> None:
    """No exception of Redis's gets out."""
    valkey.kill()
    assert statuses("1/h", *[make.get("/")] * 5, on_outage="open") == [200] * 5


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("algorithm", ALL)
def test_d10_awaited_hits_are_as_exact(algorithm: str) -> None:
    """Two hundred at once, a limit of a hundred: a hundred; and the life of a key is the script's."""
    limit = Throttle("awaited", "100/d", algorithm=algorithm)

    async def crowd() -> int:
        return sum(decision.allowed for decision in await asyncio.gather(*(limit.ahit("ada") for _ in range(200))))

    assert asyncio.run(crowd()) == 100


@pytest.mark.usefixtures("patience")
def test_d11_one_object_serves_many_at_once() -> None:
    """Eight users, each with a limit of fifty, at one object: fifty of a hundred for each."""
    limit = Throttle("shared", "50/d")
    found = in_threads(8, 100, lambda number: (number, limit.hit(number).allowed))
    assert found == {(number, allowed): 50 for number in range(8) for allowed in (True, False)}


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("algorithm", ALL)
def test_d12_what_is_denied_is_not_kept(algorithm: str, redis_client: Any) -> None:
    """A flood of a thousand against a limit of ten leaves what ten have left."""
    limit = Throttle("flood", "10/d", algorithm=algorithm)
    limit.hit("ada", cost=10)
    [key] = redis_client.keys("*")
    before = redis_client.memory_usage(key)
    for _ in range(1000):
        checking.forget()
        assert not limit.hit("ada")
    assert (redis_client.memory_usage(key), len(redis_client.keys("*"))) == (before, 1)


def test_d13_the_algorithm_is_the_one_that_is_asked_for(redis_client: Any) -> None:
    """By the type of what is kept."""
    for algorithm in ("fixed_window", "sliding_log"):
        Throttle(algorithm, "10/d", algorithm=algorithm).hit("ada")
    kinds = {key.split(b":")[-2]: redis_client.type(key) for key in redis_client.keys("*")}
    assert kinds == {b"fixed_window": b"string", b"sliding_log": b"zset"}


def test_d14_two_views_do_not_count_together() -> None:
    """Unless they have one name."""
    one, two = (throttle("1/h", key="ip", name=name)(view) for name in ("one", "two"))
    assert [each(make.get("/")).status_code for each in (one, two, one, two)] == [200, 200, 429, 429]


def test_d15_the_left_of_a_header_is_the_clients_own_writing(settings: Any) -> None:
    """Behind a proxy that appends, what the client wrote is passed over."""
    settings.REDIS_TOOLKIT_TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert statuses("1/h", *(forwarded(f"{at}.1.1.1, 203.0.113.5") for at in (1, 2))) == [200, 429]


def test_d16_a_cost_is_one_call() -> None:
    """Twenty units in one round trip."""
    limit = Throttle("cost", "100/d", algorithm="sliding_log")
    limit.hit("warm")
    before = link().round_trips
    assert limit.hit("ada", cost=20).remaining == 80
    assert link().round_trips - before == 1


@pytest.mark.parametrize("rate", ["10/s burst=1", "10/s burst=4"])
def test_d17_short_bursts_are_limited(rate: str) -> None:
    """Of fifty at one moment as many as the burst; however long they take, for keys live on where time stands still."""
    limit = Throttle("short", rate)
    with freeze():
        allowed = sum(limit.hit("ada").allowed for _ in range(50))
    assert allowed == limit.limits.rates[0].burst


@pytest.mark.parametrize("algorithm", ALL)
@pytest.mark.parametrize("defect", ["d18", "d19", "d20"])
def test_d18_d19_d20_every_key_runs_out(defect: str, algorithm: str, redis_client: Any) -> None:
    """Seen once (D18), after each step (D19), after SCRIPT FLUSH (D20): nothing is without a life."""
    limit = Throttle("life", "3/d, 9/w", algorithm=algorithm)
    for _ in range({"d18": 1, "d19": 5, "d20": 2}[defect]):
        limit.hit("ada")
        if defect == "d20":
            redis_client.script_flush()
        keys = redis_client.keys("*")
        assert len(keys) == 2
        assert all(redis_client.pttl(key) > 0 for key in keys)


@pytest.mark.parametrize("algorithm", ALL)
def test_d21_the_clock_is_the_servers(algorithm: str) -> None:
    """A host that is a day ahead neither lets more through nor keeps others out."""
    limit = Throttle("clock", "2/h", algorithm=algorithm)
    assert limit.hit("ada")
    with travel(86_400):
        assert limit.hit("ada")
        assert not limit.hit("ada")
        checking.forget()
    assert not limit.hit("ada")


@pytest.mark.parametrize(
    ("one", "other"), [(("a/b", "c"), ("a", "b/c")), (("bob", "11.2.3.4"), ("bob1", "1.2.3.4")), (("a", ""), ("a",))]
)
def test_d22_d23_parts_are_not_run_together(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Each with its length."""
    assert digest(one) != digest(other)


def test_d24_the_peer_is_what_is_trusted(settings: Any) -> None:
    """A client that connects itself, and names a proxy of ours in its header, is who it is."""
    settings.REDIS_TOOLKIT_TRUSTED_PROXIES = ["10.0.0.0/8"]
    requests = [forwarded(f"8.8.8.{at}, 10.0.0.1", peer="203.0.113.5") for at in (1, 2)]
    assert statuses("1/h", *requests) == [200, 429]


def test_d25_nothing_is_tried_again_behind_our_back(settings: Any) -> None:
    """No retries, and time-outs of ours."""
    settings.REDIS_TOOLKIT_CONNECT_TIMEOUT, settings.REDIS_TOOLKIT_READ_TIMEOUT = 0.25, 0.5
    connection = link()._connection()
    assert connection.retry._retries == 0
    assert (connection.socket_connect_timeout, connection.socket_timeout) == (0.25, 0.5)


@pytest.mark.usefixtures("patience")
def test_a_flood_of_made_up_clients(redis_client: Any, settings: Any) -> None:
    """Twenty thousand addresses of one /48, forged headers and 10 KB of nonsense: a key for each /64, and no error.

    With a rate of a thousand a day a key lives for 87 seconds, so a million requests, at a thousand a second, of one
    /64 each leave 87,000 keys at most.
    """
    guarded = throttle("1000/d", key="ip", name="flood")(view)
    for at in range(20_000):
        address = f"2001:db8:0:{at % 16:x}:{at:x}::1"
        request = make.get("/", REMOTE_ADDR=address)
        request.META["HTTP_X_FORWARDED_FOR"] = f"{at}, " + "x" * (10_000 if at % 100 == 0 else 10)
        assert guarded(request).status_code in {200, 429}
    keys = redis_client.keys("*")
    assert len(keys) == 16
    assert all(len(key) < 80 for key in keys)
    one = Throttle("flood", "1000/d")
    one.hit("somebody new")
    [new] = set(redis_client.keys("*")) - set(keys)
    assert 0 < redis_client.pttl(new) <= 86_400
