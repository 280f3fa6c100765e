"""So many at work at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from redis_toolkit.exceptions import Throttled
from redis_toolkit.throttling import Concurrency
from tests.integration.throttling.moments import later


def test_so_many_and_no_more(redis_client: Any) -> None:
    """Two of three; a place that is given back is another's; nothing is left behind."""
    jobs = Concurrency("jobs", 2)
    one, two, three = (jobs.take("ada") for _ in range(3))
    assert [bool(each) for each in (one, two, three)] == [True, True, False]
    assert [each.decision.remaining for each in (one, two, three)] == [1, 0, 0]
    assert 0 < three.decision.retry_after <= 60
    assert jobs.take("bob")
    jobs.give_back(one)
    jobs.give_back(three)
    four = jobs.take("ada")
    assert four
    for each in (two, four):
        jobs.give_back(each)
    assert len(redis_client.keys("*")) == 1


def test_the_lease_of_who_died_ends(redis_client: Any) -> None:
    """After its time the place is free; a lease that is kept is not, and one that has ended cannot be kept."""
    jobs = Concurrency("jobs", 1, lease=10)
    dead = jobs.take("ada")
    later(redis_client, 9)
    assert not jobs.take("ada")
    assert jobs.keep(dead)
    later(redis_client, 9)
    assert not jobs.take("ada")
    later(redis_client, 2)
    assert not jobs.keep(dead)
    assert jobs.take("ada")


def test_a_block() -> None:
    """The place is given back however the block ends."""
    jobs = Concurrency("jobs", 1)
    with pytest.raises(ZeroDivisionError), jobs.place("ada"):
        with pytest.raises(Throttled) as raised, jobs.place("ada"):
            pytest.fail("there were two")
        assert raised.value.decision.name == "jobs"
        raise ZeroDivisionError
    assert jobs.take("ada")


def test_asynchronously() -> None:
    """The same, awaited."""
    jobs = Concurrency("jobs", 1)

    async def work() -> list[bool]:
        lease = await jobs.atake("ada")
        other = await jobs.atake("ada")
        kept = await jobs.akeep(lease)
        await jobs.agive_back(lease)
        return [bool(lease), bool(other), kept, bool(await jobs.atake("ada"))]

    assert asyncio.run(work()) == [True, False, True, True]


@pytest.mark.parametrize(
    ("places", "words"),
    [(0, {}), (True, {}), ("3", {}), (1, {"lease": 0}), (1, {"lease": 1e9}), (1, {"on_outage": "local"})],
)
def test_what_cannot_be(places: Any, words: dict[str, Any]) -> None:
    """It is said where it is written."""
    with pytest.raises(ValueError, match=r"whole number|A lease is|on_outage is"):
        Concurrency("jobs", places, **words)
