"""Coroutine functions that are ``cached``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.db import connection, connections, transaction

from redis_toolkit.cache import cached
from redis_toolkit.testing.cache import assert_redis_round_trips
from tests.app.models import Badge, Lesson

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def alias():
    """Functions are answered for the one database that writes go to."""
    return "default"


@pytest.fixture
def made():
    """What the function was really called with."""
    return []


@pytest.fixture
def titles(made):
    """A coroutine function that asks the database, and is remembered."""

    @cached(depends_on=[Lesson], key="titles")
    async def load(group: int, *more: Any) -> list[str]:
        made.append(group)
        await asyncio.sleep(0)
        return [title async for title in Lesson.objects.filter(group=group).values_list("title", flat=True)]

    return load


def run(*asked):
    """What these coroutines give, one after the other, in one loop; its thread's connections are closed behind them."""

    async def all_of_them():
        try:
            return [await each for each in asked]
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(all_of_them())


def test_a_coroutine_is_awaited_once(term, titles, made, cost):
    """Of three calls one asks the database, and each returns the list that was awaited."""
    key = term.groups[5].pk
    with cost() as it:
        assert run(titles(key), titles(group=key), titles(key)) == [["Lesson 5"]] * 3
    assert made == [key]
    assert it.outcomes == [("value", "miss"), ("value", "hit"), ("value", "hit")]
    assert iscoroutinefunction(titles)


def test_what_they_cost(term, titles):
    """A hit is 1 round trip to Redis and a miss 3, as for any function."""
    key = term.groups[5].pk
    for trips in (3, 1):
        with assert_redis_round_trips(trips):
            run(titles(key))


def test_a_write_ends_them(term, titles, made):
    """Results end when a row of the model is written, by a synchronous write or an asynchronous one."""
    key = term.groups[5].pk
    run(titles(key))
    Lesson.objects.filter(group=key).update(title="new")
    assert run(titles(key), Lesson.objects.filter(group=key).aupdate(title="newer"), titles(key)) == [
        ["new"], 1, ["newer"],
    ]  # fmt: skip
    assert made == [key] * 3


def test_a_result_is_stored_under_the_stamps_from_before_it_was_awaited(term, made):
    """1. a reader awaits  2. a writer commits  3. the reader stores what it saw: the next call does not get that."""
    reading, written = asyncio.Event(), asyncio.Event()

    @cached(depends_on=[Lesson], key="slow")
    async def slow() -> str:
        title: str = (await Lesson.objects.aget(slug="lesson-5")).title
        made.append(title)
        reading.set()
        await written.wait()
        return title

    async def race():
        try:
            first = asyncio.create_task(slow())
            await reading.wait()
            await Lesson.objects.filter(slug="lesson-5").aupdate(title="new")
            written.set()
            return await first, await slow()
        finally:
            await sync_to_async(connections.close_all)()

    assert asyncio.run(race()) == ("Lesson 5", "new")
    assert made == ["Lesson 5", "new"]


def test_functions_are_awaited_side_by_side(term):
    """While one function is awaited the thread of the ORM is free: two that wait for each other both end."""
    met = asyncio.Barrier(2)

    def meeting(name: str) -> Any:
        @cached(depends_on=[Lesson], key=name)
        async def load() -> int:
            await met.wait()
            return await Lesson.objects.acount()

        return load

    async def both():
        try:
            return await asyncio.gather(meeting("one")(), meeting("two")())
        finally:
            await sync_to_async(connections.close_all)()

    assert asyncio.run(both()) == [10, 10]


def test_in_the_transaction_that_writes(term, titles, made):
    """A transaction that wrote the model, and awaits the function, is given its own writes and stores them for nobody."""
    key = term.groups[5].pk
    run(titles(key))
    with transaction.atomic():
        Lesson.objects.filter(group=key).update(title="mine")
        assert async_to_sync(titles)(key) == ["mine"]
        assert connection.in_atomic_block
        transaction.set_rollback(True)
    assert async_to_sync(titles)(key) == ["Lesson 5"]
    assert made == [key] * 3


def test_another_task_writes_on_the_same_connection(term, made):
    """1. awaited under stamps  2. another task writes, uncommitted  3. stored  4. rolled back: the next call is right."""
    reading, written = asyncio.Event(), asyncio.Event()

    @cached(depends_on=[Lesson], key="dirty")
    async def dirty() -> str:
        reading.set()
        await written.wait()
        made.append(title := (await Lesson.objects.aget(slug="lesson-5")).title)
        return title

    def begin():
        transaction.set_autocommit(False)
        Lesson.objects.filter(slug="lesson-5").update(title="never committed")

    def end():
        transaction.rollback()
        transaction.set_autocommit(True)

    async def race():
        try:
            first = asyncio.create_task(dirty())
            await reading.wait()
            await sync_to_async(begin)()
            written.set()
            seen = await first
            await sync_to_async(end)()
            return seen, await dirty()
        finally:
            await sync_to_async(connections.close_all)()

    assert asyncio.run(race()) == ("never committed", "Lesson 5")
    assert made == ["never committed", "Lesson 5"]


def test_an_error_is_no_result(term, made):
    """What a coroutine raises reaches whoever awaits it, each time; a StopIteration as Python turns it."""

    @cached(depends_on=[Lesson], key="fail")
    async def fail(error: str) -> None:
        made.append(error)
        raise {"lookup": LookupError, "stop": StopIteration}[error](error)

    for _ in range(2):
        with pytest.raises(LookupError, match="lookup"):
            run(fail("lookup"))
        with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
            run(fail("stop"))
    assert made == ["lookup", "stop"] * 2


def test_a_cancelled_call_stores_nothing(term, redis_client):
    """A task that is cancelled while it awaits leaves no entry."""
    awaiting = asyncio.Event()

    @cached(depends_on=[Lesson], key="forever")
    async def forever() -> None:
        awaiting.set()
        await asyncio.Event().wait()

    async def cancel():
        task = asyncio.create_task(forever())
        await awaiting.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(cancel())
    assert redis_client.keys("rt:f:*") == []


def test_odd_values(term, made, cost, caplog):
    """With an argument or a result that is no plain value the function is awaited each time."""

    @cached(depends_on=[Lesson], key="odd")
    async def odd(thing: Any) -> Any:
        made.append(1)
        return Badge(label="red") if thing == 1 else 2

    thing = object()
    assert run(odd(thing), odd(thing)) == [2, 2]
    assert [badge.label for badge in run(odd(1), odd(1))] == ["red", "red"]
    assert len(made) == 4
    assert caplog.messages[0].startswith("An answer was not cached: A value of type tests.app.models.school.Badge")


def test_two_ways_more(term, titles, made, cost):
    """``nocache`` awaits and stores nothing, ``refresh`` awaits and stores."""
    key = term.groups[5].pk
    with cost() as it:
        assert run(titles.nocache(key), titles(key), titles.refresh(key), titles(key)) == [["Lesson 5"]] * 4
    assert made == [key] * 3
    assert it.outcomes == [("value", "miss"), ("value", "miss"), ("value", "hit")]
