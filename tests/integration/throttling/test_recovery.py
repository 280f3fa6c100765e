"""Redis is killed or hangs, and comes back: who decides meanwhile, how often it is tried, and that all is well again."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
import redis

from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import BreakerOpen, StoreUnavailable
from redis_toolkit.signals import breaker_changed, throttle_failed
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.throttling import Concurrency, Decision, Throttle
from tests.integration.throttling.visitors import listening_at

#: How a server goes, how it comes back, and how many requests find out: three are refused, or one waits for its time-out.
OUTAGES: dict[str, tuple[Callable[[ValkeyServer], None], Callable[[ValkeyServer], None], int]] = {
    "killed": (ValkeyServer.kill, ValkeyServer.start, 3),
    "hung": (ValkeyServer.pause, ValkeyServer.resume, 1),
}
#: Of a thousand hits on "1000/d" while Redis is away: how many are allowed. ("local" lets a quarter of the limit through.)
ALLOWED = {"open": 1000, "closed": 0, "local": 250}


@pytest.fixture
def errors() -> Iterator[list[StoreUnavailable]]:
    """Why decisions were made without Redis."""
    told: list[StoreUnavailable] = []

    def listen(error: StoreUnavailable, **_: Any) -> None:
        told.append(error)

    throttle_failed.connect(listen)
    yield told
    throttle_failed.disconnect(listen)


@pytest.fixture
def trusted() -> Iterator[Event]:
    """Set when a breaker closes."""
    event = Event()

    def listen(state: str, **_: Any) -> None:
        if state == "closed":
            event.set()

    breaker_changed.connect(listen)
    yield event
    breaker_changed.disconnect(listen)


@pytest.mark.parametrize("how", OUTAGES)
@pytest.mark.parametrize("policy", ALLOWED)
def test_after_the_first_failures_nobody_asks(
    policy: str, how: str, valkey: ValkeyServer, redis_client: redis.Redis, errors: list[Any], settings: Any
) -> None:
    """Of a thousand hits the first three, or the first one, try Redis; the rest send nothing and open no connection."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 3600
    go, _, finding_out = OUTAGES[how]
    limit = Throttle("mails", "1000/d", on_outage=policy)
    assert limit.hit("warm").source == "redis"
    go(valkey)
    decisions = [limit.hit("ada") for _ in range(finding_out)]
    assert [isinstance(error, BreakerOpen) for error in errors] == [False] * finding_out
    assert link().breaker.is_open
    before = link().total_round_trips
    with listening_at(valkey) as visitors:
        decisions += [limit.hit("ada") for _ in range(1000 - finding_out)]
        assert visitors() == 0
    assert link().total_round_trips == before
    assert [type(error) for error in errors[finding_out:]] == [BreakerOpen] * (1000 - finding_out)
    assert sum(decision.allowed for decision in decisions) == ALLOWED[policy]
    assert {decision.source for decision in decisions} == {policy}


def test_visitors_are_counted(valkey: ValkeyServer) -> None:
    """What the test above counts by: three connections are three."""
    valkey.kill()
    with listening_at(valkey) as visitors:
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as visitor:
                visitor.connect(str(valkey.socket_path))
        assert [visitors(), visitors()] == [3, 0]


@pytest.mark.parametrize("how", OUTAGES)
@pytest.mark.parametrize("policy", ALLOWED)
def test_it_is_well_again_by_itself(policy: str, how: str, valkey: ValkeyServer, trusted: Event, settings: Any) -> None:
    """In the same process, by the same throttle, twice; who only hung knows what was counted, what was killed does not."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 0.01
    go, come_back, finding_out = OUTAGES[how]
    limit = Throttle("mails", "1000/d", on_outage=policy, algorithm="sliding_log")
    for outage in (1, 2):
        assert limit.hit("ada", cost=100).source == "redis"
        go(valkey)
        trusted.clear()
        assert {limit.hit("ada").source for _ in range(finding_out + 10)} == {policy}
        come_back(valkey)
        assert trusted.wait(30)
        decision = limit.hit("ada")
        # (The hit whose answer did not come was counted, when it went on.)
        known = 102 * outage if how == "hung" else 1
        assert (decision.source, decision.remaining) == ("redis", 1000 - known)


@pytest.mark.parametrize("how", OUTAGES)
def test_all_threads_are_well_again(how: str, valkey: ValkeyServer, trusted: Event, settings: Any) -> None:
    """Eight threads with a connection each: meanwhile all decide by "open", afterwards all by Redis, each hit once."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 0.01
    go, come_back, finding_out = OUTAGES[how]
    limit = Throttle("mails", "1000/d", on_outage="open")
    gate = Barrier(9, timeout=60)

    def work(_: int) -> list[str]:
        found = [limit.hit("ada").source]
        gate.wait()  # they have been there
        gate.wait()  # it is away
        found += [limit.hit("ada").source for _ in range(finding_out + 1)]
        gate.wait()  # they know it
        gate.wait()  # it is back
        found.append(limit.hit("bob").source)
        link().close()
        return found

    with ThreadPoolExecutor(8) as pool:
        crowd = pool.map(work, range(8))
        gate.wait()
        go(valkey)
        gate.wait()
        gate.wait()
        trusted.clear()
        come_back(valkey)
        assert trusted.wait(30)
        gate.wait()
        assert list(crowd) == [["redis", *["open"] * (finding_out + 1), "redis"]] * 8
    assert limit.peek("bob", cost=0).remaining == 1000 - 8


@pytest.mark.parametrize("how", OUTAGES)
@pytest.mark.parametrize("policy", ["open", "closed"])
def test_places_are_well_again(policy: str, how: str, valkey: ValkeyServer, trusted: Event, settings: Any) -> None:
    """Places, too: meanwhile everybody has one or nobody; afterwards so many and no more."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 0.01
    go, come_back, finding_out = OUTAGES[how]
    jobs = Concurrency("jobs", 2, on_outage=policy)
    held = jobs.take("ada")
    go(valkey)
    meanwhile: list[Decision] = [jobs.take("bob").decision for _ in range(finding_out + 10)]
    assert {(decision.allowed, decision.source) for decision in meanwhile} == {(policy == "open", policy)}
    jobs.give_back(held)
    trusted.clear()
    come_back(valkey)
    assert trusted.wait(30)
    assert [bool(jobs.take("cid")) for _ in range(3)] == [True, True, False]
