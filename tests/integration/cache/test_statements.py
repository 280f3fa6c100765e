"""Statements nobody would expect: each is run on a warm cache, and then nothing in it may be stale."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, connections
from django.db.models import Case, F, OuterRef, Subquery, Value, When
from django.db.models.functions import Concat, Lower
from psycopg import sql as composed

from tests.app.models import Badge, Group, Lesson, Line, Stop, Ticket
from tests.concurrency.timetable import PG, Timetable

SQLITE = "default"


def on(alias: str) -> Any:
    """A parameter by which a test runs on one database, and only that is emptied after it."""
    return pytest.param(alias, marks=pytest.mark.django_db(transaction=True, databases=[alias]))


EVERYWHERE: list[tuple[str, list[Any] | None]] = [
    ("UPDATE app_lesson SET group_id = 2", None),
    ("update App_Lesson set GROUP_ID = 2 where ID = %s", [1]),
    ('UPDATE "app_lesson" SET "group_id" = %s WHERE "app_lesson"."id" = %s', [2, 1]),
    ('UPDATE "app_lesson" SET "group_id" = %s WHERE "app_lesson"."id" = %s', ["2", "1"]),
    ('UPDATE "app_lesson" SET "group_id" = 2 WHERE "app_lesson"."id" = %s', [1]),
    ('UPDATE "app_lesson" SET "group_id" = "weekday" + 1 WHERE "app_lesson"."id" = %s', [1]),
    ('UPDATE "app_lesson" SET "title" = \'it\'\'s, "group_id" = 1 WHERE \', "group_id" = %s WHERE "app_lesson"."id" = %s',
     [2, 1]),
    ('UPDATE "app_lesson" SET "title" = %s -- \'\n, "group_id" = %s -- \'\n WHERE "app_lesson"."id" = %s', ["x", 2, 1]),
    ('UPDATE "app_lesson" SET "title" = %s /* " */, "group_id" = %s /* " */ WHERE "app_lesson"."id" = %s', ["x", 2, 1]),
    ('UPDATE "app_lesson" SET "title" = CASE WHEN %s = 1 THEN %s ELSE NULL END, "group_id" = (SELECT 2) '
     'WHERE "app_lesson"."id" = %s', [1, "x", 1]),
    ('UPDATE "app_lesson" SET ("title", "group_id") = (%s, %s) WHERE "app_lesson"."id" = %s', ["x", 2, 1]),
    ('UPDATE "app_lesson" SET "id" = %s WHERE "app_lesson"."id" = %s', [3, 1]),
    ("/* hello */ UPDATE app_lesson SET group_id = 2", None),
    ("-- hello\nDELETE FROM app_lesson", None),
    ('  \n DELETE FROM "app_lesson" WHERE id IN (SELECT 1)', None),
    ("WITH x AS (SELECT 2 AS g) UPDATE app_lesson SET group_id = (SELECT g FROM x)", None),
    ("INSERT INTO app_lesson (id, title, slug, group_id, teacher_id, weekday, period, notes)"
     " SELECT 2, 'x', 'bob', 1, 1, 1, 2, '{}'", None),
    ("INSERT INTO app_lesson (id, title, slug, group_id, teacher_id, weekday, period, notes)"
     " VALUES (1, 'x', 'ada', 2, 1, 1, 1, '{}') ON CONFLICT (id) DO UPDATE SET group_id = excluded.group_id", None),
    ("UPDATE app_group SET code = 'x' WHERE id = 1", None),
    ("INSERT INTO app_lesson_students (lesson_id, student_id) VALUES (1, 1)", None),
]  # fmt: skip
ON_POSTGRESQL: list[tuple[Any, list[Any] | None]] = [
    (r"""UPDATE "app_lesson" SET "title" = E'it\'s', "group_id" = 2, "slug" = E'it\'s' WHERE "app_lesson"."id" = %s""", [1]),
    ("""UPDATE "app_lesson" SET "title" = $$it's$$, "group_id" = 2, "slug" = $$it's$$ WHERE "app_lesson"."id" = %s""", [1]),
    ('UPDATE "public"."app_lesson" SET "group_id" = 2', None),
    ("UPDATE ONLY app_lesson SET group_id = 2", None),
    ("WITH gone AS (DELETE FROM app_lesson_students), x AS (UPDATE app_lesson SET group_id = 2 RETURNING id)"
     " SELECT id FROM x", None),
    ("MERGE INTO app_lesson USING app_group g ON g.id = 2 WHEN MATCHED THEN UPDATE SET group_id = g.id", None),
    ("DO $$ BEGIN UPDATE app_lesson SET group_id = 2; END $$", None),
    ("-- nightly\nDO $$ BEGIN EXECUTE 'UPDATE app_' || 'lesson SET group_id = 2'; END $$", None),
    ("DO LANGUAGE plpgsql 'BEGIN EXECUTE ''UPDATE app_'' || ''lesson SET group_id = 2''; END'", None),
    (r'UPDATE U&"app\005Flesson" SET group_id = 2', None),
    ("SELECT 1; UPDATE app_lesson SET group_id = 2", None),
    ("EXPLAIN ANALYZE UPDATE app_lesson SET group_id = 2", None),
    ("TRUNCATE app_lesson CASCADE", None),
    ("TRUNCATE app_group CASCADE", None),
    ("truncate table only app_teacher restart identity cascade", None),
    ("ALTER TABLE app_lesson ALTER COLUMN period TYPE integer USING period + 1", None),
    (b"UPDATE app_lesson SET group_id = 2", None),
    (composed.SQL("UPDATE {} SET group_id = {}").format(composed.Identifier("app_lesson"), composed.Literal(2)), None),
]  # fmt: skip
ON_SQLITE: list[tuple[str, list[Any] | None]] = [
    ('UPDATE "APP_LESSON" SET "group_id" = %s WHERE "APP_LESSON"."id" = %s', [2, 1]),
    ('UPDATE "app_lesson" SET "GROUP_ID" = %s WHERE "app_lesson"."id" = %s', [2, 1]),
    ('DELETE FROM "App_Lesson" WHERE "App_Lesson"."id" = %s', [1]),
    ("UPDATE [app_lesson] SET group_id = 2", None),
    ("UPDATE 'app_lesson' SET group_id = 2", None),
    ("UPDATE main.app_lesson SET group_id = 2", None),
    ("UPDATE OR IGNORE app_lesson SET group_id = 2", None),
    ("REPLACE INTO app_lesson (id, title, slug, group_id, teacher_id, weekday, period, notes)"
     " VALUES (1, 'x', 'ada', 2, 1, 1, 1, '{}')", None),
    ('INSERT OR REPLACE INTO "app_lesson" ("id", "title", "slug", "group_id", "teacher_id", "weekday", "period", "notes")'
     " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", [1, "x", "ada", 2, 1, 1, 1, "{}"]),
]  # fmt: skip


#: What puts a timetable back.
AFRESH = (
    "DELETE FROM app_lesson_students", "DELETE FROM app_lesson",
    "INSERT INTO app_group (id, code) VALUES (1, 'g1'), (2, 'g2'), (3, 'g3')"
    " ON CONFLICT (id) DO UPDATE SET code = excluded.code",
    "INSERT INTO app_teacher (id, name) VALUES (1, 't1'), (2, 't2') ON CONFLICT DO NOTHING",
)  # fmt: skip
ASKED = ("get pk 1", "get slug ada", "in_bulk", "group 1", "group 2", "count of group 1", "room 2 on day 1", "two groups",
         "of a student", "sum")  # fmt: skip


def stale_after(timetable: Timetable, ways: dict[str, Callable[[], Any]]) -> dict[str, int]:
    """For each way to write that left anything stale: how many answers."""
    wrong = {}
    for name, way in ways.items():
        for sql in AFRESH:
            timetable.run_sql(sql)
        timetable.add(1)
        assert timetable.stale(*ASKED) == 0
        way()
        number = timetable.stale(*ASKED)
        if number:
            wrong[name] = number
    return wrong


@pytest.mark.parametrize("alias", [on(SQLITE), on(PG)])
def test_raw_statements(alias: str) -> None:
    """After each of some 30 raw statements, on each database, 0 cached answers are stale."""
    timetable = Timetable(alias)

    def run(sql: Any, params: Any) -> Callable[[], None]:
        def way() -> None:
            with suppress(DatabaseError), connections[alias].cursor() as cursor:
                cursor.execute(sql, params)

        return way

    statements = [*EVERYWHERE, *(ON_SQLITE if alias == SQLITE else ON_POSTGRESQL)]
    assert stale_after(timetable, {str(sql): run(sql, params) for sql, params in statements}) == {}


@pytest.mark.parametrize("alias", [on(SQLITE), on(PG)])
def test_expressions_in_updates(alias: str) -> None:
    """After updates whose new values only the database knows 0 cached answers are stale."""
    timetable = Timetable(alias)
    lessons = Lesson.objects.using(alias)
    one = lessons.filter(pk=1)
    second = Subquery(Group.objects.filter(pk=2).values("pk"))
    ways: dict[str, Callable[[], Any]] = {
        "F": lambda: one.update(group=F("group") + 1),
        "subquery": lambda: one.update(group=second),
        "value": lambda: one.update(group=Value(2)),
        "case by key": lambda: one.update(room=Case(When(pk=1, then=Value(2)))),
        "case by another column": lambda: one.update(room=Case(When(slug="ada", then=Value(2)))),
        "case by another column of the same value": lambda: one.update(group=Case(When(teacher=1, then=Value(2)))),
        "case by another key": lambda: one.update(room=Case(When(pk=2, then=Value(2)))),
        "case with a default": lambda: one.update(room=Case(When(pk=2, then=Value(1)), default=Value(2))),
        "two cases": lambda: one.update(room=Case(When(pk=1, then=Value(2)), When(pk=1, then=Value(1)))),
        "text": lambda: one.update(slug=Concat(Lower("slug"), Value("x"))),
        "key": lambda: one.update(id=3),
        "bulk expressions": lambda: lessons.bulk_update([Lesson(pk=1, weekday=F("weekday") + 1)], ["weekday"]),
        "bulk values": lambda: lessons.bulk_update([Lesson(pk=1, room_id=2), Lesson(pk=9, room_id=1)], ["room"]),
        "many keys": lambda: lessons.filter(pk__in=[1, 2, 3]).update(group=2),
        "the same key twice": lambda: lessons.filter(pk__in=[1, 1]).update(group=2),
        "key and more": lambda: lessons.filter(pk=1, weekday=1).update(group=2),
        "correlated": lambda: lessons.update(group=Subquery(Group.objects.filter(pk=OuterRef("weekday") + 1).values("pk"))),
        "executemany": lambda: run_many(alias),
    }  # fmt: skip
    assert stale_after(timetable, ways) == {}


def run_many(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.executemany('UPDATE "app_lesson" SET "group_id" = %s WHERE "app_lesson"."id" = %s', [(3, 1), (2, 1)])


@pytest.mark.parametrize("alias", [on(SQLITE), on(PG)])
def test_text_that_the_database_cuts(alias: str) -> None:
    """PostgreSQL drops blanks beyond a column's length as it stores a value: the list by that value is not stale."""
    timetable = Timetable(alias)
    badges = Badge.cached.db_manager(alias)
    label = "x" * 20
    assert badges.filter(label=label).count() == 0
    try:
        badge = Badge(owner_id=timetable.cached.get(pk=1).pk, label=label + "  ")
        badge.save(using=alias)
    except DatabaseError:
        raise AssertionError("the blanks were not cut") from None
    truth = list(Badge.cached.using(alias).nocache().filter(label=label))
    assert list(badges.filter(label=label)) == truth
    assert len(truth) == int(alias == PG)
    badge.label = label + "    "
    badges.filter(pk=badge.pk).update(label="y")
    assert badges.filter(label=label).count() == 0
    badge.save(using=alias)
    assert badges.filter(label=label).count() == int(alias == PG)


@pytest.mark.parametrize("alias", [on(SQLITE), on(PG)])
def test_what_the_database_deletes_by_itself(alias: str) -> None:
    """A line goes, its stops with it and their tickets lose them, by one DELETE in Django 6.1: 0 of 4 ways stale."""
    lines, tickets = Line.cached.db_manager(alias), Ticket.cached.db_manager(alias)
    ways: list[Callable[[Line], Any]] = [
        lambda line: line.delete(),
        lambda line: Line.objects.using(alias).filter(pk=line.pk).delete(),
        lambda line: Line.objects.using(alias).filter(name="U1").delete(),
        lambda line: Line.objects.using(alias).all().delete(),
    ]
    seen = []
    for way in ways:
        line = Line.objects.using(alias).create(name="U1")
        stop = Stop.objects.using(alias).create(line=line, name="Rotes Tor")
        ticket = Ticket.objects.using(alias).create(stop=stop)
        for _ in range(2):
            assert [tickets.filter(stop=stop.pk).count(), tickets.get(pk=ticket.pk).stop_id] == [1, stop.pk]
            assert lines.filter(stop__name="Rotes Tor").count() == 1
        way(line)
        seen.append((tickets.filter(stop=stop.pk).count(), tickets.get(pk=ticket.pk).stop_id, lines.count()))
        assert lines.filter(stop__name="Rotes Tor").count() == 0
    assert seen == [(0, None, 0)] * 4
