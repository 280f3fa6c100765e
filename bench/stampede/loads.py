"""The load: a function of PostgreSQL that takes its time, and counts how often it was called."""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg
from django.db.models import BigIntegerField, F, Func

from bench.stampede.plan import LOAD

__all__ = ["FUNCTION", "Loads", "UnderWay", "create", "slow"]

FUNCTION = "bench_slow"

# A sequence forgets nothing at a rollback, so the load of a caller who is killed counts, too.
_SQL = f"""
CREATE SEQUENCE bench_loads;
CREATE FUNCTION {FUNCTION}(bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('bench_loads');
    PERFORM pg_sleep({LOAD});
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


class UnderWay(NamedTuple):
    """A load that runs now: the name its process gave to the database, and how many seconds it has run."""

    process: str
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

    def under_way(self) -> UnderWay | None:
        """The oldest that runs now."""
        row = self._connection.execute(
            "SELECT application_name, extract(epoch FROM clock_timestamp() - query_start) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()"
            " AND position(%s IN query) > 0 ORDER BY query_start LIMIT 1",
            [FUNCTION],
        ).fetchone()
        return None if row is None else UnderWay(row[0], float(row[1]))

    def close(self) -> None:
        """Forget the connection."""
        self._connection.close()
