"""Which SQL may answer differently each time."""

from __future__ import annotations

import pytest

from redis_toolkit.cache.volatility import reason

LASTING = {
    "columns": 'SELECT "a"."now", COUNT(*) FROM "a" WHERE ("a"."x" = %s AND NOT ("a"."y" IN (%s, %s)))',
    "types": 'SELECT "a"."x"::timestamp(6), "a"."y"::numeric(9, 2), CAST("a"."z" AS varchar(5)) FROM "a"',
    "literals": "SELECT 'random()', 'it''s now()' FROM \"a\"",
    "names like functions": 'SELECT "random()"."current_date" FROM "random()"',
    "a column as a moment": 'SELECT strftime(%s, "a"."x"), date("a"."x"), strftime(\'%%Y\', "a"."x") FROM "a"',
    "windows": 'SELECT ROW_NUMBER() OVER (PARTITION BY "a"."x" ORDER BY "a"."y") FROM "a"',
    "zones": 'SELECT DATE_TRUNC(%s, "a"."x" AT TIME ZONE %s) FROM "a"',
    "subqueries": 'SELECT EXISTS(SELECT 1 AS "a" FROM "b" LIMIT 1), ARRAY(SELECT "c"."x" FROM "c")',
}
CHANGING = {
    "now()": "NOW()", "random()": "SELECT random()", "timeofday()": "timeofday()", "age()": 'age("a"."x")',
    "julianday()": "julianday()", "strftime()": "strftime('%f', 'now')", "date()": "date(%s)", "time()": "time()",
    "datetime()": "datetime(%s, %s)", "my_schema.anything()": "SELECT my_schema.anything(1)", "nextval()": "nextval('s')",
    "CURRENT_DATE": "SELECT CURRENT_DATE", "current_user": "SELECT current_user", "LOCALTIME": "LOCALTIME",
    "clock_timestamp()": "clock_timestamp ()", "uuid_generate_v4()": "uuid_generate_v4()", "current_setting": "current_setting('a')",
}  # fmt: skip


@pytest.mark.parametrize("sql", LASTING.values(), ids=LASTING)
def test_what_depends_on_rows_alone(sql):
    """Django's SQL, whatever it quotes, changes only with the rows."""
    assert reason(sql, "sqlite") is None


@pytest.mark.parametrize("name", CHANGING)
def test_what_changes_by_itself(name):
    """The time, chance, the user, and whatever the toolkit does not know; the reason names it."""
    assert name.removesuffix("()").lower() in reason(CHANGING[name], "sqlite").lower()


def test_mysql_has_other_functions():
    """What tells the time on SQLite converts it on MySQL."""
    assert reason("SELECT DATE(CONVERT_TZ(x, %s, %s))", "mysql") is None
    assert reason("SELECT DATE(x)", "sqlite") is not None
