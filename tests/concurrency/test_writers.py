"""Writers cross each other, stop, die; and what the cache then says."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.db import IntegrityError, transaction

from tests.app.models import Lesson
from tests.concurrency.actors import PATIENCE, Actor, Stage, blocked
from tests.concurrency.timetable import PG, Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])

WITHOUT_MARKS = [(None, 0), ("marks", 1)]
#: A process that commits, says so, and gets no further.
MORTAL = """
import sys
import django
django.setup()
from django.db import transaction
from redis_toolkit.cache import transactions
from tests.app.models import Lesson
if sys.argv[1] == "marks":
    transactions.mark = lambda *_: None
def committed():
    print("committed", flush=True)
    sys.stdin.read()
with transaction.atomic(using="postgres"):
    transaction.on_commit(committed, using="postgres")
    lesson = Lesson.objects.using("postgres").get(pk=1)
    lesson.title = "new"
    lesson.save()
"""


def test_the_writer_has_not_committed(stage: Stage, timetable: Timetable, marked: Callable[[], set[str]]) -> None:
    """1. a writer marks and writes  2. readers read the old row  3. it commits: 0 stale before and 0 after."""

    def part(actor: Actor) -> None:
        with transaction.atomic(using=PG):
            timetable.change(group_id=2)
            actor.pause("written")

    timetable.warm()
    writer = stage.actor(part)
    writer.to("written")
    assert {name.partition("~")[0] for name in marked()} == {
        "app_lesson:*", "app_lesson:id=1", "app_lesson:slug=", "app_lesson:teacher_id=1,weekday=1,period=1",
        "app_lesson:group_id=1", "app_lesson:group_id=2", "app_lesson:teacher_id=1", "app_lesson:room_id=1,weekday=1",
    }  # fmt: skip
    assert [timetable.stale(), timetable.stale()] == [0, 0]
    writer.end()
    assert [timetable.stale(), timetable.stale(), len(marked())] == [0, 0, 0]


@pytest.mark.parametrize(("rule", "stale"), WITHOUT_MARKS)
def test_the_writer_has_committed_and_not_unmarked(
    stage: Stage, timetable: Timetable, without: Any, rule: str | None, stale: int
) -> None:
    """1. a writer commits  2. a reader asks  3. the writer unmarks: 0 stale."""

    def part(actor: Actor) -> None:
        with actor.pausing_before_unmark("committed", PG):
            timetable.change(title="new")

    without(rule)
    assert timetable.group(1) == ["old"]
    writer = stage.actor(part)
    writer.to("committed")
    assert int(timetable.group(1) != ["new"]) == stale
    writer.end()
    assert timetable.group(1) == ["new"]


@pytest.mark.parametrize(("rule", "stale"), WITHOUT_MARKS)
def test_the_writer_is_killed_after_its_commit(
    timetable: Timetable, django_environment: dict[str, str], marks_run_out: Callable[[], int],
    rule: str | None, stale: int,
) -> None:  # fmt: skip
    """1. a writer commits  2. it is killed  3. its marks run out: 0 stale before, 0 after, and 1 answer is stored."""
    assert timetable.group(1) == ["old"]
    command = [sys.executable, "-c", MORTAL, str(rule)]
    with subprocess.Popen(
        command, env=django_environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "committed\n"
        assert int(timetable.group(1) != ["new"]) == stale
        writer.send_signal(signal.SIGKILL)
        assert writer.wait(PATIENCE) == -signal.SIGKILL
    assert int(timetable.group(1) != ["new"]) == stale
    assert marks_run_out() == (0 if rule else 7)
    assert [int(timetable.group(1) != ["new"]) for _ in range(2)] == [stale, stale]


def test_a_statement_in_autocommit_is_marked_between_it_and_its_commit(
    stage: Stage, timetable: Timetable, marked: Callable[[], set[str]]
) -> None:
    """1. an UPDATE is done, 0 stamps are marked  2. a reader stores the old row  3. marks, COMMIT, unmark: 0 stale."""

    def part(actor: Actor) -> None:
        with actor.pausing_after("UPDATE", "app_lesson", "updated", PG):
            timetable.change(title="new")

    writer = stage.actor(part)
    writer.to("updated")
    assert [timetable.group(1), timetable.group(1), marked()] == [["old"], ["old"], set()]
    writer.end()
    assert [timetable.group(1), timetable.group(1)] == [["new"], ["new"]]


@pytest.mark.parametrize(("rule", "stale"), [(None, 0), ("row_lock", 1), ("old_values", 1)])
def test_crossing_writers_of_one_row(
    stage: Stage, timetable: Timetable, without: Any, rule: str | None, stale: int
) -> None:
    """1. A moves it 1->2  2. B, waiting, 1->3  3. A commits, list 2 is read  4. B commits: list 2 is not stale."""

    def move(to: int) -> Callable[[Actor], None]:
        def part(actor: Actor) -> None:
            actor.knows_its_server(PG)
            with transaction.atomic(using=PG):
                lesson = timetable.lesson
                lesson.group_id = to
                actor.pause("read")
                lesson.save(using=PG)
                actor.pause("written")

        return part

    without(rule)
    first, second = stage.actor(move(2)), stage.actor(move(3))
    first.to("read")
    second.to("read")
    first.to("written")
    second.go()
    blocked(second, PG)
    first.end()
    second.arrives("written")
    assert timetable.group(2) == ["old"]
    second.end()
    assert timetable.lesson.group_id == 3
    assert int(timetable.group(2) != []) == stale
    assert timetable.group(3) == ["old"]


@pytest.mark.parametrize(("rule", "stale"), [(None, 0), ("row_lock", 1), ("old_values", 1)])
def test_a_coarse_writer_and_a_fine_one_of_one_row(
    stage: Stage, timetable: Timetable, without: Any, rule: str | None, stale: int
) -> None:
    """1. A, coarse, moves it 1->2  2. B, fine, waits  3. A commits, list 2 is read  4. B moves it on: 0 stale."""

    def coarse(actor: Actor) -> None:
        with transaction.atomic(using=PG):
            timetable.run_sql("UPDATE app_lesson SET group_id = 2 WHERE weekday = 1")
            actor.pause("written")

    def fine(actor: Actor) -> None:
        actor.knows_its_server(PG)
        with transaction.atomic(using=PG):
            lesson = timetable.lesson
            lesson.group_id = 3
            actor.pause("read")
            lesson.save(using=PG)
            actor.pause("written")

    without(rule)
    first, second = stage.actor(coarse), stage.actor(fine)
    second.to("read")
    first.to("written")
    second.go()
    blocked(second, PG)
    first.end()
    second.arrives("written")
    assert timetable.group(2) == ["old"]
    second.end()
    assert [int(timetable.group(2) != []), timetable.group(3)] == [stale, ["old"]]


@pytest.mark.parametrize(("rule", "stale"), [(None, 0), ("old_values", 4)])
def test_a_list_that_the_row_leaves(timetable: Timetable, without: Any, rule: str | None, stale: int) -> None:
    """1. list 1 is read  2. the row goes, by each of 4 ways  3. list 1 is read: 0 times stale, and list 2 never."""
    without(rule)
    lessons = Lesson.objects.using(PG)
    moved = Lesson(pk=1, group_id=2)
    ways: list[Callable[[], Any]] = [
        lambda: timetable.change(group_id=2), lambda: lessons.filter(pk=1).update(group=2),
        lambda: lessons.bulk_update([moved], ["group"]), lambda: lessons.filter(pk=1)._raw_delete(PG),
    ]  # fmt: skip
    wrong = 0
    for way in ways:
        lessons.update(group=1)
        assert [timetable.group(1), timetable.group(2)] == [["old"], []]
        way()
        wrong += timetable.group(1) != []
        assert timetable.group(2) == [lesson.title for lesson in lessons.filter(group=2)]
    assert wrong == stale


@pytest.mark.parametrize(("rule", "stale"), [(None, 0), ("missing_rows", 1)])
@pytest.mark.parametrize("way", ["update", "delete"])
def test_a_row_inserted_between_the_locked_read_and_the_statement(
    stage: Stage, timetable: Timetable, without: Any, way: str, rule: str | None, stale: int
) -> None:
    """1. A looks for row 2, it is not there  2. B inserts it, list 1 is read  3. A changes it: list 1 is not stale."""

    def part(actor: Actor) -> int:
        lessons = Lesson.objects.using(PG).filter(pk=2)
        with actor.pausing_after("SELECT", "app_lesson", "looked", PG, locking=True):
            return lessons.update(group=2) if way == "update" else lessons._raw_delete(PG)

    without(rule)
    writer = stage.actor(part)
    writer.to("looked")
    timetable.add(2, title="added")
    assert timetable.group(1) == ["old", "added"]
    assert writer.end() == 1
    assert int(timetable.group(1) != ["old"]) == stale


@pytest.mark.parametrize(("rule", "stale"), [(None, 0), ("lost_marks", 1)])
def test_redis_is_emptied_between_mark_and_unmark(
    stage: Stage, timetable: Timetable, redis_client: redis.Redis, without: Any, rule: str | None, stale: int
) -> None:
    """1. a writer marks  2. Redis is emptied  3. a reader stores the old row  4. the writer commits: 0 stale."""

    def part(actor: Actor) -> None:
        with transaction.atomic(using=PG):
            timetable.change(title="new")
            actor.pause("written")

    without(rule)
    writer = stage.actor(part)
    writer.to("written")
    redis_client.flushall()
    assert [timetable.group(1), len(redis_client.keys("rt:q:*"))] == [["old"], 1]
    writer.end()
    assert int(timetable.group(1) != ["new"]) == stale


@pytest.mark.parametrize(("rule", "stale"), [(None, 0), ("own_writes", 1)])
def test_a_transaction_whose_marks_were_lost_reads_what_it_wrote(
    stage: Stage, timetable: Timetable, redis_client: redis.Redis, without: Any, rule: str | None, stale: int
) -> None:
    """1. a writer writes  2. Redis is emptied  3. it reads its own row  4. others read: 0 see what is not committed."""

    def part(actor: Actor) -> list[str]:
        with transaction.atomic(using=PG):
            timetable.change(title="new")
            redis_client.flushall()
            seen = timetable.group(1)
            actor.pause("read")
            transaction.set_rollback(True, using=PG)
        return seen

    without(rule)
    writer = stage.actor(part)
    writer.to("read")
    assert int(timetable.group(1) != ["old"]) == stale
    assert writer.end() == ["new"]


def test_a_unique_key_in_flight_is_waited_for(stage: Stage, timetable: Timetable) -> None:
    """1. A inserts row 2  2. B inserts it too and waits  3. A commits, B fails: 0 stale, and the row is found."""

    def insert(title: str) -> Callable[[Actor], None]:
        def part(actor: Actor) -> None:
            actor.knows_its_server(PG)
            with transaction.atomic(using=PG):
                actor.pause("ready")
                timetable.add(2, title=title)
                actor.pause("written")

        return part

    timetable.warm()
    first, second = stage.actor(insert("first")), stage.actor(insert("second"))
    first.to("ready")
    second.to("ready")
    first.to("written")
    second.go()
    blocked(second, PG)
    first.end()
    with pytest.raises(IntegrityError):
        second.ends()
    assert [timetable.stale(), timetable.cached.get(pk=2).title] == [0, "first"]


def test_a_delete_holds_its_row_as_fast_as_django_does(stage: Stage, timetable: Timetable) -> None:
    """1. A refers to group 3  2. B deletes group 3, and waits without a lock on it  3. A changes it: 0 deadlocks."""

    def refer(actor: Actor) -> None:
        with transaction.atomic(using=PG):
            timetable.run_sql("SET CONSTRAINTS ALL IMMEDIATE")
            timetable.add(2, group_id=3)
            actor.pause("referred")
            timetable.run_sql("UPDATE app_group SET code = 'changed' WHERE id = 3")

    def delete(actor: Actor) -> None:
        actor.knows_its_server(PG)
        actor.pause("ready")
        timetable.run_sql('DELETE FROM "app_group" WHERE "app_group"."id" = %s', 3)

    first, second = stage.actor(refer), stage.actor(delete)
    second.to("ready")
    first.to("referred")
    second.go()
    blocked(second, PG)
    first.end()
    with pytest.raises(IntegrityError):
        second.ends()
    assert timetable.stale() == 0
