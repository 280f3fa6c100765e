"""What one reader loads and another is given: in the background, in the same process, late over what is newer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connections, transaction
from django.db.models import QuerySet

from redis_toolkit.cache import cached, finding, gate, loads, own_writes, refreshing
from redis_toolkit.core.clock import travel
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import CacheOverloaded
from tests.app.models import Group, Lesson
from tests.concurrency.actors import PATIENCE, Actor, Stage
from tests.concurrency.timetable import PG, Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


@pytest.fixture(autouse=True)
def patient(settings: Any) -> None:
    """Threads wait for longer than any play takes."""
    settings.REDIS_TOOLKIT_FLIGHT_WAIT = PATIENCE * 3


@contextmanager
def held_up() -> Iterator[None]:
    """What is to be refreshed waits until the block ends, and is done then."""
    go_on = threading.Event()
    assert refreshing.later("the first in the queue", lambda: assert_in_time(go_on))
    try:
        yield
    finally:
        go_on.set()
        refreshing.wait()


def assert_in_time(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


def wait_for(followers: int) -> None:
    """Wait until so many threads wait for the one load that is under way."""
    deadline = perf_counter() + PATIENCE
    while sum(load.followers for load in list(loads._under_way.values())) < followers:
        assert perf_counter() < deadline, "they do not wait"


@pytest.mark.parametrize(("kind", "before", "after"), [("count", 0, 1), ("exists", False, True)])
def test_a_value_made_in_the_background_is_of_the_database(
    timetable: Timetable, kind: str, before: Any, after: Any
) -> None:
    """1. a count past its `fresh` is given  2. the queryset is read  3. a writer commits  4. a thread counts anew."""
    lessons = timetable.cached.filter(group=3).cache(fresh=60)
    assert getattr(lessons, kind)() == before
    with travel(61):
        with held_up():
            assert getattr(lessons, kind)() == before
            assert list(lessons) == []
            timetable.add(3, group_id=3)
        assert getattr(timetable.cached.filter(group=3).cache(fresh=60), kind)() == after


def elsewhere(stage: Stage, timetable: Timetable, title: str) -> None:
    """Another process changes the lesson: this one has not written since."""
    written = dict(own_writes._writes)
    stage.actor(lambda _: timetable.change(title=title)).end()
    own_writes._writes.clear()
    own_writes._writes.update(written)


def test_what_a_slow_reader_stores_over_a_newer_answer_is_no_stale_one(stage: Stage, timetable: Timetable) -> None:
    """1. A loads the old row  2. a write ends it  3. the new one is seen valid  4. A stores over it, a minute later."""

    def ask() -> list[str]:
        return [lesson.title for lesson in timetable.cached.filter(group=1).order_by("pk").cache(ttl=600, stale=30)]

    def part(actor: Actor) -> list[str]:
        with actor.pausing_after("SELECT", "app_lesson", "selected", PG):
            return ask()

    slow = stage.actor(part)
    slow.to("selected")
    elsewhere(stage, timetable, "new")
    # Somebody else's stamps, so that nobody waits for the slow one.
    timetable.cached.filter(group=1).count()
    with travel(60):
        assert (ask(), ask()) == (["new"], ["new"])
        assert slow.end() == ["old"]
        assert ask() == ["new"]


def test_arguments_are_those_of_the_call(timetable: Timetable) -> None:
    """1. a result past its `fresh` is given  2. the caller changes the list it asked with  3. a thread calls anew."""

    @cached(depends_on=[Lesson], key="arguments", fresh=60)
    def length(of: list[int]) -> int:
        return len(of)

    asked = [1]
    assert length(asked) == 1
    with travel(61):
        with held_up():
            assert length(asked) == 1
            asked.append(2)
        assert length([1]) == 1


@pytest.mark.parametrize("error", [CacheOverloaded("full", retry_after=1), DatabaseError("gone")])
def test_what_is_early_and_cannot_be_made_anew_is_given_as_it_is(
    timetable: Timetable, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A reader whose dice say early holds a valid answer: no error of the load is its caller's."""
    assert timetable.group(1) == ["old"]
    monkeypatch.setattr(finding, "is_early", lambda *_: True)

    def fail(execute: Any, sql: Any, *rest: Any) -> Any:
        if '"app_lesson"' in sql:
            raise error
        return execute(sql, *rest)

    with connections[PG].execute_wrapper(fail):
        assert timetable.group(1) == ["old"]


def test_a_job_that_is_killed_does_not_take_the_thread_with_it(timetable: Timetable) -> None:
    """After one that raised what is no Exception (a task that was cancelled) others are done."""

    def killed() -> None:
        raise KeyboardInterrupt

    done = threading.Event()
    refreshing.later("killed", killed)
    refreshing.later("after it", done.set)
    assert_in_time(done)


def test_who_could_not_ask_the_cache_is_not_given_what_it_says_later(stage: Stage, timetable: Timetable) -> None:
    """1. A loads  2. Redis is away, a writer commits and returns  3. B comes, and waits for A  4. Redis is back, as it was."""

    def part(actor: Actor) -> list[str]:
        with actor.pausing_after("SELECT", "app_lesson", "selected", PG):
            return timetable.group(1)

    first, second = stage.actor(part), stage.actor(lambda _: timetable.group(1))
    first.to("selected")
    link().breaker.is_open = True
    try:
        timetable.change(title="new")
        second.go()
        wait_for(1)
    finally:
        link().breaker.is_open = False
    assert first.end() == ["old"]
    assert second.ends() == ["new"]


def test_a_snapshot_of_sqlite_is_not_shared(stage: Stage) -> None:
    """1. A has half read a cursor  2. a writer commits  3. B asks, A loads what it sees, and B waits for A's load."""
    timetable = Timetable("default")
    timetable.add(2, title="other", group_id=2)

    def part(actor: Actor) -> list[str]:
        lessons = Lesson.objects.using("default").order_by("-pk").iterator(chunk_size=1)
        assert next(lessons).pk == 2
        actor.pause("half way")
        with pausing_before_lessons(actor):
            found = timetable.group(1)
        assert len(list(lessons)) == 1
        return found

    first, second = stage.actor(part), stage.actor(lambda _: timetable.group(1))
    first.to("half way")
    timetable.change(title="new")
    first.to("asking")
    second.go()
    wait_for(1)
    assert first.end() == ["old"]
    assert second.ends() == ["new"]


@contextmanager
def pausing_before_lessons(actor: Actor) -> Iterator[None]:
    within = loads.within

    def late() -> Any:
        if threading.current_thread() is actor._thread:
            actor.pause("asking")
        return within()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("redis_toolkit.cache.asking.within", late)
        yield


def test_a_task_that_is_cancelled_in_a_step_holds_nothing(timetable: Timetable) -> None:
    """1. a step is taken in the ORM's thread  2. its task is cancelled  3. the step ends: its place at the gate is free."""
    at, go_on = threading.Event(), threading.Event()

    @cached(depends_on=[Lesson], key="cancelled")
    async def never() -> int:
        raise AssertionError

    within = loads.within

    def late() -> Any:
        at.set()
        assert_in_time(go_on)
        return within()

    async def part() -> None:
        task = asyncio.create_task(never())
        await asyncio.to_thread(assert_in_time, at)
        task.cancel()
        # (It is told before the step goes on.)
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await sync_to_async(connections.close_all)()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("redis_toolkit.cache.asking.within", late)
        asyncio.run(part())
    assert (gate.crowd(), loads._under_way) == ((0, 0), {})


def test_who_is_in_a_transaction_on_another_database_does_not_wait(stage: Stage, timetable: Timetable) -> None:
    """1. A loads  2. B, in a transaction on another database, which A may need a lock of, asks the same: it loads too."""

    def part(actor: Actor) -> list[str]:
        with actor.pausing_after("SELECT", "app_lesson", "selected", PG):
            return timetable.group(1)

    def other(_: Actor) -> list[str]:
        with transaction.atomic(using="default"):
            return timetable.group(1)

    first, second = stage.actor(part), stage.actor(other)
    first.to("selected")
    assert second.end() == ["old"]
    assert first.end() == ["old"]


def test_what_a_function_raises_is_raised() -> None:
    """StopIteration as well, of which a generator would make another error."""

    @cached(depends_on=[Lesson], key="stop")
    def first() -> int:
        return next(iter(()))

    with pytest.raises(StopIteration):
        first()


def test_two_that_are_named_alike_share_nothing(stage: Stage, timetable: Timetable) -> None:
    """1. A loads what depends on lessons  2. B asks for what has the same name and depends on groups too."""

    def part(actor: Actor) -> str:
        @cached(depends_on=[Lesson], key="alike")
        def one() -> str:
            actor.pause("loading")
            return "one"

        return one()

    @cached(depends_on=[Lesson, Group], key="alike")
    def two() -> str:
        return "two"

    first = stage.actor(part)
    first.to("loading")
    assert stage.actor(lambda _: two()).end() == "two"
    assert first.end() == "one"


def test_a_query_that_another_thread_builds_is_never_half_built(stage: Stage, timetable: Timetable) -> None:
    """1. a thread that makes an answer anew builds the query  2. the caller looks at the same queryset's."""
    timetable.group(3)
    lessons = timetable.cached.filter(group=3)
    assert len(lessons._pending) == 1
    filtered = QuerySet.filter

    def part(actor: Actor) -> str:
        def late(self: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.current_thread() is actor._thread:
                actor.pause("building")
            return filtered(self, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(QuerySet, "filter", late)
            return str(lessons.query)

    first = stage.actor(part)
    first.to("building")
    assert '"group_id" = 3' in str(lessons.query)
    assert '"group_id" = 3' in first.end()
