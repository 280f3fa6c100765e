"""The load: a function of PostgreSQL that takes its time, and counts how often it was called."""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg
from django.db.models import BigIntegerField, F, Func

from bench.stampede.plan import LOAD

__all__ = ["FUNCTION", "Doomed", "Loads", "create", "slow"]

FUNCTION = "bench_slow"
_MARK = 4711  # an advisory lock, by which the driver knows whose load is doomed

# A sequence forgets nothing at a rollback, so the load of a caller who is killed counts, too. The load that is to be
# killed goes on until it is: the driver may be slow, and would come too late for one that ends.
_SQL = f"""
CREATE SEQUENCE bench_loads;
CREATE TABLE bench_doomed (load bigint);
CREATE FUNCTION {FUNCTION}(bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    mine bigint := nextval('bench_loads');
BEGIN
    IF EXISTS (SELECT FROM bench_doomed WHERE load = mine) THEN
        PERFORM pg_advisory_xact_lock({_MARK}), pg_sleep(3600);
    ELSE
        PERFORM pg_sleep({LOAD});
    END IF;
    RETURN $1;
END $$;
"""


def create() -> None:
    """Make the function in the default database (in a worker)."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_SQL)


def slow() -> Any:
    """The expression that takes ``LOAD`` seconds for each row."""
    return Func(F("pk"), function=FUNCTION, output_field=BigIntegerField())


class Doomed(NamedTuple):
    """The load that never ends: the name its process gave to the database, its backend, how many seconds it has run."""

    process: str
    backend: int
    age: float


class Loads:
    """The driver's view of the loads of one contestant."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def count(self) -> int:
        """How many there were so far."""
        [(count,)] = self._connection.execute(
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM bench_loads"
        ).fetchall()
        return int(count)

    def doom(self) -> None:
        """Let the next load never end."""
        self._connection.execute("INSERT INTO bench_doomed VALUES (%s)", [self.count() + 1])

    def end(self, load: Doomed) -> None:
        """Let the database know that nobody waits for it any more."""
        self._connection.execute("SELECT pg_terminate_backend(%s)", [load.backend])

    def doomed(self) -> Doomed | None:
        """The doomed load, if it has begun."""
        row = self._connection.execute(
            "SELECT application_name, pid, extract(epoch FROM clock_timestamp() - query_start) FROM pg_stat_activity"
            " JOIN pg_locks USING (pid) WHERE datname = current_database() AND locktype = 'advisory' AND objid = %s"
            # The locks are read after the activity: of who took one in between it is not told yet what he does.
            " AND query_start IS NOT NULL",
            [_MARK],
        ).fetchone()
        return None if row is None else Doomed(row[0], row[1], float(row[2]))

    def any_under_way(self) -> bool:
        """Whether any load runs now."""
        row = self._connection.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
            " AND pid <> pg_backend_pid() AND position(%s IN query) > 0 LIMIT 1",
            [FUNCTION],
        ).fetchone()
        return row is not None

    def close(self) -> None:
        """Forget the connection."""
        self._connection.close()
