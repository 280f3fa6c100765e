"""What the tests of one-time codes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from redis_toolkit import signals
from redis_toolkit.core.clock import Frozen
from redis_toolkit.core.connections import link, reset
from redis_toolkit.testing.otp import code_clock


@pytest.fixture
def patience(settings: Any) -> None:
    """However busy the machine is, Redis is not taken to be away: for what asks it for seconds, or from many threads."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = settings.REDIS_TOOLKIT_CONNECT_TIMEOUT = 30
    reset()


@pytest.fixture
def clock() -> Iterator[Frozen]:
    """The time of codes, which stands still."""
    with code_clock() as frozen:
        yield frozen


@pytest.fixture
def heard() -> Iterator[list[tuple[Any, ...]]]:
    """What is said of codes: the signal's name, and what came with it, in the order of signals.py."""
    told: list[tuple[Any, ...]] = []
    listeners = {}
    for name in ("code_issued", "code_refused", "code_verified", "code_locked"):

        def listen(name: str = name, **said: Any) -> None:
            rest = [said[each] for each in ("resend", "reason", "ok", "seconds") if each in said]
            told.append((name, said["purpose"], *rest))

        listeners[name] = listen
        getattr(signals, name).connect(listen)
    yield told
    for name, listen in listeners.items():
        getattr(signals, name).disconnect(listen)


@pytest.fixture
def dump(redis_client: redis.Redis) -> Callable[[], bytes]:
    """All keys and all values, in one."""

    def look() -> bytes:
        found: list[Any] = []
        for key in redis_client.scan_iter("*", count=1000):
            kind = redis_client.type(key)
            if kind == b"hash":
                found += [part for pair in redis_client.hgetall(key).items() for part in pair]
            elif kind == b"zset":
                found += redis_client.zrange(key, 0, -1)
            else:
                found.append(redis_client.get(key))
            found.append(key)
        return b"\n".join(found)

    return look


def trips(ask: Callable[[], Any]) -> int:
    """How many round trips ``ask`` takes."""
    before = link().round_trips
    ask()
    return link().round_trips - before


@pytest.fixture(name="trips")
def count_trips() -> Callable[[Callable[[], Any]], int]:
    """How many round trips something takes."""
    return trips


def wrong(code: str) -> str:
    """A code of the same length that is another."""
    return "".join(str((int(each) + 1) % 10) for each in code)


@pytest.fixture(name="wrong")
def make_wrong() -> Callable[[str], str]:
    """A code of the same length that is another."""
    return wrong
