"""The outbox: stamps that a write could not mark because Redis was away, kept in the same database until it is back.

1. A write cannot mark  2. it inserts its stamps in its own transaction  3. it commits  4. whoever finds the rows drops
the stamps in Redis, then deletes the rows (``looks.py``, ``draining.py``).

Its rows are read and written past Django's wrappers, signals and query log: nothing of the project's own hears of them,
or could fail because of them. (But for the rare case that it is made smaller.)
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.db import DatabaseError, InterfaceError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache.stamps import new_transaction_id
from redis_toolkit.cache.status import is_open
from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import monotonic, now

__all__ = ["Row", "delete", "drop", "end", "forget", "has_table", "is_there", "keep_small", "put", "read", "rows_in"]

TABLE: Final = "redis_toolkit_outbox"
#: Parts of a generation's key: the database and the table.
_PARTS: Final = 2
#: Rows deleted by one statement.
_BATCH: Final = 500
#: Seconds until a missing table is looked for again.
_AGAIN: Final = 10.0

#: Of so many transactions one counts the rows.
_SELDOM: Final = 100

_log = logging.getLogger("redis_toolkit.cache")
_present: set[str] = set()
_missing: dict[str, float] = {}


class Row(NamedTuple):
    """One row of the table."""

    id: int
    writer: str
    stem: str
    names: str
    until: float | None

    @property
    def marks(self) -> list[tuple[str, bytes]]:
        """Its stamps, each with the transaction that may have marked it; its whole table if the row cannot be read."""
        try:
            writer, names = bytes.fromhex(self.writer), json.loads(self.names)
            return [(keys.below(self.stem, name) if name else self.stem, writer) for name in names]
        except (TypeError, ValueError):
            _log.warning("Row %s of the outbox cannot be read: all of %s is dropped.", self.id, self.stem)
            return [(self.stem, new_transaction_id())]

    @property
    def is_over(self) -> bool:
        """Whether its write is certainly over, so that dropping its stamps now is dropping them for good."""
        return self.until is None or self.until < now()


# Writing


def is_there(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database of ``connection`` has the table, and lets us see it."""
    if connection.needs_rollback:
        return False
    try:
        return has_table(connection)
    except (DatabaseError, InterfaceError):
        return False


def has_table(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database of ``connection`` has the table. Asked once. Raises errors of the database."""
    alias = connection.alias
    if alias in _present:
        return True
    if monotonic() < _missing.get(alias, 0.0) or not apps.is_installed("redis_toolkit"):
        return False
    with _cursor(connection) as cursor:
        found = any(table.name == TABLE for table in connection.introspection.get_table_list(cursor))
    if found:
        _present.add(alias)
    else:
        if alias not in _missing:
            _log.warning("The database %s has no outbox (migrate redis_toolkit): an outage is less safe.", alias)
        _missing[alias] = monotonic() + _AGAIN
    return found


def read(connection: BaseDatabaseWrapper) -> list[Row]:
    """Every row, as ``connection`` sees them. Raises errors of the database, which end no transaction."""
    if not has_table(connection):
        return []
    quote = connection.ops.quote_name
    with _cursor(connection) as cursor:
        cursor.execute(f"SELECT {', '.join(map(quote, Row._fields))} FROM {quote(TABLE)}")  # noqa: S608 - our own names, quoted
        return [Row(*values) for values in cursor.fetchall()]


def put(connection: BaseDatabaseWrapper, writer: bytes, stamps: Iterable[str], *, until: float | None = None) -> bool:
    """Insert ``stamps`` for a transaction, in the one that is open. False if the database has no outbox or refuses."""
    by_stem: dict[str, list[str]] = {}
    for stamp in stamps:
        stem, name = keys.split(stamp, _PARTS)
        by_stem.setdefault(stem, []).append(name)
    if not by_stem or not is_there(connection):
        return not by_stem
    quote = connection.ops.quote_name
    columns = ", ".join(map(quote, ("writer", "stem", "names", "written", "until")))
    rows = [(writer.hex(), stem, json.dumps(sorted(names)), now(), until) for stem, names in by_stem.items()]
    places = ", ".join(["(%s, %s, %s, %s, %s)"] * len(rows))
    sql = f"INSERT INTO {quote(TABLE)} ({columns}) VALUES {places}"  # noqa: S608 - our own names, quoted
    try:
        with _cursor(connection) as cursor:
            cursor.execute(sql, [value for row in rows for value in row])
    except (DatabaseError, InterfaceError):
        _log.exception("The outbox of %s could not be written to.", connection.alias)
        return False
    return True


def end(connection: BaseDatabaseWrapper, writer: bytes) -> bool:
    """Say that a transaction which put rows ahead of itself is over. False if they are gone, or cannot be changed."""
    quote = connection.ops.quote_name
    sql = f"UPDATE {quote(TABLE)} SET {quote('until')} = NULL WHERE {quote('writer')} = %s"  # noqa: S608 - our own names
    return _changed(connection, sql, [writer.hex()]) > 0


def drop(connection: BaseDatabaseWrapper, writer: bytes) -> None:
    """Delete the rows of a transaction whose stamps have been dropped in Redis."""
    quote = connection.ops.quote_name
    _changed(connection, f"DELETE FROM {quote(TABLE)} WHERE {quote('writer')} = %s", [writer.hex()])  # noqa: S608


def delete(connection: BaseDatabaseWrapper, found: Sequence[tuple[int, str]]) -> None:
    """Delete rows (their numbers and writers) that have been dropped, but for those somebody else is just deleting."""
    quote = connection.ops.quote_name
    table, key, writer = quote(TABLE), quote("id"), quote("writer")
    for at in range(0, len(found), _BATCH):
        batch = found[at : at + _BATCH]
        # A number may be given again in an emptied table; the writer of the other row is another.
        places = ", ".join(["%s"] * len(batch))
        chosen = f"{key} IN ({places}) AND {writer} IN ({places})"
        if connection.vendor == "postgresql":
            chosen = f"{key} IN (SELECT {key} FROM {table} WHERE {chosen} FOR UPDATE SKIP LOCKED)"  # noqa: S608
        params = [*(number for number, _ in batch), *(whose for _, whose in batch)]
        _changed(connection, f"DELETE FROM {table} WHERE {chosen}", params)  # noqa: S608 - our own names, quoted


def keep_small(connection: BaseDatabaseWrapper) -> None:
    """Above ``OUTBOX_ROWS`` rows, replace those of each table by one that drops everything of it.

    Done by one in so many, whichever it is: a process may write once and end.
    """
    if random.random() * _SELDOM >= 1:  # noqa: S311 - nobody gains by guessing it
        return
    rows = rows_in(connection)
    with _unhurt(connection):
        with _cursor(connection) as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(TABLE)}")  # noqa: S608 - our own name
            (number,) = cursor.fetchone()
        if number <= settings.OUTBOX_ROWS:
            return
        with transaction.atomic(using=connection.alias):
            # Rows that somebody else is deleting or replacing are theirs; those to come are not seen yet, and stay.
            skips = connection.features.has_select_for_update_skip_locked
            seen = rows.select_for_update(skip_locked=True) if skips else rows
            by_stem: dict[str, list[tuple[int, str]]] = {}
            for key, writer, stem in seen.filter(until=None).values_list("pk", "writer", "stem").iterator():
                by_stem.setdefault(stem, []).append((key, writer))
            for stem, found in by_stem.items():
                if put(connection, new_transaction_id(), [stem]):
                    delete(connection, found)


def rows_in(connection: BaseDatabaseWrapper) -> Any:
    """The rows, as a queryset of Django's own."""
    return apps.get_model("redis_toolkit", "Outbox")._base_manager.using(connection.alias)


def _changed(connection: BaseDatabaseWrapper, sql: str, params: Sequence[Any]) -> int:
    """How many rows a change reached, of rows whose work is done. What fails is done again by whoever looks next."""
    with _unhurt(connection), _cursor(connection) as cursor, _impatient(connection, cursor):
        cursor.execute(sql, params)
        return int(cursor.rowcount)
    return 0


@contextmanager
def _cursor(connection: BaseDatabaseWrapper) -> Iterator[Any]:
    """A cursor of the backend, whose failure ends no transaction that is open."""
    connection.ensure_connection()
    with connection.wrap_database_errors, closing(connection.create_cursor()) as cursor:
        if not (connection.in_atomic_block or is_open(connection)):
            yield cursor
            return
        cursor.execute("SAVEPOINT redis_toolkit")
        try:
            yield cursor
        except BaseException:
            cursor.execute("ROLLBACK TO SAVEPOINT redis_toolkit")
            cursor.execute("RELEASE SAVEPOINT redis_toolkit")
            raise
        cursor.execute("RELEASE SAVEPOINT redis_toolkit")


@contextmanager
def _impatient(connection: BaseDatabaseWrapper, cursor: Any) -> Iterator[None]:
    """On SQLite, fail at once where somebody else is writing, instead of waiting for him."""
    if connection.vendor != "sqlite":
        yield
        return
    (patience,) = cursor.execute("PRAGMA busy_timeout").fetchone()
    cursor.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {int(patience)}")


@contextmanager
def _unhurt(connection: BaseDatabaseWrapper) -> Iterator[None]:
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        _log.info("The outbox of %s could not be changed: %s", connection.alias, str(error))


def forget() -> None:
    """Know nothing about any database: it has been migrated."""
    _present.clear()
    _missing.clear()
