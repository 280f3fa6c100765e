"""Transactions of one connection: what they see, what they leave behind, and when their marks come off."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from redis_toolkit.cache import invalidate, receivers
from redis_toolkit.core.clock import travel
from redis_toolkit.signals import cache_read
from tests.app.models import Cafe, Lesson, Place
from tests.concurrency.timetable import PG, Timetable


def on(alias: str) -> Any:
    """A parameter by which a test runs on one database, and only that is emptied after it."""
    return pytest.param(alias, marks=pytest.mark.django_db(transaction=True, databases=[alias]))


class UndoneError(Exception):
    """Rolls a block back."""


@pytest.fixture(params=[on("default"), on(PG)])
def timetable(request: pytest.FixtureRequest) -> Timetable:
    """A timetable on each database, all of it in the cache."""
    made = Timetable(request.param)
    made.warm()
    return made


@pytest.fixture
def marked(redis_client: Any) -> Callable[[], int]:
    """How many stamps are marked now."""

    def count() -> int:
        keys = redis_client.keys("rt:s:*")
        return sum(value[:1] == b"m" for value in redis_client.mget(keys)) if keys else 0

    return count


def test_a_block_sees_its_own_writes_and_stores_nothing(timetable: Timetable, redis_client: Any) -> None:
    """Inside the block the battery is answered by the database: 0 stale, 0 new entries; after it 0 stale."""
    alias = timetable.alias
    with transaction.atomic(using=alias):
        timetable.change(title="new", group_id=2)
        entries = redis_client.keys("rt:q:*") + redis_client.keys("rt:r:*")
        assert [timetable.stale(), timetable.group(2)] == [0, ["new"]]
        assert len(redis_client.keys("rt:q:*") + redis_client.keys("rt:r:*")) == len(entries)
    assert [timetable.stale(), timetable.stale()] == [0, 0]


def test_a_block_that_is_rolled_back(timetable: Timetable, marked: Callable[[], int]) -> None:
    """After the rollback 0 are stale, and the next cached read takes all the marks off."""
    with pytest.raises(UndoneError), transaction.atomic(using=timetable.alias):
        timetable.change(title="new", group_id=2)
        assert marked() == 8
        raise UndoneError
    assert [timetable.stale(), timetable.stale(), marked()] == [0, 0, 0]


def test_a_savepoint_that_is_rolled_back(timetable: Timetable, marked: Callable[[], int]) -> None:
    """The block goes on after its savepoint: 0 stale in it, 0 after, and the marks come off with the commit."""
    with transaction.atomic(using=timetable.alias):
        timetable.change(title="first")
        with pytest.raises(UndoneError), transaction.atomic(using=timetable.alias):
            timetable.change(title="second", group_id=3)
            raise UndoneError
        assert [timetable.stale(), timetable.group(1), marked()] == [0, ["first"], 8]
    assert marked() == 0
    assert [timetable.stale(), timetable.group(1)] == [0, ["first"]]


def test_the_hook_is_lost_with_a_savepoint_and_the_block_writes_again(
    timetable: Timetable, marked: Callable[[], int]
) -> None:
    """1. the first write is in a savepoint  2. it is rolled back, hook and all  3. another write: 0 marks stay."""
    with transaction.atomic(using=timetable.alias):
        with pytest.raises(UndoneError), transaction.atomic(using=timetable.alias):
            timetable.change(title="first", group_id=2)
            raise UndoneError
        timetable.change(title="second")
    assert marked() == 0
    assert [timetable.stale(), timetable.group(1)] == [0, ["second"]]


def test_the_hook_is_lost_with_a_savepoint_and_the_block_does_not_write_again(
    timetable: Timetable, marked: Callable[[], int]
) -> None:
    """Nothing was written, so nothing is wrong; the next cached read finds the marks and takes them off."""
    using = timetable.alias
    with transaction.atomic(using=using), pytest.raises(UndoneError), transaction.atomic(using=using):
        timetable.change(title="first", group_id=2)
        raise UndoneError
    assert marked() == 8
    assert [timetable.stale(), marked()] == [0, 0]


def test_nested_savepoints_released_and_rolled_back(timetable: Timetable, marked: Callable[[], int]) -> None:
    """A write in a released savepoint inside one that is rolled back, then a write outside: 0 stale, 0 marks."""
    alias = timetable.alias
    with transaction.atomic(using=alias):
        with pytest.raises(UndoneError), transaction.atomic(using=alias):
            with transaction.atomic(using=alias):
                timetable.change(group_id=2)
            raise UndoneError
        with transaction.atomic(using=alias):
            timetable.change(group_id=3)
    assert marked() == 0
    assert [timetable.stale(), timetable.group(3), timetable.group(2)] == [0, ["old"], []]


def test_hooks_of_the_user_read_what_was_committed(timetable: Timetable) -> None:
    """A hook registered before the first write, when marks still stand, and one after: both see the new row."""
    seen: list[list[str]] = []
    alias = timetable.alias
    with transaction.atomic(using=alias):
        transaction.on_commit(lambda: seen.append(timetable.group(1)), using=alias)
        timetable.change(title="new")
        transaction.on_commit(lambda: seen.append(timetable.group(1)), using=alias)
    assert seen == [["new"], ["new"]]
    assert timetable.stale() == 0


def test_a_hook_of_the_user_writes(timetable: Timetable, marked: Callable[[], int]) -> None:
    """A hook that writes in a block of its own, before ours has run: 0 stale, 0 marks."""
    alias = timetable.alias

    def again() -> None:
        with transaction.atomic(using=alias):
            assert timetable.group(1) == ["new"]
            timetable.change(title="newer", group_id=2)

    with transaction.atomic(using=alias):
        transaction.on_commit(again, using=alias)
        timetable.change(title="new")
    assert marked() == 0
    assert [timetable.stale(), timetable.group(2)] == [0, ["newer"]]


def test_a_hook_of_the_user_fails(timetable: Timetable, marked: Callable[[], int]) -> None:
    """A hook that raises takes ours with it: 0 stale all the same, and the next read takes the marks off."""

    def fail() -> None:
        raise UndoneError

    with pytest.raises(UndoneError), transaction.atomic(using=timetable.alias):
        transaction.on_commit(fail, using=timetable.alias)
        timetable.change(title="new", group_id=2)
    assert marked() == 8
    assert [timetable.stale(), marked()] == [0, 0]


def test_autocommit_leaves_no_marks(timetable: Timetable, marked: Callable[[], int]) -> None:
    """Each way to write a row outside a block has taken its marks off when it returns."""
    lessons, alias = Lesson.objects.using(timetable.alias), timetable.alias
    left = []
    for way in (
        lambda: Place(name="x").save(using=alias), lambda: timetable.add(2), lambda: timetable.change(title="new"), lambda: lessons.filter(pk=2).update(group=2),
        lambda: lessons.filter(group=2).update(weekday=2), lambda: lessons.get(pk=1).students.add(1),
        lambda: Cafe(name="z").save(using=alias), lambda: lessons.get_or_create(slug="ada"),
        lambda: lessons.filter(pk=2).delete(), lambda: invalidate(Lesson, using=alias),
    ):  # fmt: skip
        way()
        left.append(marked())
    assert left == [0] * 10
    assert timetable.stale() == 0


def test_autocommitted_bulk_create(timetable: Timetable, marked: Callable[[], int]) -> None:
    """Where it is one INSERT … RETURNING, SQLite commits it too late for us: its marks go with the next read."""
    Place.objects.using(timetable.alias).bulk_create([Place(name="y")])
    assert marked() in ({0, 3} if timetable.alias == "default" else {0})
    assert [timetable.stale(), marked()] == [0, 0]


def test_a_failed_statement_leaves_no_marks(timetable: Timetable, marked: Callable[[], int]) -> None:
    """An INSERT that meets the same key leaves 0 marks, alone and in a block that is rolled back."""
    with pytest.raises(DatabaseError):
        Lesson(pk=1, slug="ada", group_id=2, teacher_id=1).save(using=timetable.alias, force_insert=True)
    assert marked() == 0
    with pytest.raises(DatabaseError), transaction.atomic(using=timetable.alias):
        Lesson(pk=1, slug="ada", group_id=2, teacher_id=1).save(using=timetable.alias, force_insert=True)
    assert [timetable.stale(), marked()] == [0, 0]


def test_transactions_without_autocommit(timetable: Timetable, marked: Callable[[], int]) -> None:
    """With autocommit off: the writer sees its row, commit and rollback leave 0 stale and, at the next read, 0 marks."""
    alias = timetable.alias
    transaction.set_autocommit(False, using=alias)
    try:
        timetable.run_sql("BEGIN") if alias == "default" else None
        timetable.change(title="new")
        assert [timetable.group(1), marked() > 0] == [["new"], True]
        transaction.rollback(using=alias)
        assert [timetable.group(1), marked()] == [["old"], 0]
        # Else SQLite would begin with the block's savepoint, and commit with it.
        timetable.run_sql("BEGIN") if alias == "default" else None
        with transaction.atomic(using=alias):
            timetable.change(title="newer")
        assert [timetable.group(1), marked() > 0] == [["newer"], True]
        transaction.commit(using=alias)
        assert [timetable.group(1), marked()] == [["newer"], 0]
    finally:
        transaction.rollback(using=alias)
        transaction.set_autocommit(True, using=alias)
    assert timetable.stale() == 0


def test_a_transaction_begun_by_hand(timetable: Timetable, marked: Callable[[], int]) -> None:
    """A raw BEGIN, of which Django knows nothing: the marks stand until the raw COMMIT or ROLLBACK."""
    for ending, titles in (("ROLLBACK", ["old"]), ("COMMIT", ["new"])):
        timetable.run_sql("BEGIN")
        timetable.change(title="new")
        assert [timetable.group(1), marked() > 0] == [["new"], True]
        timetable.run_sql(ending)
        assert marked() == 0
        assert [timetable.group(1), timetable.stale()] == [titles, 0]


@pytest.mark.parametrize("timetable", [on("default")], indirect=True)
def test_returned_rows_that_nobody_has_fetched_yet(timetable: Timetable, marked: Callable[[], int]) -> None:
    """SQLite commits a RETURNING statement with its last row: until the cursor is gone its marks stand."""
    with connections["default"].cursor() as cursor:
        cursor.execute("UPDATE app_lesson SET title = 'new' WHERE id > 0 RETURNING id")
        timetable.group(1)
        assert marked() == 1
        assert cursor.fetchall() == [(1,)]
    del cursor
    assert [timetable.group(1), marked()] == [["new"], 0]


@pytest.mark.parametrize("timetable", [on(PG)], indirect=True)
def test_marks_are_made_again_after_half_their_life(timetable: Timetable, redis_client: Any) -> None:
    """A statement before half of MARK_TTL makes none of 8 lost marks again, one after it makes all 8, a read too."""

    def lose() -> int:
        keys = [key for key in redis_client.keys("rt:s:*") if redis_client.get(key)[:1] == b"m"]
        return redis_client.delete(*keys) if keys else 0

    with transaction.atomic(using=PG):
        timetable.change(title="new", group_id=2)
        assert lose() == 8
        with travel(25):
            timetable.change(title="newer")
            assert timetable.lesson.title == "newer"
            assert lose() == 0
        with travel(31):
            assert timetable.lesson.title == "newer"
            assert lose() == 8
        with travel(62):
            timetable.change(title="newest")
            assert lose() == 8
    assert timetable.stale() == 0


@pytest.mark.parametrize("timetable", [on(PG)], indirect=True)
def test_a_transaction_of_many_rows_marks_the_whole_table(timetable: Timetable, redis_client: Any) -> None:
    """500 saves of 3 stamps each, and more: never over 1,000 marks and the generation, and none after the commit."""
    most = 0
    with transaction.atomic(using=PG):
        for number in range(2, 502):
            values = {"weekday": number, "period": 1, "teacher_id": 1, "room_id": 1, "group_id": 1}
            Lesson(pk=number, slug=f"s{number}", **values).save(using=PG, force_insert=True)
            if number % 50 == 0:
                found = redis_client.mget(redis_client.keys("rt:s:postgres:app_lesson*"))
                most = max(most, sum(value[:1] == b"m" for value in found))
        assert redis_client.get("rt:s:postgres:app_lesson")[:1] == b"m"
        assert 900 < most <= 1001
        assert timetable.cached.filter(group=1).count() == 501
    assert [value[:1] for value in redis_client.mget(redis_client.keys("rt:s:*"))].count(b"m") == 0
    assert [timetable.stale(), timetable.cached.count()] == [0, 501]


class InATestCase(TestCase):
    """What django.test.TestCase does to a project that uses the cache."""

    databases = {"default", PG}

    def test_hooks_that_are_run_before_the_end_do_not_end_it(self) -> None:
        """captureOnCommitCallbacks() runs our hook while the rows can still be rolled back: 0 answers are stored."""
        outcomes: list[str] = []
        timetable = Timetable(PG)

        def heard(outcome: str, **_: Any) -> None:
            outcomes.append(outcome)

        with self.captureOnCommitCallbacks(using=PG, execute=True) as hooks:
            timetable.change(title="new")
        cache_read.connect(heard)
        try:
            assert [timetable.group(1), timetable.group(1)] == [["new"], ["new"]]
        finally:
            cache_read.disconnect(heard)
        assert [len(hooks), outcomes] == [0, ["bypass", "bypass"]]


def test_a_write_is_not_logged_as_a_failed_hook(timetable: Timetable, caplog: pytest.LogCaptureFixture) -> None:
    """Our hook raises nothing, which Django would only log."""
    with caplog.at_level(logging.ERROR), transaction.atomic(using=timetable.alias):
        timetable.change(title="new")
    assert caplog.records == []


def test_a_value_that_no_driver_takes(timetable: Timetable, marked: Callable[[], int]) -> None:
    """A write that fails in the driver, with no error of a database, leaves no marks."""
    with pytest.raises(UnicodeEncodeError):
        Lesson.objects.using(timetable.alias).filter(title="old").update(title="\ud800")
    assert marked() == 0


def test_columns_that_are_not_there_yet(timetable: Timetable, redis_client: Any) -> None:
    """While a migration runs no old values are read, for their columns may be missing: the whole table is marked."""
    seen: list[Any] = []
    receivers.before_migrate()
    with CaptureQueriesContext(connections[timetable.alias]) as it, transaction.atomic(using=timetable.alias):
        Lesson.objects.using(timetable.alias).filter(pk=1).update(title="new")
        seen = [redis_client.get(f"rt:s:{timetable.alias}:app_lesson")[:1]]
    receivers.on_migrate()
    assert seen == [b"m"]
    assert not any(query["sql"].startswith("SELECT") for query in it.captured_queries)
    assert [timetable.stale(), timetable.group(1)] == [0, ["new"]]
    timetable.change(title="newer")
    assert timetable.group(1) == ["newer"]


class WithHooks(TestCase):
    """Hooks as Django's documentation has them counted."""

    databases = {PG}

    def test_the_only_hooks_are_the_projects(self) -> None:
        """captureOnCommitCallbacks() around a first write finds 0 hooks of ours."""
        with self.captureOnCommitCallbacks(using=PG) as hooks:
            Timetable(PG).change(title="new")
        assert hooks == []


@pytest.mark.parametrize("fails", [False, True])
def test_somebody_reads_around_a_statement_that_is_not_committed(timetable: Timetable, fails: bool) -> None:
    """1. UPDATE  2. a wrapper of the project's own reads from the cache  3. marks, COMMIT: it stored nothing."""
    timetable.warm()
    invalidate(Lesson, using=timetable.alias)
    seen: list[Any] = []

    def around(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and not seen:
            seen.append(timetable.group(1))
            if fails:
                raise ZeroDivisionError
        return result

    with suppress(ZeroDivisionError), connections[timetable.alias].execute_wrapper(around):
        Lesson.objects.using(timetable.alias).filter(pk=1).update(title="new")
    assert seen == [["new"]]
    assert timetable.group(1) == (["old"] if fails else ["new"])
    assert timetable.stale() == 0
