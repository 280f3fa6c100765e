"""Redis goes away in the middle of a write, and comes back knowing less, or knowing something old."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.db import transaction

from redis_toolkit.cache import trust
from redis_toolkit.signals import breaker_changed, cache_failed
from redis_toolkit.testing import ValkeyServer
from tests.concurrency.actors import PATIENCE, Actor, Stage
from tests.concurrency.timetable import PG, Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])


@pytest.fixture
def back(valkey: ValkeyServer, settings: Any) -> Iterator[Callable[[], None]]:
    """Wait until the breaker, which looks for the server every 10 ms, has closed again, and trust Redis at once.

    Otherwise the database would answer for a while, and these plays would show nothing.
    """
    # Each silence takes so long. It must be longer than a busy machine makes a server wait that is well.
    settings.REDIS_TOOLKIT_READ_TIMEOUT = 1
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 0.01
    closed = threading.Event()

    def heard(state: str, **_: Any) -> None:
        closed.set() if state == "closed" else closed.clear()

    breaker_changed.connect(heard)

    def wait() -> None:
        assert closed.wait(PATIENCE), "the breaker did not close"
        trust.forget()

    yield wait
    breaker_changed.disconnect(heard)


@pytest.fixture
def failures() -> Iterator[list[str]]:
    """During what the cache could not reach Redis."""
    heard: list[str] = []

    def listen(during: str, **_: Any) -> None:
        heard.append(during)

    cache_failed.connect(listen)
    yield heard
    cache_failed.disconnect(listen)


@pytest.mark.parametrize(("rule", "stale"), [(None, 0), ("outage_kept", 1)])
def test_a_write_that_a_silent_server_did_not_hear_of(
    timetable: Timetable, valkey: ValkeyServer, back: Callable[[], None], without: Any, rule: str | None, stale: int
) -> None:
    """1. Redis stops answering  2. a writer commits  3. Redis goes on, its entries intact: 0 stale."""
    without(rule)
    assert timetable.group(1) == ["old"]
    valkey.pause()
    # The time-out of this read opens the breaker: from here on Redis is told nothing, and hears nothing late.
    assert timetable.group(2) == []
    timetable.change(title="new")
    assert timetable.group(1) == ["new"]
    valkey.resume()
    back()
    assert int(timetable.group(1) != ["new"]) == stale


@pytest.mark.parametrize(("rule", "stale"), [(None, 0), ("server_run", 1)])
def test_a_server_that_comes_back_with_an_old_file(
    timetable: Timetable, valkey: ValkeyServer, redis_client: redis.Redis, without: Any, rule: str | None, stale: int
) -> None:
    """1. Redis saves its file  2. a writer commits and unmarks  3. Redis is killed and reads its file: 0 stale."""
    without(rule)
    assert timetable.group(1) == ["old"]
    redis_client.save()
    timetable.change(title="new")
    valkey.kill()
    valkey.start()
    trust.forget()
    assert len(redis_client.keys("rt:[qs]:*")) == 3
    assert int(timetable.group(1) != ["new"]) == stale


def test_replicas_may_be_trusted(
    timetable: Timetable, valkey: ValkeyServer, redis_client: redis.Redis, settings: Any
) -> None:
    """With TRUST_REPLICAS entries outlive a restart: what an old file brings back is served, as the setting warns."""
    settings.REDIS_TOOLKIT_TRUST_REPLICAS = True
    assert timetable.group(1) == ["old"]
    redis_client.save()
    timetable.change(title="new")
    valkey.kill()
    valkey.start()
    trust.forget()
    assert timetable.group(1) == ["old"]


def test_the_server_dies_between_mark_and_unmark(
    stage: Stage, timetable: Timetable, valkey: ValkeyServer, failures: list[str]
) -> None:
    """1. a writer marks  2. Redis dies and is replaced by an empty one  3. a reader stores the old row: 0 stale."""

    def part(actor: Actor) -> None:
        with transaction.atomic(using=PG):
            timetable.change(title="new")
            actor.pause("written")

    writer = stage.actor(part)
    writer.to("written")
    valkey.kill()
    valkey.start()
    trust.forget()
    assert [timetable.group(1), timetable.group(1)] == [["old"], ["old"]]
    writer.end()
    assert [timetable.group(1), timetable.group(1), failures] == [["new"], ["new"], []]


def test_the_server_is_away_when_the_writer_marks_and_back_when_it_commits(
    stage: Stage, timetable: Timetable, valkey: ValkeyServer, back: Callable[[], None], failures: list[str]
) -> None:
    """1. a writer cannot mark  2. Redis is back, a reader stores the old row  3. the writer commits: 0 stale."""

    def part(actor: Actor) -> None:
        with transaction.atomic(using=PG):
            actor.pause("begun")
            timetable.change(title="new")
            actor.pause("written")

    timetable.warm()
    writer = stage.actor(part)
    writer.to("begun")
    valkey.pause()
    writer.to("written")
    valkey.resume()
    back()
    assert [timetable.stale(), timetable.group(1), failures[:1]] == [0, ["old"], ["mark"]]
    writer.end()
    assert [timetable.stale(), timetable.stale(), timetable.group(1)] == [0, 0, ["new"]]


def test_the_server_is_away_when_the_writer_unmarks(
    stage: Stage, timetable: Timetable, valkey: ValkeyServer, back: Callable[[], None], marked: Callable[[], set[str]]
) -> None:
    """1. a writer marks  2. Redis falls silent  3. it commits and cannot unmark  4. Redis is back: 0 stale, 0 marks."""

    def part(actor: Actor) -> None:
        with transaction.atomic(using=PG):
            timetable.change(title="new")
            actor.pause("written")

    timetable.warm()
    writer = stage.actor(part)
    writer.to("written")
    valkey.pause()
    writer.end()
    assert timetable.stale() == 0
    valkey.resume()
    back()
    assert [timetable.stale(), timetable.stale(), marked()] == [0, 0, set()]


def test_a_reader_and_an_outage_and_a_writer(
    stage: Stage, timetable: Timetable, valkey: ValkeyServer, back: Callable[[], None]
) -> None:
    """1. a reader reads the old row  2. Redis is silent for a write  3. it is back, and the reader stores: 0 stale."""

    def part(actor: Actor) -> list[str]:
        with actor.pausing_after("SELECT", "app_lesson", "selected", PG):
            return timetable.group(1)

    reader = stage.actor(part)
    reader.to("selected")
    valkey.pause()
    timetable.change(title="new")
    valkey.resume()
    back()
    assert reader.end() == ["old"]
    assert [timetable.group(1), timetable.group(1)] == [["new"], ["new"]]


def test_nothing_reaches_the_caller(
    timetable: Timetable, valkey: ValkeyServer, back: Callable[[], None], failures: list[str]
) -> None:
    """Of 4 writes and 80 reads without a server 0 fail and 0 are stale; when it is back 0 answers are."""
    timetable.warm()
    valkey.kill()
    for number in range(4):
        timetable.change(title=f"new {number}", group_id=1 + number % 3)
        assert timetable.stale() == 0
    assert {"mark", "unmark"} <= set(failures)
    valkey.start()
    back()
    assert [timetable.stale(), timetable.stale()] == [0, 0]
