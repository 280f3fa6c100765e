"""Single flight: readers that find an answer stale while somebody loads it wait for that, and never for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import pytest
import redis
from django.db import connections
from django.test.utils import CaptureQueriesContext

from redis_toolkit.cache import flights
from redis_toolkit.core.connections import link
from redis_toolkit.signals import cache_failed, cache_read
from tests.concurrency.actors import PATIENCE, Actor, Stage
from tests.concurrency.timetable import PG, Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Every load is worth waiting for, for longer than any play takes."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = PATIENCE * 3
    monkeypatch.setattr(flights, "_WORTH", 0.0)
    monkeypatch.setattr(flights, "_TIMES", 1e9)
    monkeypatch.setattr(flights, "_LONGEST", PATIENCE * 2)


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """How reads ended, in this order, and what failed."""
    told: list[str] = []

    def listen(outcome: str, **_: Any) -> None:
        told.append(outcome)

    def failed(during: str, error: Exception, **_: Any) -> None:
        told.append(f"{during}: {error}")

    cache_read.connect(listen)
    cache_failed.connect(failed)
    yield told
    cache_read.disconnect(listen)
    cache_failed.disconnect(failed)


@pytest.fixture
def waits(redis_client: redis.Redis) -> Callable[[], None]:
    """Wait until somebody waits."""

    def look() -> None:
        deadline = perf_counter() + PATIENCE
        while redis_client.info("clients")["blocked_clients"] < 1:
            assert perf_counter() < deadline, "nobody waits"

    return look


def loader(stage: Stage, timetable: Timetable) -> Actor:
    """A reader that stops when it has read the database and not stored the answer."""

    def part(actor: Actor) -> list[str]:
        with actor.pausing_after("SELECT", "app_lesson", "selected", PG):
            return timetable.group(1)

    return stage.actor(part)


def follower(stage: Stage, timetable: Timetable) -> Actor:
    """A reader that tells how many queries its answer took."""

    def part(actor: Actor) -> tuple[list[str], int]:
        with CaptureQueriesContext(connections[PG]) as asked:
            return timetable.group(1), len(asked)

    return stage.actor(part)


def test_one_loads_and_another_waits_for_it(
    stage: Stage, timetable: Timetable, heard: list[str], waits: Callable[[], None]
) -> None:
    """1. a writer commits  2. A misses and loads  3. B misses and waits  4. A stores: B asks the database 0 times."""
    timetable.group(1)
    timetable.change(title="new")
    first, second = loader(stage, timetable), follower(stage, timetable)
    first.to("selected")
    second.go()
    waits()
    assert first.end() == ["new"]
    assert [second.ends(), sorted(heard)] == [(["new"], 0), ["hit", "miss", "miss"]]


def test_a_write_while_others_wait(
    stage: Stage, timetable: Timetable, heard: list[str], waits: Callable[[], None]
) -> None:
    """1. A loads, B waits  2. a writer commits  3. A stores what is dead: B does not take it, and asks the database."""
    timetable.group(1)
    timetable.change(title="newer")
    first, second = loader(stage, timetable), follower(stage, timetable)
    first.to("selected")
    second.go()
    waits()
    timetable.change(title="newest")
    assert first.end() == ["newer"]
    assert [second.ends(), heard] == [(["newest"], 1), ["miss", "miss", "miss"]]
    assert timetable.group(1) == ["newest"]


def test_a_writer_at_work_is_not_waited_for(stage: Stage, timetable: Timetable, heard: list[str]) -> None:
    """Where a stamp is marked nobody claims and nobody waits: a bypass, at once."""

    def part(actor: Actor) -> None:
        with actor.pausing_before_unmark("committed", PG):
            timetable.change(title="new")

    timetable.group(1)
    writer = stage.actor(part)
    writer.to("committed")
    assert [timetable.group(1), timetable.group(1), heard] == [["new"], ["new"], ["miss", "bypass", "bypass"]]
    writer.end()


@pytest.mark.parametrize("end", ["it never says so", "its connection breaks", "its key is something else"])
def test_who_waits_in_vain_asks_the_database(
    stage: Stage, timetable: Timetable, heard: list[str], waits: Callable[[], None], redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch, end: str,
) -> None:  # fmt: skip
    """A loads and is never through with it: B is right all the same, after a bounded time or at once."""
    timetable.group(1)
    timetable.change(title="new")
    first, second = loader(stage, timetable), follower(stage, timetable)
    first.to("selected")
    [claim] = redis_client.keys("rt:w:*")
    if end == "it never says so":
        monkeypatch.setattr(flights, "_LONGEST", 0.05)
    if end == "its key is something else":
        redis_client.set(claim, "somebody else's")
    second.go()
    if end == "its connection breaks":
        waits()
        redis_client.client_kill_filter(_type="normal", skipme=True)
    answer = second.ends()
    assert answer == (["new"], 1)
    assert [outcome for outcome in heard if outcome in {"hit", "bypass"}] == []
    assert first.end() == ["new"]
    assert timetable.group(1) == ["new"]


@pytest.mark.parametrize("stand", [False, True])
def test_a_claim_costs_no_round_trip_more_than_three(
    timetable: Timetable, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, stand: bool
) -> None:
    """A dead answer, claimed and loaded, is 3 round trips, whether its stamps have been made anew or not."""
    monkeypatch.setattr(flights, "_WORTH", 0.0)
    timetable.group(1)
    timetable.change(title="new")
    if stand:
        timetable.cached.filter(group=1).order_by("pk").count()
    claims = lambda: redis_client.info("commandstats").get("cmdstat_xadd", {}).get("calls", 0)  # noqa: E731 - asked twice
    before, claimed = link().round_trips, claims()
    assert timetable.group(1) == ["new"]
    assert (link().round_trips - before, claims() - claimed) == (3, 2)


def test_a_load_that_takes_no_time_is_not_claimed(
    timetable: Timetable, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim is a round trip more, so it is left where the last load was quicker than that is worth."""
    monkeypatch.setattr(flights, "_WORTH", float("inf"))
    timetable.group(1)
    timetable.change(title="new")
    assert timetable.group(1) == ["new"]
    assert redis_client.keys("rt:w:*") == []
