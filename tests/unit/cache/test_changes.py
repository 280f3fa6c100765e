"""Which stamps a write marks, given its statement, its parameters and, where it must, the rows as they were."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from redis_toolkit.cache.changes import MOST_STAMPS, Change, change_of
from redis_toolkit.cache.statements import analyse
from redis_toolkit.cache.tables import ANY, NEW, forget, tables
from redis_toolkit.core.keys import digest

ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)
ID_ONE, ID_TWO = f"id={ONE.hex}", f"id={TWO.hex}"
DELETE = 'DELETE FROM "app_badge" WHERE "app_badge"."id" = %s'
DELETE_TWO = 'DELETE FROM "app_badge" WHERE "app_badge"."id" IN (%s, %s)'
UPDATE = 'UPDATE "app_badge" SET "label" = %s WHERE "app_badge"."id" = %s'
INSERT = 'INSERT INTO "app_badge" ("id", "owner_id", "label") VALUES (%s, %s, %s)'


@pytest.fixture(autouse=True)
def derived() -> Iterator[None]:
    """The watched tables are those of these settings."""
    forget()
    yield
    forget()


def change(sql: str, params: Any, *, many: bool = False) -> Change | None:
    """What a statement is about to do."""
    write = analyse(sql)
    assert write is not None
    return change_of(write, params, tables("default"), many=many)


def label(text: str) -> str:
    """The stamp of a badge's label."""
    return "label=~" + digest(text.encode())


# Inserts


def test_an_insert_names_its_values():
    """A new row changes lists of all rows, answers that lack it, its key, and each declared value; nothing is read."""
    it = change(INSERT, (ONE, 5, "red"))
    assert it.names == {"app_badge": {ANY, NEW, ID_ONE, "owner_id=5", label("red")}}
    assert (it.locks, it.complete) == (False, True)


def test_an_insert_without_a_key():
    """A key that the database makes is nobody's yet: whoever lacks it depends on `new`."""
    it = change('INSERT INTO "app_place" ("name") VALUES (%s), (%s) RETURNING "app_place"."id"', ("a", "b"))
    names = {"name=~" + digest(b"a"), "name=~" + digest(b"b")}
    assert it.names == {"app_place": {ANY, NEW, *names}}


def test_a_null_names_nothing():
    """A compound value with a NULL in it can be asked for by nobody."""
    columns = '"slug", "teacher_id", "weekday", "period", "group_id", "room_id"'
    sql = f'INSERT INTO "app_lesson" ({columns}) VALUES (%s, %s, %s, %s, %s, %s)'
    slug = "slug=~" + digest(b"s")
    whole = {ANY, NEW, slug, "teacher_id=2", "group_id=4", "teacher_id=2,weekday=1,period=3"}
    assert change(sql, ("s", 2, 1, 3, 4, None)).names == {"app_lesson": whole}
    assert change(sql, ("s", 2, 1, 3, 4, 6)).names == {"app_lesson": {*whole, "room_id=6,weekday=1"}}


@pytest.mark.parametrize(
    "params", [(ONE, 5, 7), (ONE, 5.0, "red"), ("no key", 5, "red"), (ONE, 5, b"red"), (ONE, "x", "y")]
)
def test_a_value_without_a_name_makes_it_coarse(params):
    """What cannot be told finely changes the whole table."""
    assert change(INSERT, params).names == {"app_badge": {""}}


def test_a_column_left_out_makes_it_coarse():
    """The database fills in a declared column that is not written, and only it knows with what."""
    assert change('INSERT INTO "app_badge" ("id", "label") VALUES (%s, %s)', (ONE, "x")).names == {"app_badge": {""}}
    computed = 'INSERT INTO "app_badge" ("id", "owner_id", "label") VALUES (%s, %s, UPPER(%s))'
    assert change(computed, (ONE, 5, "red")).names == {"app_badge": {""}}


@pytest.mark.parametrize(("rows", "stamps"), [(998, 1000), (999, 1)])
def test_an_insert_of_very_many_rows_is_coarse(rows, stamps):
    """Up to a thousand stamps are marked one by one; beyond that it is the table."""
    assert MOST_STAMPS == 1000
    sql = 'INSERT INTO "app_place" ("name") VALUES ' + ", ".join(["(%s)"] * rows)
    assert len(change(sql, [str(at) for at in range(rows)]).names["app_place"]) == stamps


# Deletes


def test_a_delete_reads_the_old_values():
    """The rows are locked and read, and what they were is marked with their keys."""
    it = change(DELETE_TWO, (ONE, TWO))
    assert it.names == {"app_badge": {ANY, ID_ONE, ID_TWO}}
    assert (it.locks, it.complete, list(it.keys)) == (True, False, [ONE, TWO])
    assert it.table.read == ("id", "owner_id", "label")
    assert it.names_of_rows([(ONE, 5, "red"), (TWO, 6, "blue")]) == {
        "owner_id=5", "owner_id=6", label("red"), label("blue"),
    }  # fmt: skip


def test_a_row_that_is_not_there_makes_it_coarse():
    """Another writer may insert it before the statement runs, with values nobody has read."""
    it = change(DELETE_TWO, (ONE, TWO))
    assert it.names_of_rows([(ONE, 5, "red")]) == {"", "owner_id=5", label("red")}
    assert it.names_of_rows([]) == {""}


def test_a_table_without_declared_values_needs_no_lock():
    """Where only the key names stamps there is nothing to read."""
    it = change('DELETE FROM "app_teacher" WHERE "app_teacher"."id" IN (%s, %s)', (7, "8"))
    assert it.names == {"app_teacher": {ANY, "id=7", "id=8"}}
    assert (it.locks, it.complete) == (False, True)


# Updates


def test_an_update_names_old_and_new_values():
    """The new label is known from the statement, the old one from the row; the owner is whoever it was."""
    it = change(UPDATE, ("red", ONE))
    assert it.names == {"app_badge": {ANY, ID_ONE, label("red")}}
    assert (it.locks, it.complete, it.new) == (True, False, {ID_ONE: {"label": "red"}})
    assert it.names_of_rows([(ONE, 5, "blue")]) == {"owner_id=5", label("red"), label("blue")}


def test_an_update_of_all_declared_values_is_complete():
    """Nothing new is left to learn from the row, though its old values still are."""
    sql = 'UPDATE "app_badge" SET "label" = %s, "owner_id" = %s WHERE "app_badge"."id" = %s'
    it = change(sql, ("red", 9, ONE))
    assert it.names == {"app_badge": {ANY, ID_ONE, label("red"), "owner_id=9"}}
    assert (it.locks, it.complete) == (True, True)


def test_half_of_a_compound_value_needs_the_other_half():
    """A new weekday makes a new (room, weekday) with the room that is in the row."""
    it = change('UPDATE "app_lesson" SET "weekday" = %s WHERE "app_lesson"."id" = %s', (4, 7))
    assert it.names == {"app_lesson": {ANY, "id=7"}}
    row = {"id": 7, "slug": "s", "teacher_id": 2, "weekday": 1, "period": 3, "group_id": 5, "room_id": 6}
    names = it.names_of_rows([[row[column] for column in it.table.read]])
    assert {name for name in names if "weekday" in name} == {
        "room_id=6,weekday=1",
        "room_id=6,weekday=4",
        "teacher_id=2,weekday=1,period=3",
        "teacher_id=2,weekday=4,period=3",
    }


def test_a_bulk_update_gives_each_row_its_own():
    """Of the values behind THEN each belongs to one key; a key that none is for gets NULL."""
    case = 'CASE WHEN ("app_badge"."id" = %s) THEN %s WHEN ("app_badge"."id" = %s) THEN %s ELSE NULL END'
    sql = f'UPDATE "app_badge" SET "label" = {case} WHERE "app_badge"."id" IN (%s, %s, %s)'
    three = uuid.UUID(int=3)
    it = change(sql, (ONE, "red", TWO, "blue", ONE, TWO, three))
    assert it.names["app_badge"] == {ANY, ID_ONE, ID_TWO, f"id={three.hex}", label("red"), label("blue")}
    assert it.new == {ID_ONE: {"label": "red"}, ID_TWO: {"label": "blue"}, f"id={three.hex}": {"label": None}}


def test_other_columns_mark_no_values():
    """An update of columns that nothing is declared by learns no new value, and reads the old ones."""
    it = change('UPDATE "app_lesson" SET "title" = %s WHERE "app_lesson"."id" = %s', ("x", 7))
    assert it.names == {"app_lesson": {ANY, "id=7"}}
    assert it.locks


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ('UPDATE "app_badge" SET "label" = UPPER("app_badge"."label") WHERE "app_badge"."id" = %s', (ONE,)),
        ('UPDATE "app_badge" SET "id" = %s WHERE "app_badge"."id" = %s', (TWO, ONE)),
        ('UPDATE "app_badge" SET "LABEL" = %s WHERE "app_badge"."id" = %s', ("red", ONE)),
        ('UPDATE "app_badge" SET "label" = %s WHERE "app_badge"."owner_id" = %s', ("red", 5)),
        ('UPDATE "app_badge" SET "label" = %s WHERE "app_badge"."ID" = %s', ("red", ONE)),
        (UPDATE, (5, ONE)),
        (UPDATE, ("red", 5)),
        (UPDATE, ("red", "no key")),
        (UPDATE, ("red",)),
        (UPDATE, {"label": "red"}),
        (UPDATE, None),
        (DELETE, (5.0,)),
        ('DELETE FROM "app_badge" WHERE "app_badge"."owner_id" = %s', (5,)),
    ],
)
def test_what_cannot_be_told_is_coarse(sql, params):
    """A value of the database's, a key that moves, another column's rows or parameters of other kinds: the table."""
    it = change(sql, params)
    assert it.names == {"app_badge": {""}}
    assert it.locks is False


# Coarse


@pytest.mark.parametrize("sql", [DELETE, UPDATE, INSERT])
def test_executemany_is_coarse(sql):
    """Many sets of parameters at once are not looked into."""
    assert change(sql, [(ONE,), (TWO,)], many=True).names == {"app_badge": {""}}


@pytest.mark.parametrize(
    "sql",
    [
        'DELETE FROM "APP_BADGE" WHERE "APP_BADGE"."id" = %s',
        'INSERT INTO "App_Badge" ("id") VALUES (%s)',
        'UPDATE "APP_badge" SET "label" = "x" WHERE "APP_badge"."id" = %s',
    ],
)
def test_a_table_in_other_letters_is_the_same(sql):
    """SQLite and MySQL do not tell capitals in names, so neither do we."""
    assert change(sql, (ONE,)).names == {"app_badge": {""}}


def test_several_tables_in_one_statement():
    """Each watched table that is named is changed, whatever else is."""
    it = change("WITH x AS (DELETE FROM app_badge) UPDATE app_cafe SET stars = 1 FROM app_unwatched", None)
    assert it.names == {"app_badge": {""}, "app_cafe": {""}}


@pytest.mark.parametrize(
    "sql",
    [
        'DELETE FROM "app_unwatched" WHERE "app_unwatched"."id" = %s',
        'INSERT INTO "app_unwatched" ("text") VALUES (%s)',
        "UPDATE app_unwatched SET text = %s",
        "CREATE TABLE app_badges (id int)",
    ],
)
def test_other_tables_are_nobodys_business(sql):
    """A write that names no watched table changes nothing."""
    assert change(sql, (1,)) is None


def test_a_procedure_changes_everything():
    """What cannot be seen may reach every watched table."""
    assert change("CALL close_term()", ()).names == {name: {""} for name in tables("default").by_name}


def test_the_same_said_coarsely():
    """A change whose rows cannot be locked is said by the table alone."""
    it = change(UPDATE, ("red", ONE)).coarse()
    assert (it.names, it.locks, it.complete) == ({"app_badge": {""}}, False, True)
    assert it.names_of_rows([]) == {""}


UNNEST = 'INSERT INTO "app_badge" ("id", "owner_id", "label") SELECT * FROM UNNEST((%s)::uuid[], (%s)::bigint[], (%s)::varchar[])'


def test_arrays_of_new_rows():
    """Rows that come as one list for each column are known by their values."""
    it = change(UNNEST, ([ONE, TWO], [5, 6], ["red", "blue"]))
    assert it.names["app_badge"] >= {ANY, ID_ONE, ID_TWO, label("red"), label("blue")}


@pytest.mark.parametrize(
    "params", [("{a}", "{5}", "{red}"), ([ONE], [5], "{red}"), ([ONE], [5, 6], ["red"]), ([ONE], [5])], ids=str
)
def test_arrays_that_only_the_database_can_read(params):
    """The text of an array, and lists of unequal length, mark the whole table."""
    assert change(UNNEST, params).names == {"app_badge": {""}}
