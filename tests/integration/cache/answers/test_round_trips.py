"""What reads and writes cost, counted by the server and by the database: never timed."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.db import transaction

from redis_toolkit.cache import invalidate
from redis_toolkit.core.connections import link
from tests.app.models import Badge, Group, Lesson, Room, Student, Teacher, Unwatched

FORBIDDEN = {"scan", "keys", "smembers", "sscan", "hscan", "flushdb", "flushall"}


class Trips:
    """How often a block waited for Redis, and the commands that the server counted meanwhile."""

    trips: int
    commands: dict[str, int]


@pytest.fixture
def trips(redis_client):
    """Counters of what a block costs in round trips and commands."""

    def counted():
        stats = redis_client.info("commandstats")
        return {name.removeprefix("cmdstat_"): entry["calls"] for name, entry in stats.items()}

    @contextmanager
    def counting():
        it, before = Trips(), counted()
        began = link().round_trips
        yield it
        it.trips = link().round_trips - began
        after = counted()
        own = {"info"}
        it.commands = {
            name: calls - before.get(name, 0)
            for name, calls in after.items()
            if calls != before.get(name, 0) and name not in own
        }

    return counting


@pytest.fixture
def rows(school):
    """Fifty lessons of one new group, of this test alone."""
    group = Group.objects.using(school.alias).create(code=f"new {Group.objects.using(school.alias).count()}")
    teacher = Teacher.objects.using(school.alias).create(name="new")
    room = Room.objects.using(school.alias).create(code="new", building=school.buildings[0])
    made = Lesson.objects.using(school.alias).bulk_create(
        Lesson(title=f"{at}", slug=f"{group.code}-{at}", group=group, teacher=teacher, room=room, period=at)
        for at in range(50)
    )
    # What was owed since the databases were made, before there was a server, is paid by the first read.
    Badge.cached.db_manager(school.alias).exists()
    return made


READS = {
    "get": lambda m, rows: m.get(pk=rows[0].pk),
    "get by a unique field": lambda m, rows: m.get(slug=rows[0].slug),
    "get by a constraint": lambda m, rows: m.get(teacher=rows[0].teacher, weekday=1, period=0),
    "get of nothing": lambda m, rows: m.filter(pk=10**8).first(),
    "in bulk of 50": lambda m, rows: m.in_bulk([row.pk for row in rows]),
    "list with three joins": lambda m, rows: list(
        m.filter(group=rows[0].group).select_related("room", "teacher", "group").order_by("weekday", "period")
    ),
    "list": lambda m, rows: list(m.filter(group=rows[0].group)),
    "list of everything": lambda m, rows: list(m.all()),
    "slice": lambda m, rows: list(m.filter(group=rows[0].group).order_by("pk")[3:9]),
    "values": lambda m, rows: list(m.filter(group=rows[0].group).values("title", "room__code")),
    "count": lambda m, rows: m.filter(group=rows[0].group).count(),
    "exists": lambda m, rows: m.filter(group=rows[0].group).exists(),
    "first": lambda m, rows: m.filter(group=rows[0].group).order_by("pk").first(),
}  # fmt: skip


@pytest.mark.parametrize("ask", READS.values(), ids=READS)
def test_reads(school, rows, trips, cost, ask):
    """A hit is one round trip, one MGET and no query; a miss at most three and one query."""
    manager = Lesson.cached.db_manager(school.alias)
    with trips() as it, cost() as paid:
        ask(manager, rows)
    assert (it.trips <= 3, paid.queries) == (True, 1)
    with trips() as it, cost() as paid:
        ask(manager, rows)
    assert (it.trips, it.commands, paid.queries) == (1, {"mget": 1}, 0)


def test_fetched_beside(school, rows, trips, cost):
    """With rows fetched beside, each step of the path is one round trip."""
    asked = (
        Lesson.cached.db_manager(school.alias)
        .filter(group=rows[0].group)
        .prefetch_related("room__building", "students")
    )
    list(asked.all())
    with trips() as it, cost() as paid:
        list(asked.all())
    assert (it.trips, it.commands, paid.queries) == (4, {"mget": 4}, 0)


def saves(alias):
    """Saves of one row, and how many round trips and extra queries each costs."""
    return {
        "plain": (lambda row: row.save(), 2),
        "one field": (lambda row: row.save(update_fields=["title"]), 2),
        "no by value moves": (lambda row: setattr(row, "title", "x") or row.save(), 2),
        "a by value moves": (lambda row: setattr(row, "weekday", 5) or row.save(), 3),
    }


@pytest.mark.parametrize("name", ["plain", "one field", "no by value moves", "a by value moves"])
def test_saves(school, rows, trips, cost, name):
    """save() waits for Redis twice, three times where a `by` value moves, and costs one query more than Django's."""
    save, wanted = saves(school.alias)[name]
    row = rows[7]
    with trips() as it, cost() as paid:
        save(row)
    assert it.trips == wanted
    statements = [
        sql.split()[0] for sql in paid.sql if sql.split()[0] not in {"BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"}
    ]
    assert statements == ["SELECT", "UPDATE"]
    if school.alias == "postgres":
        assert "FOR NO KEY UPDATE" in next(sql for sql in paid.sql if sql.startswith("SELECT"))
    assert FORBIDDEN.isdisjoint(it.commands)


def test_a_transaction_marks_once(school, rows, trips):
    """Saving one row again in a transaction marks nothing again: one round trip for all of it at the commit."""
    with transaction.atomic(using=school.alias):
        rows[0].save()
        with trips() as it:
            for _ in range(5):
                rows[0].save()
        assert it.trips == 0
        before = link().round_trips
    assert link().round_trips - before == 1


def test_unwatched_writes_cost_nothing(school, trips, cost):
    """Writes of a model that nobody watches reach Redis never, and cost no query more."""
    manager = Unwatched.objects.using(school.alias)
    for write in (
        lambda: manager.create(text="a"),
        lambda: manager.first().save(),
        lambda: manager.update(text="b"),
        lambda: manager.bulk_create([Unwatched(text="c"), Unwatched(text="d")]),
        lambda: manager.first().delete(),
        lambda: manager.all().delete(),
    ):
        with trips() as it, cost() as paid:
            write()
        assert (it.trips, it.commands) == (0, {})
        assert all(
            "app_unwatched" in sql for sql in paid.sql if sql.split()[0] in {"SELECT", "INSERT", "UPDATE", "DELETE"}
        )


def test_plain_reads_cost_nothing(school, rows, trips, cost):
    """Reads through Django's own managers reach Redis never."""
    with trips() as it, cost() as paid:
        list(Lesson.objects.using(school.alias).filter(group=rows[0].group))
        Lesson.objects.using(school.alias).get(pk=rows[0].pk)
    assert (it.trips, it.commands, paid.queries) == (0, {}, 2)


def test_invalidation_does_not_grow(school, rows, trips, redis_client):
    """save() sends the same commands, few, with one live cached query on the model and with 10,000."""
    manager = Lesson.cached.db_manager(school.alias)
    manager.get(pk=rows[0].pk)
    with trips() as one:
        rows[0].save()
    assert manager.get(pk=rows[0].pk).pk
    (key,) = redis_client.keys("rt:r:*")
    entry = redis_client.get(key)
    with redis_client.pipeline(transaction=False) as pipeline:
        for at in range(10_000):
            pipeline.set(f"rt:q:{school.alias}:{at:032x}", entry)
        pipeline.execute()
    for at in range(50):
        assert manager.filter(group=rows[0].group, period__gt=at).count() == 49 - at
    with trips() as many:
        rows[0].save()
    assert redis_client.dbsize() > 10_000
    assert (many.trips, many.commands) == (one.trips, one.commands)
    assert one.commands["evalsha"] == 14  # seven stamps: *, the key, the slug, group, teacher, pair and constraint
    assert FORBIDDEN.isdisjoint(many.commands)


def test_whole_models_are_dropped_at_one_stamp(school, rows, trips):
    """invalidate(Model) touches one stamp, however much is cached."""
    manager = Lesson.cached.db_manager(school.alias)
    manager.in_bulk([row.pk for row in rows])
    with trips() as it:
        invalidate(Lesson, using=school.alias)
    assert it.trips <= 2
    assert it.commands["evalsha"] == 2
    assert not {"scan", "keys"} & set(it.commands)


def test_bulk_writes(school, rows, trips, cost):
    """bulk_create, update by keys and delete by keys of fifty rows take as many round trips as of one."""
    counts = []
    for many in (1, 50):
        with trips() as it:
            made = Lesson.objects.using(school.alias).bulk_create(
                Lesson(
                    title="b",
                    slug=f"b{many}-{at}",
                    group=rows[0].group,
                    teacher=rows[0].teacher,
                    weekday=many + 1,
                    period=100 + at,
                )
                for at in range(many)
            )
            Lesson.objects.using(school.alias).bulk_update(made, ["title"])
            Lesson.objects.using(school.alias).filter(pk__in=[each.pk for each in made]).update(title="c")
        counts.append(it.trips)
    assert counts[0] == counts[1] <= 9


def test_rows_of_other_models_do_not_matter(school, rows, trips):
    """Each watched model's write marks its own table's stamps only."""
    Badge.cached.db_manager(school.alias).get(pk=school.badges[0].pk)
    Lesson.cached.db_manager(school.alias).get(pk=rows[0].pk)
    Student.objects.using(school.alias).filter(pk=school.students[3].pk).update(name="Hal")
    with trips() as it:
        Badge.cached.db_manager(school.alias).get(pk=school.badges[0].pk)
        Lesson.cached.db_manager(school.alias).get(pk=rows[0].pk)
    assert (it.trips, it.commands) == (2, {"mget": 2})
