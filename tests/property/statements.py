"""Writes in SQL of the project's own: names in every spelling, CTEs, remarks, many at once; and statements that fail."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db import IntegrityError, connections, transaction

from tests.app.models import Group, Lesson
from tests.property.world import MADE_UP, World, write

__all__: list[str] = []

#: With the parameters each takes, of: a group's key, a lesson's key, another lesson's key.
RAW: list[tuple[str, str]] = [
    ("UPDATE app_lesson SET group_id = %s WHERE weekday = 1", "g"),
    ('UPDATE "app_lesson" SET "group_id" = %s WHERE "app_lesson"."id" = %s', "gk"),
    ('UPDATE "app_lesson" SET "title" = \'raw\' /* , */, "group_id" = %s WHERE "app_lesson"."id" = %s', "gk"),
    ("-- a remark\nUPDATE app_lesson SET title = 'remark' WHERE id = %s", "k"),
    ("WITH m AS (SELECT id FROM app_lesson WHERE weekday = 2) UPDATE app_lesson SET title = 'cte'"
     " WHERE id IN (SELECT id FROM m) OR id = %s", "k"),
    ("delete from APP_LESSON_STUDENTS", ""),
    ("UPDATE app_teacher SET name = 'Ann'", ""),
    ("UPDATE {schema}.app_lesson SET title = 'qualified' WHERE id = %s", "k"),
    ('UPDATE "{schema}"."app_lesson" SET "group_id" = %s WHERE "id" IN (%s, %s)', "gko"),
    ("INSERT INTO app_lesson_students (lesson_id, student_id) SELECT id, 1 FROM app_lesson WHERE true"
     " ON CONFLICT DO NOTHING", ""),
    ("INSERT INTO app_group (id, code) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET code = 'd'", ""),
    ("WITH a(x) AS (SELECT 1), b(y) AS (SELECT x FROM a) INSERT INTO app_tag (content_type_id, object_id, text)"
     " SELECT (SELECT min(content_type_id) FROM app_tag), y, 'cte' FROM b"
     " WHERE EXISTS (SELECT 1 FROM app_tag)", ""),
    ("UPDATE app_lesson AS l SET title = g.code FROM app_group AS g WHERE g.id = l.group_id", ""),
    ("  \n\tUpDaTe\n\tapp_lesson\n\tSeT\n\tweekday = 3 - weekday WHERE id = %s", "k"),
    ("DELETE FROM app_chair WHERE (hall, number) IN (VALUES (1, 1), (2, 2))", ""),
    ("UPDATE app_ware SET stock = 15 - stock RETURNING id", ""),
    ("UPDATE app_place SET name = 'Rex' WHERE id IN (SELECT place_ptr_id FROM app_cafe)", ""),
]  # fmt: skip
ONE_LESSON = "UPDATE app_lesson SET weekday = %s WHERE id = %s"


@write(forms=len(RAW))
def raw_sql(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson, other = world.some(Lesson, one), world.some(Lesson, two)
    given = {"g": 1 + two % 2, "k": getattr(lesson, "pk", 0), "o": getattr(other, "pk", MADE_UP)}
    sql, wanted = RAW[form]
    schema = "public" if connections[world.alias].vendor == "postgresql" else "main"
    world.run_sql(sql.format(schema=schema), [given[name] for name in wanted])


@write(forms=5)
def raw_in_bulk(world: World, one: int, two: int, three: int, form: int) -> None:
    key = getattr(world.some(Lesson, one), "pk", 0)
    if form == 0:
        world.run_sql(ONE_LESSON, [(1, key), (2, key + 1)], many=True)
    elif form == 1:
        rows = [(MADE_UP, "a"), (MADE_UP + 1, "b")]
        world.run_sql("INSERT INTO app_basket (id, label) VALUES (%s, %s) ON CONFLICT DO NOTHING", rows, many=True)
    elif form == 2:
        # A cursor of one's own, a statement without parameters, and percent signs that are none.
        with connections[world.alias].cursor() as cursor:
            cursor.execute("UPDATE app_lesson SET title = '50%%' WHERE id = %s", [key])
            cursor.execute("UPDATE app_lesson SET slug = slug WHERE title LIKE '50%'")
    elif form == 3:
        list(world.rows(Lesson).raw("SELECT * FROM app_lesson"))
        parameters: Any = {"key": key, "day": 1 + three % 2}
        world.run_sql("UPDATE app_lesson SET weekday = %(day)s WHERE id = %(key)s", parameters)
    else:
        # What is fetched from a raw query is saved as anything else.
        for lesson in world.rows(Lesson).raw("SELECT * FROM app_lesson WHERE id = %s", [key]):
            lesson.title = f"fetched {three}"
            lesson.save()


@write(forms=6)
def fail(world: World, one: int, two: int, three: int, form: int) -> None:
    """A statement fails in the middle: in a savepoint of its own, or not, so that all is undone that was open."""
    lesson = world.some(Lesson, one)
    if lesson is None:
        return

    def stumble() -> None:
        lesson.title = f"failed {three}"
        lesson.save()
        if form % 3 == 0:
            Lesson(pk=lesson.pk, title="again", slug="again", group_id=1, teacher_id=1).save(
                using=world.alias, force_insert=True
            )
        elif form % 3 == 1:
            world.rows(Group).bulk_create([Group(pk=MADE_UP, code="z"), Group(code="z")])
        else:
            world.rows(Lesson).filter(pk=lesson.pk).update(title=None)

    if form < 3:
        with suppress(IntegrityError), transaction.atomic(using=world.alias):
            stumble()
        world.rows(Lesson).filter(pk=lesson.pk).update(period=4 + three % 4)
    else:
        stumble()
