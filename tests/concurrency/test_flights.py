"""Single flight between processes: who misses what somebody loads waits for that, and never for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter, time
from typing import Any

import pytest
import redis
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from redis_toolkit.cache import asking, flights
from redis_toolkit.cache.loads import Load
from redis_toolkit.cache.reading import Reader
from redis_toolkit.core.connections import link
from redis_toolkit.signals import cache_failed, cache_read
from tests.concurrency.actors import PATIENCE, Actor, Stage
from tests.concurrency.timetable import PG, Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Every load is worth waiting for, for longer than any play takes; threads know as little of each other as processes."""
    settings.REDIS_TOOLKIT_FLIGHT_WAIT = PATIENCE * 3
    settings.REDIS_TOOLKIT_EARLY_EXPIRY = 0
    monkeypatch.setattr(flights, "_WORTH", 0.0)
    monkeypatch.setattr(flights, "_SHORTEST", PATIENCE * 2)
    monkeypatch.setattr(flights, "_UNKNOWN", PATIENCE * 2)
    monkeypatch.setattr(asking, "join_or_begin", lambda place, _: (Load(place), True))


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


@pytest.mark.parametrize("gone", ["a write", "its ttl", "nothing was there"])
def test_whatever_made_it_miss(
    stage: Stage,
    timetable: Timetable,
    heard: list[str],
    waits: Callable[[], None],
    redis_client: redis.Redis,
    gone: str,
) -> None:
    """Of two who find an answer dead, expired or never made, one loads."""
    if gone != "nothing was there":
        timetable.group(1)
    if gone == "a write":
        timetable.change(title="old")
    if gone == "its ttl":
        redis_client.delete(*redis_client.keys("rt:q:*"))
    heard.clear()
    first, second = loader(stage, timetable), follower(stage, timetable)
    first.to("selected")
    second.go()
    waits()
    assert first.end() == ["old"]
    assert [second.ends(), sorted(heard)] == [(["old"], 0), ["hit", "miss"]]


def test_an_answer_that_lands_between_two_round_trips(
    stage: Stage, timetable: Timetable, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. A and B find nothing  2. A claims, loads, stores and ends  3. B claims: it does not load again."""

    def part(actor: Actor) -> tuple[list[str], int]:
        fetch = Reader.tokens

        def later(self: Any, *rest: Any) -> Any:
            if not heard:
                actor.pause("missed")
            return fetch(self, *rest)

        monkeypatch.setattr(Reader, "tokens", later)
        with CaptureQueriesContext(connections[PG]) as asked:
            return timetable.group(1), len(asked)

    second = stage.actor(part)
    second.to("missed")
    monkeypatch.undo()
    assert timetable.group(1) == ["old"]
    assert second.end() == (["old"], 0)
    assert heard == ["miss", "hit"]


@pytest.mark.parametrize(
    "end", ["it never says so", "nobody waits that long", "its connection breaks", "its key is something else"]
)
def test_who_waits_in_vain_asks_the_database(
    stage: Stage, timetable: Timetable, heard: list[str], waits: Callable[[], None], redis_client: redis.Redis,
    settings: Any, end: str,
) -> None:  # fmt: skip
    """A loads and is never through with it: B is right all the same, after a bounded time or at once."""
    if end == "it never says so":
        flights._UNKNOWN = 0.05  # put back by the fixture above
    first, second = loader(stage, timetable), follower(stage, timetable)
    first.to("selected")
    if end == "nobody waits that long":
        settings.REDIS_TOOLKIT_FLIGHT_WAIT = 0.05
    # (None where it has run out meanwhile.)
    claims = redis_client.keys("rt:w:*")
    if end == "its key is something else":
        [claim] = claims
        redis_client.set(claim, "somebody else's")
    second.go()
    if end == "its connection breaks":
        waits()
        # First, or B might find it still standing when it asks again. (Whoever waits does not hear of it.)
        assert redis_client.delete(*claims) == 1
        redis_client.client_kill_filter(_type="normal", skipme=True)
    answer = second.ends()
    assert answer == (["old"], 1)
    assert [outcome for outcome in heard if outcome in {"hit", "bypass"}] == []
    assert first.end() == ["old"]
    assert timetable.group(1) == ["old"]


def test_a_claim_that_ran_out_stands_twice_as_long_the_next_time(
    redis_client: redis.Redis, timetable: Timetable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that outlasted its claim may be slow and not dead: the next claim stands for twice as long."""
    monkeypatch.setattr(flights, "_UNKNOWN", 5.0)
    claims = []

    def look(*_: Any) -> list[bytes]:
        [key] = redis_client.keys("rt:w:*")
        told: Any = redis_client.xrange(key)
        claims.extend(int(message[b"begun"]) for _, message in told)
        return []

    monkeypatch.setattr(Reader, "entry", look)
    for _ in range(3):
        flights.forget()
        timetable.group(1)
        [key] = redis_client.keys("rt:w:*")
        redis_client.delete(key)
        # What a loader leaves that began a minute ago and is not through yet.
        redis_client.xadd(key, {"begun": claims[-1]}, id=f"{round((time() - 60) * 1000)}-0")
    assert claims == [5000, 10_000, 20_000]


def test_a_claim_is_ended_by_its_owner_alone(
    redis_client: redis.Redis, stage: Stage, timetable: Timetable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. A's claim runs out  2. B claims  3. A stores: B's claim stands, and ends when B has stored."""
    first = loader(stage, timetable)
    first.to("selected")
    monkeypatch.setattr(flights, "_UNKNOWN", PATIENCE)
    redis_client.delete(*redis_client.keys("rt:w:*"))
    second = loader(stage, timetable)
    second.to("selected")
    [claim] = redis_client.keys("rt:w:*")
    told = []
    for actor in (first, second):
        actor.end()
        told += [message for _, message in redis_client.xrange(claim)]
    assert told == [{b"begun": b"%d" % (PATIENCE * 1000)}, {b"ended": b""}]


@pytest.mark.parametrize("fate", ["raises", "is marked"])
def test_a_claim_for_nothing_is_given_up(
    redis_client: redis.Redis, timetable: Timetable, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    """A load that raises, and one whose stamps a writer marks while they are made, leave nobody waiting."""

    def fail(execute: Any, sql: Any, *rest: Any) -> Any:
        raise ZeroDivisionError

    if fate == "raises":
        with connections[PG].execute_wrapper(fail), pytest.raises(ZeroDivisionError):
            timetable.group(1)
    else:
        made = Reader.tokens
        monkeypatch.setattr(Reader, "tokens", lambda *args: made(*args) and None)
        assert timetable.group(1) == ["old"]
    [claim] = redis_client.keys("rt:w:*")
    assert [message for _, message in redis_client.xrange(claim)] == [{b"ended": b""}]


def test_who_is_in_a_transaction_waits_for_nobody(
    stage: Stage, timetable: Timetable, redis_client: redis.Redis
) -> None:
    """1. a transaction holds a lock  2. a loader may wait for that lock  3. the transaction reads: it asks at once."""
    first = loader(stage, timetable)
    first.to("selected")
    with transaction.atomic(using=PG), CaptureQueriesContext(connections[PG]) as asked:
        assert (timetable.group(1), len(asked)) == (["old"], 1)
    assert first.end() == ["old"]


@pytest.mark.parametrize("stand", [False, True])
def test_a_claim_costs_no_round_trip_more_than_three(
    timetable: Timetable, redis_client: redis.Redis, stand: bool
) -> None:
    """A dead answer, claimed and loaded, is 3 round trips, whether its stamps have been made anew or not."""
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
    redis_client.delete(*redis_client.keys("rt:w:*"))
    assert timetable.group(1) == ["new"]
    assert redis_client.keys("rt:w:*") == []


def test_how_long_loads_take_is_learnt(
    timetable: Timetable, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process has seen to take no time is not claimed either where no dead entry tells of the last load."""
    timetable.group(1)
    assert len(redis_client.keys("rt:w:*")) == 1
    redis_client.flushall()
    monkeypatch.setattr(flights, "_WORTH", 60.0)
    timetable.group(1)
    assert redis_client.keys("rt:w:*") == []
    flights.forget()
    redis_client.flushall()
    timetable.group(1)
    assert len(redis_client.keys("rt:w:*")) == 1


def test_it_can_be_switched_off(timetable: Timetable, redis_client: redis.Redis, settings: Any) -> None:
    """Without SINGLE_FLIGHT nobody claims anything."""
    settings.REDIS_TOOLKIT_SINGLE_FLIGHT = False
    assert timetable.group(1) == ["old"]
    assert redis_client.keys("rt:w:*") == []


@pytest.mark.parametrize("known", [False, True])
def test_an_entrys_key_that_holds_something_else(
    timetable: Timetable, redis_client: redis.Redis, heard: list[str], known: bool
) -> None:
    """Another program's list lies where the answer is to lie: it is loaded, stored over that, and a hit."""
    timetable.group(1)
    [entry] = redis_client.keys("rt:q:*")
    if not known:
        redis_client.flushall()
    redis_client.delete(entry)
    redis_client.rpush(entry, "not ours")
    heard.clear()
    assert [timetable.group(1), timetable.group(1), heard] == [["old"], ["old"], ["miss", "hit"]]
