"""Servers are looked at once a minute, by one of all processes; what they count is told as differences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from redis_toolkit.core.clock import travel
from redis_toolkit.stats import MONTH, Figures, buckets, summed
from redis_toolkit.stats.sampling import aliases
from redis_toolkit.stats.telling import Teller, flush, gathered, teller
from redis_toolkit.testing import ValkeyServer
from tests import servers

pytestmark = pytest.mark.usefixtures("early")


@pytest.fixture
def watched(settings: Any, counting: None) -> Iterator[ValkeyServer]:
    """A server of the throttles' own, that may be started again."""
    with ExitStack() as stack:
        server = stack.enter_context(servers.new_valkey())
        settings.CACHES = {
            **settings.CACHES,
            "throttles": {**settings.CACHES["default"], "LOCATION": server.url},
            "same": {**settings.CACHES["default"]},
        }
        settings.REDIS_TOOLKIT_THROTTLE_ALIAS = "throttles"
        settings.REDIS_TOOLKIT_DURABLE_ALIAS = "same"
        yield server


def let_expire(server: ValkeyServer, count: int) -> None:
    """So many keys run out."""
    with redis.Redis.from_url(server.url) as client:
        for at in range(count):
            client.set(f"k{at}", "1", px=1)
            while client.get(f"k{at}") is not None:
                pass


def look(minute: int) -> None:
    """Look at the servers, so many minutes from now, and tell what was seen."""
    with travel(60 * minute):
        teller._sample()
        flush()


def seen() -> Figures:
    with travel(60 * 10):
        return summed(buckets(MONTH))


def test_each_server_once(watched: ValkeyServer) -> None:
    """Two aliases of one server are one."""
    assert aliases() == ["default", "throttles"]
    look(0)
    found = seen()
    assert found.subjects("server") == ["default", "throttles"]
    assert found.details("server") == ["clients", "evicted", "expired", "memory", "ops"]
    assert {found.count("server", alias, "memory") for alias in aliases()} == {1}
    assert all(found.total("server", alias, "memory") > 500_000 for alias in aliases())
    assert found.total("server", "throttles", "clients") >= 1


def test_differences_that_survive_a_restart(watched: ValkeyServer) -> None:
    """What was before the first look is not told; then what is new, also of a server that counts from 0 again."""
    let_expire(watched, 5)
    look(0)
    assert seen().total("server", "throttles", "expired") == 0
    let_expire(watched, 2)
    look(1)
    assert seen().total("server", "throttles", "expired") == 2
    watched.restart()
    let_expire(watched, 4)
    look(2)
    look(3)
    assert (seen().total("server", "throttles", "expired"), seen().count("server", "throttles", "expired")) == (6, 4)
    with redis.Redis.from_url(watched.url) as client:
        client.config_resetstat()
    let_expire(watched, 1)
    look(4)
    assert seen().total("server", "throttles", "expired") == 7


def test_one_of_all_processes_looks(watched: ValkeyServer) -> None:
    """Two look in one minute, and again in the next: two looks, and what one has seen the other goes on from."""
    other = Teller()
    gathered.forget()
    let_expire(watched, 1)
    look(0)
    other._sample()
    let_expire(watched, 3)
    with travel(60):
        other._sample()
        teller._sample()
        flush()
    found = seen()
    assert (found.count("server", "throttles", "expired"), found.total("server", "throttles", "expired")) == (2, 3)


def test_what_is_evicted(valkey: ValkeyServer, counting: None, redis_client: Any) -> None:
    """A server that is full drops keys: as many as it says."""
    look(0)
    room = redis_client.info("memory")["used_memory"] + 300_000
    # Those that would run out first go first, so that ours stay.
    redis_client.config_set("maxmemory-policy", "volatile-ttl")
    redis_client.config_set("maxmemory-samples", 64)
    redis_client.config_set("maxmemory", room)
    for at in range(100):
        redis_client.set(f"k{at}", b"x" * 10_000, ex=10)
    redis_client.config_set("maxmemory", 0)
    evicted = redis_client.info("stats")["evicted_keys"]
    look(1)
    found = seen()
    assert 0 < found.total("server", "default", "evicted") == evicted


def test_a_server_that_is_away(watched: ValkeyServer, settings: Any) -> None:
    """Of it nothing is told, of the others everything."""
    watched.kill()
    look(0)
    assert seen().subjects("server") == ["default"]


def test_what_stands_there_of_another(watched: ValkeyServer, redis_client: Any) -> None:
    """What was seen and cannot be read counts as nothing seen."""
    for at, odd in enumerate((b"\xff", b"[", b"[1]", b'{"run": 5, "expired": "many"}')):
        redis_client.hset("rt:n:{stats}:servers", "throttles", odd)
        look(at)
    assert seen().count("server", "throttles", "expired") == 4
