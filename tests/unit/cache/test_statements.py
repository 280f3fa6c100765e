"""What a statement writes, read off the SQL that this Django makes for SQLite and PostgreSQL, and off SQL by hand."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.db.models import Case, F, Value, When
from django.db.models.constants import OnConflict
from django.db.models.functions import Upper
from django.db.models.sql import DeleteQuery, InsertQuery, UpdateQuery

from redis_toolkit.cache.statements import UNKNOWN, Coarse, Delete, Insert, Update, analyse, identifiers, may_write
from tests.app.models import Lesson, Teacher

WEEKDAY = Lesson._meta.get_field("weekday")
NAME = Teacher._meta.get_field("name")


def inserted(alias: str, rows: list[Any], returning: bool = False, **options: Any) -> tuple[str, Any]:
    """Django's INSERT of ``rows``."""
    model = type(rows[0])
    query = InsertQuery(model, **options)
    query.insert_values([field for field in model._meta.local_concrete_fields if field.attname != "id"], rows)
    compiler = query.get_compiler(connection=connections[alias])
    compiler.returning_fields = [model._meta.pk] if returning else None
    [statement] = compiler.as_sql()
    return statement


def updated(alias: str, rows: Any, **values: Any) -> tuple[str, Any]:
    """Django's UPDATE of a queryset's rows."""
    query = rows.query.chain(UpdateQuery)
    query.add_update_values(values)
    return query.get_compiler(connection=connections[alias]).as_sql()


def deleted(alias: str, rows: Any) -> tuple[str, Any]:
    """Django's DELETE of a queryset's rows."""
    return rows.query.chain(DeleteQuery).get_compiler(connection=connections[alias]).as_sql()


def lesson(at: int) -> Lesson:
    return Lesson(title=f"t{at}", slug=f"s{at}", group_id=at, teacher_id=2, weekday=at)


def keys(write: Update | Delete, params: Any) -> list[Any]:
    """The parameters taken for primary keys."""
    return list(params[write.keys_at : write.keys_end])


@pytest.fixture(params=("default", "postgres"))
def alias(request: pytest.FixtureRequest) -> str:
    """SQLite and PostgreSQL: their SQL is compiled, nobody connects."""
    name: str = request.param
    return name


# What Django writes


@pytest.mark.parametrize("returning", [False, True])
def test_an_insert_of_one_row(alias, returning):
    """`save` and `create`: each column's value is the parameter at its place."""
    sql, params = inserted(alias, [lesson(5)], returning)
    write = analyse(sql)
    assert isinstance(write, Insert)
    assert (write.table, "RETURNING" in sql) == ("app_lesson", returning)
    [row] = write.rows(params)
    assert list(row) == ["title", "slug", "group_id", "teacher_id", "room_id", "weekday", "period", "notes", "held"]
    assert (row["title"], row["group_id"], row["room_id"], row["weekday"]) == ("t5", 5, None, 5)


@pytest.mark.parametrize("options", [{}, {"on_conflict": OnConflict.IGNORE}])
def test_an_insert_of_many_rows(alias, options):
    """`bulk_create`: VALUES with many rows, or columns by UNNEST, and IGNORE's way of saying so."""
    sql, params = inserted(alias, [Teacher(name=name, mentor_id=at) for at, name in enumerate("abc")], **options)
    assert ("UNNEST" in sql) is (alias == "postgres")
    write = analyse(sql)
    assert list(write.rows(params)) == [{"name": name, "mentor_id": at} for at, name in enumerate("abc")]


def test_values_the_database_computes_are_unknown(alias):
    """An expression among the values hides its own column, and moves no other."""
    rows = [Teacher(name=Upper(Value("a")), mentor_id=1), Teacher(name="b", mentor_id=2)]
    sql, params = inserted(alias, rows)
    assert list(analyse(sql).rows(params)) == [{"name": UNKNOWN, "mentor_id": 1}, {"name": "b", "mentor_id": 2}]
    assert repr(UNKNOWN) == "UNKNOWN"


def test_an_upsert_is_coarse(alias):
    """Rows that were there may be changed, and nobody knows which."""
    sql, _ = inserted(
        alias,
        [Teacher(name="a")],
        on_conflict=OnConflict.UPDATE,
        update_fields=[NAME],
        unique_fields=[Teacher._meta.pk],
    )
    write = analyse(sql)
    assert isinstance(write, Coarse)
    assert "app_teacher" in write.tables


def test_an_update_of_one_row(alias):
    """`save`: the new values, and which row."""
    sql, params = updated(alias, Lesson.objects.filter(pk=7), group=4, title="x, WHERE %s")
    write = analyse(sql)
    assert isinstance(write, Update)
    assert (write.table, write.key_column, write.sets) == ("app_lesson", "id", {"group_id": 0, "title": 1})
    assert keys(write, params) == [7]


def test_an_update_of_rows_by_key(alias):
    """`update` pinned to keys."""
    sql, params = updated(alias, Lesson.objects.filter(pk__in=[7, 8, 9]), group=4)
    write = analyse(sql)
    assert (write.sets, keys(write, params)) == ({"group_id": 0}, [7, 8, 9])


def test_an_update_by_an_expression(alias):
    """The column's new value is unknown, its parameter is not taken for a key."""
    sql, params = updated(alias, Lesson.objects.filter(pk=7), weekday=F("weekday") + 1, group=4)
    write = analyse(sql)
    assert write.sets == {"weekday": UNKNOWN, "group_id": 1}
    assert keys(write, params) == [7]


def test_an_update_to_null(alias):
    """NULL is a parameter or a word, as this Django has it."""
    sql, params = updated(alias, Lesson.objects.filter(pk=7), room=None)
    write = analyse(sql)
    source = write.sets["room_id"]
    assert source == () or params[source] is None
    assert keys(write, params) == [7]


def test_a_bulk_update(alias):
    """`bulk_update`: one of the values behind THEN."""
    cases = [When(pk=pk, then=Value(day, output_field=WEEKDAY)) for pk, day in ((7, 1), (8, 2))]
    sql, params = updated(
        alias, Lesson.objects.filter(pk__in=[7, 8]), weekday=Case(*cases, output_field=WEEKDAY), group=4
    )
    write = analyse(sql)
    assert write.sets == {"weekday": (1, 3), "group_id": 4}
    assert [params[at] for at in write.sets["weekday"]] == [1, 2]
    assert keys(write, params) == [7, 8]


def test_a_bulk_update_with_nulls(alias):
    """A row that is given NULL has a key behind WHEN and, by any Django, its value or none behind THEN."""
    number = Lesson._meta.get_field("room").target_field
    rooms = ((7, None), (8, 2), (9, None), (10, 4))
    cases = [When(pk=pk, then=Value(room, output_field=number)) for pk, room in rooms]
    sql, params = updated(
        alias, Lesson.objects.filter(pk__in=[7, 8, 9, 10]), room=Case(*cases, output_field=number), group=4
    )
    write = analyse(sql)
    given = {params[at - 1]: params[at] for at in write.sets["room_id"]}
    assert {pk: given.get(pk) for pk, _ in rooms} == dict(rooms)
    assert params[write.sets["group_id"]] == 4
    assert keys(write, params) == [7, 8, 9, 10]


def test_a_delete_by_key(alias):
    """`delete`: which rows."""
    for rows, wanted in ((Lesson.objects.filter(pk=7), [7]), (Lesson.objects.filter(pk__in=[7, 8]), [7, 8])):
        sql, params = deleted(alias, rows)
        write = analyse(sql)
        assert isinstance(write, Delete)
        assert (write.table, write.key_column, keys(write, params)) == ("app_lesson", "id", wanted)


def test_writes_by_something_else_say_by_what(alias):
    """One column of an update or delete is taken for the key; whether it is one is for others to say."""
    write = analyse(updated(alias, Lesson.objects.filter(group=7), weekday=1)[0])
    assert (write.key_column, write.sets) == ("group_id", {"weekday": 0})
    assert analyse(deleted(alias, Lesson.objects.filter(group=7))[0]).key_column == "group_id"


def test_writes_by_conditions_are_coarse(alias):
    """What is not pinned to keys changes something in each table that is named."""
    lessons = Lesson.objects
    for rows in (
        lessons.all(),
        lessons.filter(weekday__gt=3),
        lessons.filter(pk=7, weekday=3),
        lessons.exclude(pk=7),
        lessons.filter(group__code="g1"),
        lessons.filter(pk__in=Teacher.objects.values("mentor")),
    ):
        for sql, _ in (updated(alias, rows, weekday=1), deleted(alias, rows)):
            write = analyse(sql)
            assert isinstance(write, Coarse)
            assert "app_lesson" in write.tables


@pytest.mark.parametrize(
    "sql",
    [
        'UPDATE "app_lesson" SET "weekday" = 1 WHERE "app_lesson"."group_id" IN (SELECT U0."id" FROM "app_group" U0)',
        'UPDATE "app_lesson" SET "weekday" = g.n FROM "app_group" g WHERE g."id" = "group_id"',
        'DELETE FROM "app_lesson" WHERE "app_lesson"."group_id" IN (SELECT U0."id" FROM "app_group" U0)',
        'INSERT INTO "app_lesson" ("title") SELECT "code" FROM "app_group" ON CONFLICT DO NOTHING',
    ],
)
def test_one_table_is_changed_and_others_are_read(sql):
    """A statement that begins as Django's own changes the table it begins with, and none that it reads."""
    write = analyse(sql)
    assert isinstance(write, Coarse)
    assert write.tables == {"app_lesson"}


@pytest.mark.parametrize(
    "sql",
    [
        'UPDATE "app_lesson" SET "weekday" = 1; UPDATE "app_group" SET "code" = 1',
        'UPDATE "app_lesson" SET "weekday" = 1 -- \n; UPDATE "app_group" SET "code" = 1',
        'WITH x AS (DELETE FROM "app_group") UPDATE "app_lesson" SET "weekday" = 1',
        'DELETE FROM "app_lesson" USING "app_group"',
        'INSERT OR REPLACE INTO "app_lesson" ("id") SELECT "id" FROM "app_group"',
        'UPDATE "app_lesson" AS x SET "weekday" = (SELECT 1 FROM "app_group")',
        "UPDATE `app_lesson` SET `weekday` = (SELECT 1 FROM `app_group`)",
    ],
)
def test_every_table_that_is_named(sql):
    """A statement that begins otherwise, or may be several, changes each table that it names."""
    write = analyse(sql)
    assert isinstance(write, Coarse)
    assert write.tables >= {"app_lesson", "app_group"}


def test_selects_write_nothing(alias):
    """Django's reads are told by their first word."""
    for rows in (Lesson.objects.filter(group=8), Lesson.objects.filter(title="; DELETE"), Lesson.objects.distinct()):
        sql, _ = rows.query.get_compiler(connection=connections[alias]).as_sql()
        assert may_write(sql) is False
        assert analyse(sql) is None


# What people write


@pytest.mark.parametrize(
    "sql",
    [
        "WITH gone AS (DELETE FROM app_lesson RETURNING id) SELECT * FROM gone",
        "WITH x AS (SELECT 1) UPDATE app_lesson SET weekday = 1",
        "  DELETE FROM app_lesson",
        "\nDELETE FROM app_lesson",
        "-- clean up\nDELETE FROM app_lesson",
        "/* clean up */ DELETE FROM app_lesson",
        "delete from app_lesson where id = %s",
        "DELETE FROM APP_LESSON",
        'DELETE FROM "app_lesson" WHERE id = %s',
        "DELETE FROM `app_lesson`",
        "DELETE FROM [app_lesson]",
        "DELETE FROM public.app_lesson",
        'DELETE FROM "public"."app_lesson" WHERE "app_lesson"."id" = %s',
        'UPDATE "main"."app_lesson" SET "weekday" = %s WHERE "app_lesson"."id" = %s',
        'UPDATE app_lesson AS l SET weekday = 1 WHERE l."id" = %s',
        "SELECT 1; UPDATE app_lesson SET weekday = 1",
        "SELECT ';'; DELETE FROM app_lesson",
        "EXPLAIN ANALYZE DELETE FROM app_lesson",
        "explain (analyze) update app_lesson set weekday = 1",
        "COPY app_lesson FROM STDIN",
        "TRUNCATE app_lesson, app_room",
        'TRUNCATE TABLE "app_lesson" CASCADE',
        "INSERT INTO app_lesson SELECT * FROM app_lesson",
        'INSERT INTO "app_lesson" DEFAULT VALUES',
        'INSERT INTO "app_lesson" ("title") SELECT "name" FROM "app_teacher"',
        "REPLACE INTO app_lesson VALUES (1)",
        "MERGE INTO app_lesson USING x ON true WHEN MATCHED THEN DO NOTHING",
        "DO $$ BEGIN UPDATE app_lesson SET weekday = 1; END $$",
        "ALTER TABLE app_lesson ADD COLUMN x int",
        "DROP TABLE app_lesson",
        "CREATE TRIGGER t AFTER INSERT ON app_lesson BEGIN SELECT 1; END",
        "REFRESH MATERIALIZED VIEW app_lesson",
        "PREPARE p AS DELETE FROM app_lesson",
        "LOAD DATA INFILE 'x' INTO TABLE app_lesson",
        'UPDATE "app_lesson" SET ("weekday", "period") = (%s, %s) WHERE "app_lesson"."id" = %s',
        'UPDATE "app_lesson" SET "weekday" = %s WHERE "app_lesson"."id" = %s OR 1 = 1',
        'UPDATE "app_lesson" SET "weekday" = %s WHERE "app_lesson"."id" = %s; DELETE FROM "app_lesson"',
        'UPDATE "app_lesson" SET "weekday" = %s WHERE "app_room"."id" = %s',
        'UPDATE "app_lesson" SET "weekday" = %(day)s WHERE "app_lesson"."id" = %(id)s',
        'DELETE FROM "app_lesson" WHERE "app_lesson"."id" = 7',
        'DELETE FROM "app_lesson" WHERE "app_lesson"."id" IN (%s, 7)',
        'DELETE FROM "app_lesson" WHERE "app_lesson"."id" = %s -- AND "app_lesson"."weekday" = %s',
        'INSERT INTO "app_lesson" ("title") VALUES (%s, %s)',
        'INSERT INTO "app_lesson" ("title") VALUES (%s) ON CONFLICT DO UPDATE SET "title" = %s',
        'INSERT INTO "app_lesson" ("title") VALUES (%s); DELETE FROM "app_lesson"',
    ],
)
def test_what_is_not_understood_is_coarse(sql):
    """SQL by hand that may write is looked at, and changes every table whose name stands in it."""
    assert may_write(sql)
    write = analyse(sql)
    assert isinstance(write, Coarse)
    assert "app_lesson" in write.tables


@pytest.mark.parametrize(
    "sql",
    [
        """UPDATE "app_lesson" SET "title" = '%s' WHERE "app_lesson"."id" = %s""",
        """UPDATE "app_lesson" SET "title" = %s || '%s' WHERE "app_lesson"."id" = %s""",
        """INSERT INTO "app_lesson" ("title", "group_id") VALUES ('%s', %s)""",
        """UPDATE "app_lesson" SET "weekday" = %s -- WHERE "app_lesson"."id" = %s""",
        """UPDATE "app_lesson" SET "weekday" = %s /* , "group_id" = %s */ WHERE "app_lesson"."id" = %s""",
    ],
)
def test_placeholders_out_of_step_are_coarse(sql):
    """A driver fills placeholders in literals and comments too: where we count otherwise, no parameter is a key."""
    assert isinstance(analyse(sql), Coarse)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "select * from app_lesson",
        "(SELECT 1) UNION (SELECT 2)",
        "SHOW transaction_isolation",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "PRAGMA journal_mode",
        "EXPLAIN SELECT updated FROM inserted",
        "",
    ],
)
def test_what_has_no_writing_word_writes_nothing(sql):
    """It may be looked at, but there is nothing to find."""
    assert may_write(sql)
    assert analyse(sql) is None


@pytest.mark.parametrize(
    "sql",
    [
        """UPDATE a SET t = '12" vinyl'; UPDATE app_lesson SET t = '7" single'""",
        """WITH u AS (UPDATE a SET t = '"' RETURNING id) UPDATE "app_lesson" SET t = '"'""",
        "UPDATE a SET t = '`'; UPDATE `app_lesson` SET t = '`'",
        """UPDATE "a" SET t = '"'; DELETE FROM "app_lesson" """,
    ],
)
def test_a_quote_in_a_literal_hides_no_table(sql):
    """Quotes that do not pair up with the names' own leave every name to be seen."""
    assert "app_lesson" in analyse(sql).tables


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ('"A b"', {"a b", "a", "b"}),
        ('"2024_lessons"', {"2024_lessons", "_lessons"}),
        ("x.Y", {"x", "y"}),
        ('"s"."t"', {"s", "t", "."}),
        ("stundenplän$1", {"stundenplän$1"}),
        ("7 + %s", {"s"}),
        ('"a""b"', {'a""b', "a", "b"}),
    ],
)
def test_identifiers(sql, names):
    """Every name is found, quoted or not, in lower case; too many do no harm."""
    assert identifiers(sql) == names


@pytest.mark.parametrize(
    ("sql", "everything"),
    [
        ("CALL close_term()", True),
        ("  execute p", True),
        ("DO $$ BEGIN PERFORM close_term(); END $$", True),
        ("TRUNCATE app_lesson CASCADE", True),
        ("BEGIN; truncate app_lesson\ncascade", True),
        ("/* nightly */ CALL close_term()", True),
        ("-- nightly\nEXECUTE p", True),
        ("SELECT 1; execute p(7)", True),
        ("EXPLAIN ANALYZE EXECUTE p", True),
        ("/* nightly */ DO LANGUAGE plpgsql 'BEGIN PERFORM close_term(); END'", True),
        ("DO 'BEGIN PERFORM close_term(); END'", True),
        (r'UPDATE U&"app\005Flesson" SET weekday = 1', True),
        ("DROP SCHEMA school CASCADE", True),
        ("INSERT INTO app_lesson (id) VALUES (1) ON CONFLICT DO NOTHING", False),
        ("INSERT INTO app_lesson (id) VALUES (1) ON CONFLICT (id) DO\nUPDATE SET id = 2", False),
        ('UPDATE "app_lesson" SET "do" = 1, "call" = 2 WHERE "app_lesson"."execute" = 3', False),
        ("TRUNCATE app_lesson", False),
        ("DELETE FROM app_lesson", False),
    ],
)
def test_what_changes_tables_it_does_not_name(sql, everything):
    """A procedure, a prepared statement and a cascade may reach any table."""
    assert analyse(sql).everything is everything


def test_long_statements_are_read_too():
    """A statement too long to be remembered is analysed all the same."""
    marks = ", ".join(["%s"] * 2000)
    write = analyse(f'DELETE FROM "app_lesson" WHERE "app_lesson"."id" IN ({marks})')
    assert (write.keys_at, write.keys_end) == (0, 2000)
    short = 'DELETE FROM "app_lesson" WHERE "app_lesson"."id" = %s'
    assert analyse(short) is analyse(short)
