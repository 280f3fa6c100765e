"""SQL by hand: each statement ends what reads the tables it may change, by whatever name, and leaves the rest."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections, transaction

from redis_toolkit.cache import invalidate
from tests.app.models import Guild, Mastery, Skill, Trade, Worker
from tests.battery import row

QUESTIONS = {
    "workers": (Worker, lambda workers: list(workers.order_by("pk"))),
    "worker": (Worker, row(pk=-1)),
    "worker 1": (Worker, row(number=1)),
    "of trade 1": (Worker, lambda workers: list(workers.filter(trade=-1).order_by("pk"))),
    "trade": (Trade, row(pk=-1)),
    "trades": (Trade, lambda trades: trades.filter(name="t1").count()),
    "trade's workers": (Trade, lambda trades: list(trades.filter(workers__number=1))),
    "skill": (Skill, row(pk=-1)),
    "masteries": (Mastery, lambda links: list(links.order_by("pk"))),
    "guilds": (Guild, lambda guilds: guilds.count()),
}
ALL = set(QUESTIONS)
#: What reads each table.
READ = {
    "workers": {"workers", "worker", "worker 1", "of trade 1", "trade's workers"},
    "trades": {"trade", "trades", "trade's workers"},
    "skills": {"skill"},
    "masteries": {"masteries"},
    "guilds": {"guilds"},
}

NEW = "(id, name, number, trade_id) VALUES (-3, 'w3', 3, -1)"

STATEMENTS: list[tuple[str, Any, str]] = [
    ("INSERT INTO app_guild (id, name) SELECT id, name FROM app_worker", None, "guilds workers"),
    ('INSERT INTO "app_guild" ("id", "name") SELECT "id", "name" FROM "app_worker"', None, "guilds"),
    (f"INSERT INTO app_worker {NEW} ON CONFLICT (number) DO UPDATE SET name = excluded.name RETURNING id", None, "workers"),
    ("INSERT INTO app_trade (id, name) VALUES (-1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'x'", None, "trades"),
    ("INSERT INTO app_trade (id, name) VALUES (-1, 'x') ON CONFLICT DO NOTHING", None, "trades"),
    ("UPDATE app_worker SET name = t.name FROM app_trade AS t WHERE t.id = trade_id", None, "workers trades"),
    ('UPDATE "app_worker" SET "name" = t."name" FROM "app_trade" t WHERE t."id" = "trade_id"', None, "workers"),
    ("WITH s AS (SELECT id FROM app_skill) DELETE FROM app_mastery WHERE skill_id IN (SELECT id FROM s)", None,
     "masteries skills"),
    ("WITH t(n) AS (SELECT 'x') UPDATE app_trade SET name = (SELECT n FROM t) WHERE id = %s", [-1], "trades"),
    ("/* app_guild */ -- app_skill\n UPDATE /* */ App_Worker SET name = %s", ["x"], "workers guilds skills"),
    ("update APP_WORKER set NAME = %s where ID = %s", ["x", -1], "workers"),
    ('UPDATE "app_worker" SET "trade_id" = %s, "name" = %s WHERE "id" = %s', [-2, "x", -1], "workers"),
    ("DELETE FROM app_mastery WHERE worker_id IN (SELECT id FROM app_worker)", None, "masteries workers"),
    ("SELECT id FROM app_worker", None, ""),
    ("UPDATE auth_group SET name = 'x'", None, ""),
]  # fmt: skip
ON_POSTGRESQL: list[tuple[str, Any, str]] = [
    ("DELETE FROM app_mastery USING app_skill s WHERE s.id = skill_id AND s.name = 's1'", None, "masteries skills"),
    ('UPDATE public."app_worker" SET name = %s', ["x"], "workers"),
    ("WITH w AS (UPDATE app_worker SET name = 'x' RETURNING id), s AS (DELETE FROM app_mastery) SELECT * FROM w", None,
     "workers masteries"),
    ("MERGE INTO app_trade t USING app_worker w ON w.trade_id = t.id AND w.number = 1"
     " WHEN MATCHED THEN UPDATE SET name = w.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (-9, 'x')", None,
     "workers trades"),
    ("TRUNCATE app_mastery", None, "masteries"),
    ("TRUNCATE app_skill CASCADE", None, "workers trades skills masteries guilds"),
    ("UPDATE app_worker SET name = 'x' WHERE id = -1; UPDATE app_guild SET name = 'x'", None, "workers guilds"),
    ("PREPARE p AS UPDATE app_guild SET name = 'x'; /* now */ EXECUTE p; DEALLOCATE p", None,
     "workers trades skills masteries guilds"),
    ("CREATE TEMPORARY TABLE spare AS SELECT * FROM app_guild; DROP TABLE spare", None, "guilds"),
]  # fmt: skip
ON_SQLITE: list[tuple[str, Any, str]] = [
    (f"INSERT OR REPLACE INTO app_worker {NEW.replace('3,', '1,')}", None, "workers"),
    (f"REPLACE INTO main.app_worker {NEW}", None, "workers"),
    ("UPDATE `app_worker` SET [name] = 'x'", None, "workers"),
    ("UPDATE app_worker SET name = :name", {"name": "x"}, "workers"),
]


@pytest.fixture
def rows(alias: str, warm: Any) -> str:
    """Two workers of two trades, one of whom knows a skill."""
    with transaction.atomic(using=alias):
        for at in (1, 2):
            Trade.objects.using(alias).create(pk=-at, name=f"t{at}")
            Worker.objects.using(alias).create(pk=-at, name=f"w{at}", number=at, trade_id=-at)
        Skill.objects.using(alias).create(pk=-1, name="s1")
        Guild.objects.using(alias).create(pk=-7, name="g7")
        Mastery.objects.using(alias).create(pk=-1, worker_id=-1, skill_id=-1)
    return alias


def run(alias: str, sql: Any, params: Any = None) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)


def ended(names: str) -> set[str]:
    """What reads one of these tables."""
    return set().union(*(READ[name] for name in names.split()))


def cases() -> list[Any]:
    """(alias, statement, parameters, tables) of each statement on each database."""
    found = []
    for alias, own in (("default", ON_SQLITE), ("postgres", ON_POSTGRESQL)):
        found += [pytest.param(alias, *case, id=f"{alias}-{case[0][:90]}") for case in [*STATEMENTS, *own]]
    return found


@pytest.mark.parametrize(("alias", "sql", "params", "tables"), cases())
def test_a_statement(rows: str, warm: Any, sql: str, params: Any, tables: str) -> None:
    """After the statement no answer is stale, and just what reads other tables were hits all the while."""
    warm(QUESTIONS).keeps(ALL - ended(tables), lambda: run(rows, sql, params))


def test_many_parameters(rows: str, warm: Any) -> None:
    """``executemany`` is coarse, whatever its statement looks like."""

    def write() -> None:
        with connections[rows].cursor() as cursor:
            cursor.executemany(
                'UPDATE "app_worker" SET "trade_id" = %s WHERE "app_worker"."id" = %s', [(-2, -1), (-1, -2)]
            )

    warm(QUESTIONS).keeps(ALL - ended("workers"), write)


def test_what_is_not_seen(rows: str, warm: Any) -> None:
    """COPY and a cursor of the driver's own are not noticed, as the caveats say, until somebody invalidates."""
    asked = warm(QUESTIONS)
    if rows == "postgres":
        with connections[rows].cursor() as cursor, cursor.copy("COPY app_guild (id, name) FROM STDIN") as copy:
            copy.write_row((-1, "g1"))
    else:
        connections[rows].connection.executescript("INSERT INTO app_guild (id, name) VALUES (-1, 'g1')")
    assert Guild.cached.db_manager(rows).count() == 1
    asked.keeps(ALL - {"guilds"}, lambda: invalidate(Guild, using=rows))
    assert Guild.cached.db_manager(rows).count() == 2
