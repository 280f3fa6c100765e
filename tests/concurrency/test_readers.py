"""A reader has its rows and has not stored them yet when a writer comes by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.db import transaction
from django.db.models import Max

from redis_toolkit.signals import cache_read
from tests.app.models import Lesson
from tests.battery import paged
from tests.concurrency.actors import Actor, Stage
from tests.concurrency.timetable import PG, Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])

#: One of each way to an answer; the lesson's move to group 2 under a new title changes them all.
READS: dict[str, Callable[[Any], Any]] = {
    "get by key": lambda m: (m.get(pk=1).group_id, m.get(pk=1).title),
    "get by unique field": lambda m: m.get(slug="ada").title,
    "in_bulk": lambda m: m.in_bulk([1, 2])[1].title,
    "list": lambda m: [lesson.pk for lesson in m.filter(group=1)],
    "values": lambda m: list(m.filter(group__in=[1, 2]).values_list("title", flat=True)),
    "join": lambda m: [lesson.group.code for lesson in m.select_related("group")],
    "count": lambda m: m.filter(group=1).count(),
    "exists": lambda m: m.filter(group=1).exists(),
    "aggregate": lambda m: m.aggregate(last=Max("title")),
    "page": lambda m: [lesson.pk for lesson in paged(m.filter(group=1), "pk")],
    "null": lambda m: [lesson.title for lesson in m.filter(pk__in=[2, 1])],
}


def slow_reader(stage: Stage, timetable: Timetable, read: Callable[[Any], Any]) -> Actor:
    """A reader who has its rows and not stored them yet."""

    def part(actor: Actor) -> Any:
        with actor.pausing_after("SELECT", "app_lesson", "selected", PG):
            return read(timetable.cached)

    reader = stage.actor(part)
    reader.to("selected")
    return reader


def wrong(timetable: Timetable) -> list[str]:
    """Which of the reads the cache answers differently from the database."""
    return [name for name, read in READS.items() if read(timetable.cached) != read(Lesson.objects.using(PG))]


@pytest.mark.parametrize(("rule", "stale"), [(None, 0), ("stamps_first", 11)])
def test_the_reader_stores_after_the_unmark(
    stage: Stage, timetable: Timetable, without: Any, rule: str | None, stale: int
) -> None:
    """1. a reader reads the old row  2. a writer marks, commits, unmarks  3. the reader stores: 0 of 11 are stale."""
    without(rule)
    readers = [slow_reader(stage, timetable, read) for read in READS.values()]
    timetable.change(title="new", group_id=2)
    for reader in readers:
        reader.end()
    assert len(wrong(timetable)) == stale


def test_the_reader_stores_while_the_writer_has_marked_and_not_committed(stage: Stage, timetable: Timetable) -> None:
    """1. a reader reads  2. a writer marks and writes  3. the reader stores  4. the writer commits: 0 of 11 stale."""
    readers = [slow_reader(stage, timetable, read) for read in READS.values()]
    with transaction.atomic(using=PG):
        timetable.change(title="new", group_id=2)
        for reader in readers:
            reader.end()
    assert [wrong(timetable), wrong(timetable)] == [[], []]


def test_the_reader_begins_while_the_writer_has_marked_and_not_committed(
    stage: Stage, timetable: Timetable, redis_client: redis.Redis
) -> None:
    """1. a writer marks and writes  2. a reader reads the old row  3. the writer commits: 0 entries were stored."""
    outcomes: list[str] = []

    def heard(outcome: str, **_: Any) -> None:
        outcomes.append(outcome)

    reader = stage.actor(lambda actor: timetable.group(1))
    cache_read.connect(heard)
    try:
        with transaction.atomic(using=PG):
            timetable.change(title="new")
            assert reader.end() == ["old"]
    finally:
        cache_read.disconnect(heard)
    assert outcomes == ["bypass"]
    assert redis_client.keys("rt:q:*") == []
    assert timetable.group(1) == ["new"]


def test_two_readers_and_the_slower_one_is_out_of_date(stage: Stage, timetable: Timetable) -> None:
    """1. A reads  2. a writer comes and goes  3. B reads and stores the new row  4. A stores the old one: 0 stale."""
    read = READS["list"]
    reader = slow_reader(stage, timetable, read)
    timetable.change(group_id=2)
    assert read(timetable.cached) == []
    assert reader.end() == [1]
    assert [read(timetable.cached), read(timetable.cached)] == [[], []]


def test_a_row_that_was_not_there_is_inserted_meanwhile(stage: Stage, timetable: Timetable) -> None:
    """1. a reader finds no row 2  2. it is inserted  3. the reader stores its absence: 0 of 3 reads miss the row."""
    reads = [READS["null"], lambda m: m.filter(pk=2).count(), lambda m: sorted(m.in_bulk([1, 2]))]
    readers = [slow_reader(stage, timetable, read) for read in reads]
    timetable.add(2)
    assert [reader.end() for reader in readers] == [["old"], 0, [1]]
    assert [read(timetable.cached) for read in reads] == [["old", "old"], 1, [1, 2]]


def test_stamps_that_were_lost_between_the_readers_question_and_its_store(
    stage: Stage, timetable: Timetable, redis_client: redis.Redis
) -> None:
    """1. a reader reads  2. Redis is emptied  3. a writer writes  4. the reader stores: 0 stale."""
    read = READS["list"]
    reader = slow_reader(stage, timetable, read)
    redis_client.flushall()
    timetable.change(group_id=2)
    reader.end()
    assert read(timetable.cached) == []
