"""A connection that sees an old state of the database must not give it to others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, transaction

from tests.app.models import Lesson
from tests.concurrency.actors import Actor, Stage
from tests.concurrency.timetable import PG, Timetable

RULES = [(None, 0), ("snapshots", 1)]
SQLITE = "default"

#: Each way to a snapshot on PostgreSQL: (statement before the transaction, statement in it).
LEVELS = {
    "set transaction": ("", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
    "set local": ("", "SET LOCAL transaction_isolation = 'repeatable read'"),
    "by parameter": ("SET default_transaction_isolation TO 'serializable'", ""),
    "by function": ("SELECT set_config('default_transaction_isolation', 'repeatable read', false)", ""),
    "session": ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", ""),
}


def left_stale(stage: Stage, timetable: Timetable, seeing_the_past: Callable[[], Any]) -> int:
    """1. a reader opens a snapshot  2. a writer writes  3. the reader reads through the cache: how many are stale then.

    ``seeing_the_past()`` is a context manager, entered in the reader's thread, in which a lesson has been read.
    """

    def part(actor: Actor) -> list[str]:
        # A transaction at the usual level: what the connection learns here it must not believe for ever.
        with transaction.atomic(using=timetable.alias):
            assert timetable.group(3) == []
        with seeing_the_past():
            actor.pause("in the past")
            return timetable.group(1)

    reader = stage.actor(part)
    reader.to("in the past")
    timetable.change(title="new")
    assert reader.end() == ["old"]
    return int(timetable.group(1) != ["new"])


@pytest.mark.django_db(transaction=True, databases=["postgres"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_reader_in_a_repeatable_read_transaction(stage: Stage, timetable: Timetable, level: str) -> None:
    """1. a snapshot is taken  2. a writer commits  3. the old row is read in it: 0 stale, however the level was set."""
    before, within = LEVELS[level]

    @contextmanager
    def seeing_the_past() -> Iterator[None]:
        if before:
            timetable.run_sql(before)
        with transaction.atomic(using=PG):
            if within:
                timetable.run_sql(within)
            assert timetable.lesson.title == "old"
            yield

    assert left_stale(stage, timetable, seeing_the_past) == 0


@pytest.mark.django_db(transaction=True, databases=["postgres"])
@pytest.mark.parametrize(("rule", "stale"), RULES)
def test_a_reader_in_a_transaction_begun_by_hand(
    stage: Stage, timetable: Timetable, without: Any, rule: str | None, stale: int
) -> None:
    """A raw BEGIN … REPEATABLE READ is a snapshot as well: 0 stale."""
    without(rule)

    @contextmanager
    def seeing_the_past() -> Iterator[None]:
        timetable.run_sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert timetable.lesson.title == "old"
        yield
        timetable.run_sql("COMMIT")

    assert left_stale(stage, timetable, seeing_the_past) == stale


@pytest.mark.django_db(transaction=True, databases=["postgres"])
def test_a_reader_in_a_read_committed_transaction_fills(stage: Stage, timetable: Timetable) -> None:
    """At PostgreSQL's usual level each statement sees the latest commits, so the answer read in a block is stored."""
    with transaction.atomic(using=PG):
        assert timetable.group(1) == ["old"]

    def part(actor: Actor) -> list[str]:
        with connections[PG].execute_wrapper(no_lesson):
            return timetable.group(1)

    def no_lesson(execute: Any, sql: str, *rest: Any) -> Any:
        raise AssertionError(f"the database was asked: {sql}")

    assert stage.actor(part).end() == ["old"]


@contextmanager
def in_a_block(timetable: Timetable) -> Iterator[None]:
    # Of its own kind DEFERRED: an IMMEDIATE one would keep the writer out.
    connection: Any = connections[SQLITE]
    connection.transaction_mode = "DEFERRED"
    with transaction.atomic(using=SQLITE):
        assert timetable.lesson.title == "old"
        yield


@contextmanager
def begun_by_hand(timetable: Timetable) -> Iterator[None]:
    timetable.run_sql("BEGIN")
    assert timetable.lesson.title == "old"
    yield
    timetable.run_sql("COMMIT")


@contextmanager
def half_read(timetable: Timetable) -> Iterator[None]:
    lessons = Lesson.objects.using(SQLITE).order_by("-pk").iterator(chunk_size=1)
    assert next(lessons).pk == 2
    yield
    assert [lesson.title for lesson in lessons] == ["old"]


@contextmanager
def half_read_cursor(timetable: Timetable) -> Iterator[None]:
    with connections[SQLITE].cursor() as cursor:
        cursor.execute("SELECT title FROM app_lesson ORDER BY id DESC")
        assert cursor.fetchone() == ("other",)
        yield
        assert cursor.fetchall() == [("old",)]


@contextmanager
def half_read_driver_cursor(timetable: Timetable) -> Iterator[None]:
    # What execute() returns is the driver's cursor; Django's own is gone at once.
    rows = connections[SQLITE].cursor().execute("SELECT title FROM app_lesson ORDER BY id DESC")
    assert next(rows) == ("other",)
    yield
    assert list(rows) == [("old",)]


@contextmanager
def half_read_with(timetable: Timetable) -> Iterator[None]:
    with connections[SQLITE].cursor() as cursor:
        cursor.execute("WITH them AS (SELECT title FROM app_lesson ORDER BY id DESC) SELECT title FROM them")
        assert cursor.fetchone() == ("other",)
        yield
        assert cursor.fetchall() == [("old",)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("rule", "stale"), RULES)
@pytest.mark.parametrize(
    "way", [in_a_block, begun_by_hand, half_read, half_read_cursor, half_read_driver_cursor, half_read_with]
)
def test_a_reader_that_holds_a_snapshot_of_sqlite(
    stage: Stage, without: Any, way: Callable[[Timetable], Any], rule: str | None, stale: int
) -> None:
    """1. SQLite holds a snapshot for a block or a half-read cursor  2. a writer commits  3. it is read: 0 stale."""
    without(rule)
    timetable = Timetable(SQLITE)
    timetable.add(2, title="other", group_id=2)
    assert left_stale(stage, timetable, lambda: way(timetable)) == stale


@pytest.mark.django_db(transaction=True)
def test_a_reader_of_sqlite_that_read_its_cursor_to_the_end(stage: Stage) -> None:
    """Once a cursor is read to its end and gone it holds nothing: the next answer is stored."""
    timetable = Timetable(SQLITE)
    assert [lesson.pk for lesson in Lesson.objects.using(SQLITE).iterator()] == [1]
    assert timetable.group(1) == ["old"]
    with connections[SQLITE].execute_wrapper(lambda execute, sql, *_: pytest.fail(f"the database was asked: {sql}")):
        assert timetable.group(1) == ["old"]
