"""What the kit has for tests of throttles: a clock that stands still, and a switch."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from redis_toolkit.conf import settings
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import Throttled
from redis_toolkit.testing.cache import isolated_cache
from redis_toolkit.testing.fixtures import throttle_clock, throttles_off  # noqa: F401 - fixtures
from redis_toolkit.testing.throttling import throttle_clock as clock_of_throttles
from redis_toolkit.testing.throttling import throttles_off as no_throttles
from redis_toolkit.throttling import Ban, Concurrency, Throttle

ALGORITHMS = ["gcra", "fixed_window", "sliding_counter", "sliding_log"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_time_stands_still_until_it_is_moved(redis_client: Any, algorithm: str) -> None:
    """A rate that real time would give back ten thousand times over does not come back; what is said comes true."""
    throttle = Throttle("fast", "3/s", algorithm=algorithm)
    with clock_of_throttles() as clock:
        assert [bool(throttle.hit("ada")) for _ in range(5)] == [True, True, True, False, False]
        # The keys live for longer than the second after which they would be forgotten otherwise.
        assert all(redis_client.pttl(key) > 30_000 for key in redis_client.keys("*"))
        denied = throttle.hit("ada")
        assert denied.source == "redis"
        # (To the microsecond: of a window that was met near its end less than a millisecond may be left.)
        clock.move(denied.retry_after - 0.000_001)
        assert not throttle.hit("ada")
        clock.move(timedelta(microseconds=1))
        assert throttle.hit("ada")


def test_what_is_given_back_and_taken_while_time_stands_still() -> None:
    """Refunds, leases and bans go by the same clock."""
    with clock_of_throttles() as clock:
        throttle = Throttle("mails", "1/s")
        assert throttle.hit("ada")
        throttle.refund("ada")
        assert throttle.hit("ada")
        jobs = Concurrency("jobs", 1, lease=5)
        assert jobs.take("ada")
        assert not jobs.take("ada")
        clock.move(5)
        assert jobs.take("ada")
        doors = Throttle("doors", "9/s", ban=Ban(strikes=1, length=60))
        doors.ban("ada")
        assert doors.hit("ada").banned
        clock.move(59.999)
        assert doors.hit("ada").banned
        clock.move(0.001)
        assert doors.hit("ada")


def test_waiting_moves_the_clock() -> None:
    """Nobody sleeps for the hour that it would take; more than one is willing to wait is refused as ever."""
    throttle = Throttle("reports", "1/h")
    with clock_of_throttles():
        assert throttle.wait("ada", timeout=3601)
        assert throttle.wait("ada", timeout=3601)
        with pytest.raises(Throttled):
            throttle.wait("ada", timeout=3599)


def test_time_does_not_go_back() -> None:
    """A clock that is moved backwards is refused."""
    with clock_of_throttles() as clock, pytest.raises(ValueError, match="forward"):
        clock.move(-1)


def test_everything_is_let_through() -> None:
    """No throttle counts, no Redis is asked; afterwards it is as before."""
    throttle, jobs = Throttle("none", "1/h"), Concurrency("jobs", 1)
    assert throttle.hit("ada")
    asked = link(settings.THROTTLE_ALIAS).total_round_trips
    with no_throttles():
        assert [throttle.hit("ada").source for _ in range(3)] == ["none"] * 3
        assert asyncio.run(throttle.ahit("ada"))
        assert all(jobs.take("ada") for _ in range(3))
    assert link(settings.THROTTLE_ALIAS).total_round_trips == asked
    assert not throttle.hit("ada")


def test_a_keyspace_knows_no_denial_of_another() -> None:
    """Who was denied in one test begins anew in the next, in this process's memory as well."""
    throttle = Throttle("once", "1/h")
    for _ in range(2):
        with isolated_cache():
            assert [throttle.hit("ada").source for _ in range(3)] == ["redis", "redis", "denied before"]


def test_the_fixtures(throttle_clock: Any, throttles_off: None) -> None:  # noqa: F811 - fixtures of these names
    """The same as fixtures of pytest."""
    throttle = Throttle("fixed", "1/h")
    assert [throttle.hit("ada").source for _ in range(2)] == ["none", "none"]
    throttle_clock.move(1)
