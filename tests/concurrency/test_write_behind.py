"""Write-behind: what is added is in the database exactly once, whoever is killed, and is read exactly once meanwhile."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, transaction

from redis_toolkit.cache import WriteBehind
from redis_toolkit.cache.behind import counters, ledger
from redis_toolkit.testing import ValkeyServer
from tests import servers
from tests.app.models import Page
from tests.concurrency.actors import Actor, Stage
from tests.concurrency.flushers import PAGES, POINTS, Nursery, added
from tests.concurrency.timetable import PG
from tests.school import ALIASES

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture(autouse=True)
def undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test declares is gone after it."""
    monkeypatch.setattr(counters, "_declared", {})


@pytest.fixture
def valkey(settings: Any) -> Iterator[ValkeyServer]:
    """A server of this test's own that keeps an append-only file, as one that counts should."""
    with servers.new_valkey(config={"appendonly": True}) as server:
        settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": server.url}}
        yield server


@pytest.fixture(params=ALIASES)
def alias(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def views(alias: str) -> WriteBehind:
    return WriteBehind(Page, "views", using=alias)


@pytest.fixture
def nursery(alias: str, valkey: ValkeyServer, django_environment: dict[str, str]) -> Iterator[Nursery]:
    made = Nursery(django_environment, alias)
    yield made
    made.close()


def finish(views: WriteBehind, alias: str) -> None:
    """Flush all there is."""
    # PostgreSQL may take a moment to notice that somebody who had the lock is dead.
    with transaction.atomic(using=alias):
        ledger.lock(alias, views._counter.keys().ledger, wait=True)
    flushed = views.flush()
    assert (flushed.kept, flushed.failed, flushed.absent, flushed.refused) == (False, False, 0, 0)


def held(alias: str) -> Counter[int]:
    """What the database has."""
    return Counter(dict(Page.objects.using(alias).values_list("pk", "views")))


def test_a_hundred_thousand_increments_and_ten_dead_flushers(alias, views, valkey, nursery):
    """4 processes add 100,000 while 10 flushers are killed (-9), one at each step and 4 anywhere, and Redis twice: 100,000."""
    Page.objects.using(alias).bulk_create(Page(pk=at) for at in range(1, PAGES + 1))
    deaths = [*({"point": point} for point in POINTS), *[{}] * 4]
    expected: Counter[int] = Counter()
    for portion, death in enumerate(deaths):
        for adder in range(4):
            nursery.order(adder=adder, portion=portion, increments=2500)
        nursery.order(**death)
        waits_for, flushes = {"added 0", "added 1", "added 2", "added 3", "ended"}, 0
        while waits_for:
            heard = nursery.hear()
            flushes += "flushing" in heard
            if "flushing" in heard and not death and flushes == portion - len(POINTS) + 1:
                os.kill(heard["flushing"], signal.SIGKILL)
            if "ended" in heard:
                assert heard["code"] == -signal.SIGKILL
            waits_for -= {f"added {heard['added']}" if "added" in heard else next(iter(heard))}
        expected += sum((each for adder in range(4) for each in added(adder, portion, 2500)), Counter())
        if death.get("point") in {"written", "committed"}:
            valkey.kill()
            valkey.start()
        # Nobody adds or flushes now, and who died has left something behind.
        assert Counter(views.values(expected)) == expected
    assert expected.total() == 100_000
    finish(views, alias)
    assert held(alias) == expected
    assert views.values([1, 2]) == {1: expected[1], 2: expected[2]}


# The races


def page_of_ten(alias: str, views: WriteBehind, amount: int) -> int:
    """The key of a page with 10 views, for which ``amount`` more wait."""
    page = Page.objects.using(alias).create(views=10)
    views.add(page.pk, amount)
    return page.pk


@contextmanager
def pausing(actor: Actor, alias: str, beginning: str, place: str, *, committed: bool = False) -> Iterator[None]:
    """(In the actor's thread) stop at ``place``, once: before a statement, or when its transaction is committed."""
    done: list[str] = []

    def wrapper(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(beginning) and '"app_page"' in sql and not done:
            done.append(sql)
            if committed:
                transaction.on_commit(lambda: actor.pause(place), using=alias)
            else:
                actor.pause(place)
        return execute(sql, params, many, context)

    with connections[alias].execute_wrapper(wrapper):
        yield


@pytest.mark.parametrize(("rule", "views_then"), [(None, 13), ("ledger", 16)])
def test_a_flusher_dies_after_its_commit(
    rule: str | None, views_then: int, alias: str, views: WriteBehind, stage: Stage, without: Callable[[Any], None]
) -> None:
    """1. it applies 3 to 10, COMMIT  2. it is gone  3. the next finds its batch, and only drops it: 13."""
    without(rule)
    key = page_of_ten(alias, views, 3)

    def part(actor: Actor) -> None:
        with pausing(actor, alias, "UPDATE", "committed", committed=True):
            views.flush()

    dying = stage.actor(part)
    dying.to("committed")
    assert views.value(key) == views_then
    dying.abort()
    finish(views, alias)
    assert (held(alias)[key], views.value(key)) == (views_then, views_then)


@pytest.mark.parametrize(("rule", "views_then"), [(None, 13), ("turns", 16)])
def test_two_flushers_of_one_batch(
    rule: str | None, views_then: int, stage: Stage, without: Callable[[Any], None]
) -> None:
    """1. A takes a batch of 3  2. B is told to wait its turn  3. A applies it, B finds nothing: 13."""
    without(rule)
    views = WriteBehind(Page, "views", using=PG)
    # (The very first flusher makes the row of the ledger, and whoever is second waits for that.)
    page_of_ten(PG, views, 1)
    finish(views, PG)
    key = page_of_ten(PG, views, 3)

    def part(actor: Actor) -> int:
        with pausing(actor, PG, "SELECT", "taken"):
            return views.flush().rows

    slow = stage.actor(part)
    slow.to("taken")
    other = views.flush()
    assert (other.rows, other.reason) == ((0, "another flusher is at work") if rule is None else (1, ""))
    assert slow.end() == 1
    assert (held(PG)[key], views.value(key)) == (views_then, views_then)


@pytest.mark.parametrize(("rule", "read"), [(None, 13), ("two_ids", 10)])
def test_a_batch_is_applied_and_dropped_between_two_looks(
    rule: str | None, read: int, alias: str, views: WriteBehind, stage: Stage, without: Callable[[Any], None]
) -> None:
    """1. a reader sees 10 in the database  2. a flusher applies 3, drops it  3. the reader sees nothing, looks again: 13."""
    without(rule)
    key = page_of_ten(alias, views, 3)

    def part(actor: Actor) -> int:
        with actor.pausing_after("SELECT", "app_page", "read", alias):
            value: int = views.value(key)
            return value

    reader = stage.actor(part)
    reader.to("read")
    assert views.flush().rows == 1
    assert reader.end() == read


def test_a_batch_is_applied_between_two_looks_and_stands(alias: str, views: WriteBehind, stage: Stage) -> None:
    """1. a reader sees 10  2. a flusher commits 13, and stops  3. the reader finds a batch that 10 lacks: 13, not 10 or 16."""
    key = page_of_ten(alias, views, 3)

    def flusher(actor: Actor) -> None:
        with pausing(actor, alias, "UPDATE", "committed", committed=True):
            views.flush()

    def part(actor: Actor) -> int:
        with actor.pausing_after("SELECT", "app_page", "read", alias):
            value: int = views.value(key)
            return value

    reader, slow = stage.actor(part), stage.actor(flusher)
    reader.to("read")
    slow.to("committed")
    assert reader.end() == 13
    assert views.value(key) == 13
    slow.end()
    assert views.value(key) == 13


def test_a_reader_that_is_overtaken_again_and_again(alias: str, views: WriteBehind, stage: Stage) -> None:
    """A batch goes between each of a reader's five pairs of looks; then flushers wait for it, and it reads 10 + 5 + 1."""
    key = page_of_ten(alias, views, 1)

    def part(actor: Actor) -> int:
        def wrapper(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
            result = execute(sql, params, many, context)
            if sql.startswith("SELECT") and '"app_page"' in sql:
                actor.pause("read")
            return result

        with connections[alias].execute_wrapper(wrapper):
            value: int = views.value(key)
            return value

    reader = stage.actor(part)
    for _ in range(5):
        reader.to("read")
        assert views.flush().rows == 1
        views.add(key)
    reader.to("read")
    if alias == PG:
        assert views.flush().reason == "another flusher is at work"
    assert reader.end() == 16
