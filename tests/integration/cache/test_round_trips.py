"""What the cache costs, counted: round trips, commands of Redis, queries and compilations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from django.db import transaction

from redis_toolkit.cache import flights, invalidate
from redis_toolkit.core.connections import link
from tests.app.models import Lesson, Unwatched
from tests.integration.cache.term import Term

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

READS: dict[str, Callable[[Term], Any]] = {
    "get": lambda term: term.cached.get(pk=term.lessons[5].pk),
    "get by slug": lambda term: term.cached.get(slug="lesson-5"),
    "get by a constraint": lambda term: term.cached.get(teacher=term.teachers[0], weekday=3, period=5),
    "in_bulk of 50": lambda term: term.cached.in_bulk([lesson.pk for lesson in term.lessons]),
    "list with 3 relations": lambda term: list(
        term.cached.filter(group=term.groups[5]).select_related("group", "teacher", "room").order_by("weekday")
    ),
    "count": lambda term: term.cached.filter(group=term.groups[5]).count(),
    "exists": lambda term: term.cached.filter(group=term.groups[5]).exists(),
    "values": lambda term: list(term.cached.filter(group=term.groups[5]).values("title")),
    "values of a relation": lambda term: list(term.cached.filter(group=term.groups[5]).values("title", "room__code")),
    "slice": lambda term: list(term.cached.filter(group=term.groups[5]).order_by("pk")[1:3]),
    "first": lambda term: term.cached.filter(group=term.groups[5]).order_by("pk").first(),
    "everything": lambda term: list(term.cached.all()),
}

#: What a save in autocommit asks. Django logs a statement when it is done, and ours run around it.
SAVE = ["BEGIN", "SELECT", "COMMIT", "UPDATE"]


class Trips:
    """Round trips of this thread, and commands the server carried out, those of scripts included."""

    def __init__(self) -> None:
        self.count = 0
        self.commands: dict[str, int] = {}


@pytest.fixture
def trips(redis_client: redis.Redis) -> Callable[[], Any]:
    """Counters of what a block asks of Redis: ``with`` this called ``as it``, then look at it."""

    def calls() -> dict[str, int]:
        stats = redis_client.info("commandstats")
        return {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}

    @contextmanager
    def counted() -> Iterator[Trips]:
        it = Trips()
        commands, before = calls(), link().round_trips
        yield it
        it.count = link().round_trips - before
        it.commands = {
            name: number - commands.get(name, 0)
            for name, number in calls().items()
            if name != "info" and number > commands.get(name, 0)
        }

    return counted


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_hit_is_one_round_trip(term, trips, cost, read):
    """A hit is 1 MGET, 0 queries and 0 compilations of SQL; the miss before it is 3 round trips and 1 query."""
    term.grow(50)
    with cost() as missed, trips() as first:
        answer = read(term)
    with cost() as hit, trips() as second:
        assert read(term) == answer
    assert (first.count, missed.queries) == (3, 1)
    assert (second.count, second.commands) == (1, {"mget": 1})
    assert (hit.queries, hit.compilations) == (0, 0)
    assert [outcome for _, outcome in (*missed.outcomes, *hit.outcomes)] == ["miss", "hit"]


def test_a_miss_whose_stamps_stand_is_two_round_trips(term, trips, monkeypatch):
    """Where others made the stamps, and the load is quick, a miss is 2 round trips: MGET and SET."""
    monkeypatch.setattr(flights, "_WORTH", 60.0)
    term.cached.filter(group=term.groups[4]).count()
    list(term.cached.filter(group=term.groups[5]))
    with trips() as it:
        term.cached.filter(group=term.groups[5]).count()
    assert (it.count, it.commands) == (2, {"mget": 1, "set": 1})


def test_a_save_that_moves_nothing(term, trips, cost):
    """save() of a cached model: 2 round trips; 1 query more than Django's own, in a transaction with it."""
    lesson = term.again(5)
    lesson.title = "new"
    with cost() as it, trips() as seen:
        lesson.save()
    assert seen.count == 2
    assert [sql.split()[0] for sql in it.sql] == SAVE
    assert it.sql[1].endswith("FOR NO KEY UPDATE") is (term.alias == "postgres")
    assert it.failures == []


@pytest.mark.parametrize("field", ["group", "teacher", "weekday", "slug"])
def test_a_save_that_moves_a_declared_value(term, trips, cost, field):
    """save() that moves a declared or unique value: 2 round trips, too, and the same 1 query more."""
    lesson = term.again(5)
    setattr(lesson, field, {"group": term.groups[6], "teacher": term.teachers[1], "weekday": 5, "slug": "moved"}[field])
    with cost() as it, trips() as seen:
        lesson.save()
    assert seen.count == 2
    assert [sql.split()[0] for sql in it.sql] == SAVE


def test_writes_of_one_transaction_share_the_unmark(term, trips, cost):
    """Three saves in a transaction: 1 round trip each, 1 for the commit, and 1 query more for each."""
    with trips() as seen, cost() as it, transaction.atomic(using=term.alias):
        for lesson in term.lessons[:3]:
            lesson.save()
    assert seen.count == 4
    assert [sql.split()[0] for sql in it.sql] == ["BEGIN", *["SELECT", "UPDATE"] * 3, "COMMIT"]


def test_a_transaction_marks_a_row_once(term, trips):
    """Saving the same row five times more in a transaction: 0 round trips."""
    with transaction.atomic(using=term.alias):
        term.lessons[0].save()
        with trips() as seen:
            for _ in range(5):
                term.lessons[0].save()
    assert (seen.count, seen.commands) == (0, {})


def test_bulk_writes_cost_what_one_row_costs(term, trips):
    """bulk_create(), bulk_update() and update() by keys of 50 rows wait for Redis as often as of 1."""
    counts = []
    for first, many in ((100, 1), (200, 50)):
        with trips() as seen:
            rows = term.plain(Lesson).bulk_create(
                term.lesson(first + at, weekday=6, period=first + at) for at in range(many)
            )
            keys = list(term.plain(Lesson).filter(period__gte=first).values_list("pk", flat=True))
            term.plain(Lesson).bulk_update(term.plain(Lesson).filter(pk__in=keys), ["title"])
            term.plain(Lesson).filter(pk__in=keys).update(title="c")
        assert len(rows) == len(keys) == many
        counts.append(seen.count)
    assert counts == [6, 6]


def test_dropping_a_whole_model_touches_one_stamp(term, trips):
    """invalidate(Model): one stamp marked and unmarked in 2 round trips, however much is cached."""
    term.cached.in_bulk([lesson.pk for lesson in term.lessons])
    with trips() as seen:
        invalidate(Lesson, using=term.alias)
    assert (seen.count, seen.commands["evalsha"]) == (2, 2)


def test_rows_fetched_beside_are_one_round_trip_a_step(term, trips, cost):
    """A hit with prefetch_related(): 1 MGET for the rows and 1 for each step of a path, 0 queries."""
    term.lessons[5].students.add(term.students[0])
    asked = term.cached.filter(group=term.groups[5]).prefetch_related("room__building", "students")
    list(asked.all())
    with trips() as seen, cost() as it:
        (lesson,) = asked.all()
    assert [student.pk for student in lesson.students.all()] == [term.students[0].pk]
    # Its room is in no building, so there is nothing to fetch for the second step.
    assert (seen.count, seen.commands, it.queries) == (3, {"mget": 3}, 0)


def test_creating_asks_nothing_more_of_the_database(term, trips, cost):
    """A created row: 2 round trips, and Django's 1 query only."""
    lesson = term.lesson(10)
    with trips() as seen, cost() as it:
        lesson.save(using=term.alias)
    assert (seen.count, it.queries) == (2, 1)


def test_what_nobody_watches_costs_nothing(alias, trips, cost):
    """Creating, changing and deleting a row that nobody watches: 0 commands, 0 round trips, Django's queries only."""
    with trips() as seen, cost() as it:
        row = Unwatched.objects.using(alias).create(text="a")
        row.save()
        Unwatched.objects.using(alias).update(text="b")
        Unwatched.objects.using(alias).get(pk=row.pk)
        row.delete()
    assert (seen.count, seen.commands) == (0, {})
    assert [sql.split()[0] for sql in it.sql] == ["INSERT", "UPDATE", "UPDATE", "SELECT", "DELETE"]


@pytest.mark.parametrize("alias", ["default"], indirect=True)
def test_invalidation_costs_the_same_for_any_number_of_entries(term, trips, redis_client):
    """save() with 1 and with 10,000 live entries of its model: the same commands, none of which lists keys."""
    assert term.cached.filter(period=0).count() == 1
    lesson = term.again(5)
    with trips() as few:
        lesson.save()
    for at in range(100):
        term.cached.filter(period__lt=at).count()
    (key, *others) = redis_client.keys("rt:q:*")
    assert len(others) == 100
    # The other 9,900 differ from a real one in nothing but their names.
    entry = redis_client.dump(others[0])
    with redis_client.pipeline(transaction=False) as pipe:
        for at in range(9_900):
            pipe.restore(key[:-8] + b"%08d" % at, 600_000, entry, replace=True)
        pipe.execute()
    assert len(redis_client.keys("rt:q:*")) >= 10_000
    with trips() as many:
        lesson.save()
    assert many.count == few.count == 2
    # 7 stamps: `*`, the row, its slug, group, teacher, place, and teacher with weekday and period.
    assert many.commands == few.commands == {"evalsha": 14, "time": 14, "get": 14, "set": 7, "del": 7}
