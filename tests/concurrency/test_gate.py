"""The gate: a database that everybody asks at once, and the one who must not be made to wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction

from redis_toolkit.cache import cached, gate, trust
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import CacheOverloaded
from redis_toolkit.testing import ValkeyServer
from tests.app.models import Lesson
from tests.concurrency.actors import PATIENCE, Actor, Stage, blocked
from tests.concurrency.timetable import PG, Timetable
from tests.integration.cache.threads import closing_after

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])


@pytest.fixture(autouse=True)
def patient(settings: Any) -> None:
    """Nobody gives up waiting before a play is stuck."""
    settings.REDIS_TOOLKIT_LOADS_WAIT = PATIENCE * 2


class Database:
    """Counts the SELECTs that are under way at once; each waits until there have been ``full`` of them."""

    def __init__(self, full: int) -> None:
        self.asked = self.most = 0
        self._inside, self._full = 0, full
        self._lock, self._was_full = threading.Lock(), threading.Event()

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if '"app_lesson"' not in sql:
            return execute(sql, params, many, context)
        with self._lock:
            self.asked += 1
            self._inside += 1
            self.most = max(self.most, self._inside)
        if self.most >= self._full:
            self._was_full.set()
        assert self._was_full.wait(PATIENCE)
        try:
            return execute(sql, params, many, context)
        finally:
            with self._lock:
                self._inside -= 1


@pytest.fixture
def crowd() -> Iterator[Callable[..., list[Any]]]:
    """Let 50 threads, each with connections of its own, do it at once; what each answers."""

    def run(ask: Callable[[int], Any], database: Database) -> list[Any]:
        def one(number: int) -> Any:
            together.wait(PATIENCE)
            with connections[PG].execute_wrapper(database):
                return ask(number)

        together = threading.Barrier(50)
        with ThreadPoolExecutor(50) as pool:
            answers = [pool.submit(closing_after, lambda number=number: one(number)) for number in range(50)]
            return [answer.result(PATIENCE * 3) for answer in answers]

    yield run
    assert gate.crowd() == (0, 0)


@pytest.mark.parametrize("trouble", ["an empty server", "refused", "silent"])
def test_a_database_that_all_ask_at_once(
    timetable: Timetable, valkey: ValkeyServer, crowd: Callable[..., list[Any]], settings: Any, trouble: str
) -> None:
    """50 threads load what is not cached, or Redis is away: never more than 4 at once, all answered, 0 stale after."""
    settings.REDIS_TOOLKIT_LOADS = 4
    settings.REDIS_TOOLKIT_READ_TIMEOUT = 0.2
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 60
    timetable.warm()
    if trouble == "an empty server":
        valkey.kill()
        valkey.start()
        trust.forget()
        link().close()
    else:
        valkey.kill() if trouble == "refused" else valkey.pause()
    database = Database(4)
    period = lambda number: [each.title for each in timetable.cached.filter(period__lte=number)]  # noqa: E731
    assert crowd(period, database) == [[]] + [["old"]] * 49
    assert (database.asked, database.most) == (50, 4)
    timetable.change(title="new")
    assert period(1) == ["new"]
    if trouble != "an empty server":
        valkey.start() if trouble == "refused" else valkey.resume()
        link().breaker.close()
    trust.forget()
    assert timetable.stale() == 0


def test_a_bulk_read_is_a_load(timetable: Timetable, crowd: Callable[..., list[Any]], settings: Any) -> None:
    """Rows by key, 50 times at once, none of them cached: never more than 3 queries at once."""
    settings.REDIS_TOOLKIT_LOADS = 3
    database = Database(3)
    answers = crowd(lambda number: list(timetable.cached.in_bulk([1000 + number, 1])), database)
    assert answers == [[1]] * 50
    assert (database.asked, database.most) == (50, 3)


def test_an_event_loop_goes_on_while_a_reader_queues(timetable: Timetable, settings: Any) -> None:
    """1. somebody loads  2. a coroutine reads and queues  3. the loop runs others meanwhile  4. it is let in, and answered."""
    settings.REDIS_TOOLKIT_LOADS = 1
    is_in, may_end = threading.Event(), threading.Event()

    def load() -> None:
        with gate.admit():
            is_in.set()
            assert may_end.wait(PATIENCE)

    async def play() -> int:
        reading = asyncio.ensure_future(timetable.cached.filter(group=1).acount())
        deadline = perf_counter() + PATIENCE
        while gate.crowd() != (1, 1):
            assert perf_counter() < deadline
            await asyncio.sleep(0)
        may_end.set()
        found = await reading
        await sync_to_async(closing_after)(int)
        return found

    thread = threading.Thread(target=load)
    thread.start()
    assert is_in.wait(PATIENCE)
    assert asyncio.run(play()) == 1
    thread.join(PATIENCE)


def locking(stage: Stage) -> Actor:
    """A reader whose cached function waits for the row that another has locked, in the midst of its load."""

    @cached(depends_on=[Lesson], key="locking")
    def function(alias: str) -> str:
        with transaction.atomic(using=alias):
            return Lesson.objects.using(alias).select_for_update().get(pk=1).title

    def part(actor: Actor) -> str:
        actor.knows_its_server(PG)
        actor.pause("connected")
        return function(PG)

    return stage.actor(part)


@pytest.fixture
def default_is_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions depend on models of the database that writes go to: here PostgreSQL."""
    from django.db import router

    monkeypatch.setattr(router, "db_for_write", lambda *_, **__: PG)


@pytest.mark.parametrize("waits", [False, True])
def test_who_holds_locks_is_not_made_to_wait(
    timetable: Timetable, stage: Stage, settings: Any, monkeypatch: pytest.MonkeyPatch, default_is_postgres: None,
    waits: bool,
) -> None:  # fmt: skip
    """1. B locks a row  2. A is let in last, and waits for it  3. B reads what is not cached: it is let in, and commits.

    Made to wait like others, B is stuck with A until its time is over.
    """
    settings.REDIS_TOOLKIT_LOADS = 1
    if waits:
        monkeypatch.setattr(gate, "is_open", lambda _: False)
        settings.REDIS_TOOLKIT_LOADS_WAIT = 0.05

    def part(actor: Actor) -> int:
        with transaction.atomic(using=PG):
            Lesson.objects.using(PG).select_for_update().get(pk=1)
            actor.pause("locked")
            return timetable.cached.filter(period__gte=0).count()

    reader, holder = locking(stage), stage.actor(part)
    reader.to("connected")
    holder.to("locked")
    reader.go()
    blocked(reader, PG)
    assert gate.crowd() == (1, 0)
    if waits:
        with pytest.raises(CacheOverloaded):
            holder.end()
    else:
        assert holder.end() == 1
    assert reader.ends() == "old"
    assert gate.crowd() == (0, 0)
