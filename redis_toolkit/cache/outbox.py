"""The outbox: stamps that a write could not mark because Redis was away, kept in the same database until it is back.

1. A write cannot mark  2. it inserts its stamps in its own transaction  3. it commits  4. whoever finds the rows drops
the stamps in Redis, then deletes the rows. A process looks before it trusts its first hit after an outage of its own,
and every ``OUTBOX_INTERVAL`` seconds while it serves hits: Redis may have been away for the writer alone.

A look goes to the driver: it shows in no log of queries, counts in no test, and takes no part in a transaction that
sees the past. It reads what is committed, and drops it after that, so what a reader stored before is dropped too.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache.stamps import new_transaction_id, unmark
from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import monotonic, now
from redis_toolkit.core.connections import Link
from redis_toolkit.exceptions import StoreUnavailable

__all__ = ["Row", "drop", "end", "expect", "forget", "is_due", "is_there", "keep_small", "look", "put", "rows_in"]

TABLE: Final = "redis_toolkit_outbox"
#: Parts of a generation's key: the database and the table.
_PARTS: Final = 2
#: A look that finds more rows than this drops whole tables instead.
_MANY: Final = 500
#: Seconds until a missing table is looked for again.
_AGAIN: Final = 10.0

#: Transactions of this process between two counts of the rows.
_SELDOM: Final = 100

_log = logging.getLogger("redis_toolkit.cache")
_finished = itertools.count(1)
_present: set[str] = set()
_readable: set[str] = set()
_missing: dict[str, float] = {}
_next_look: dict[str, float] = {}
_dropped: dict[str, set[int]] = {}


class Row(NamedTuple):
    """One row of the table."""

    id: int
    writer: str
    stem: str
    names: str
    until: float | None

    @property
    def stamps(self) -> list[str]:
        """The keys of its stamps."""
        return [keys.below(self.stem, name) if name else self.stem for name in json.loads(self.names)]

    @property
    def is_over(self) -> bool:
        """Whether its write is certainly over, so that dropping its stamps now is dropping them for good."""
        return self.until is None or self.until < now()


# Writing


def is_there(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database of ``connection`` has the table. Asked once."""
    alias = connection.alias
    if alias in _present:
        return True
    if monotonic() < _missing.get(alias, 0.0) or connection.needs_rollback or not apps.is_installed("redis_toolkit"):
        return False
    try:
        with _driver_cursor(connection) as cursor:
            found = any(table.name == TABLE for table in connection.introspection.get_table_list(cursor))
    except (DatabaseError, InterfaceError):
        return False
    if found:
        _present.add(alias)
    else:
        if alias not in _missing:
            _log.warning("The database %s has no outbox (migrate redis_toolkit): an outage is less safe.", alias)
        _missing[alias] = monotonic() + _AGAIN
    return found


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
        # A savepoint, so that a table we may not write to does not take the caller's transaction with it.
        with _savepoint(connection), connection.cursor() as cursor:
            cursor.execute(sql, [value for row in rows for value in row])
    except DatabaseError:
        _log.exception("The outbox of %s could not be written to.", connection.alias)
        return False
    return True


def end(connection: BaseDatabaseWrapper, writer: bytes) -> None:
    """Say that a transaction which put rows ahead of itself is over."""
    with _unhurt(connection):
        rows_in(connection).filter(writer=writer.hex()).update(until=None)


def drop(connection: BaseDatabaseWrapper, writer: bytes) -> None:
    """Delete the rows of a transaction whose stamps have been dropped in Redis."""
    with _unhurt(connection):
        rows_in(connection).filter(writer=writer.hex()).delete()


def keep_small(connection: BaseDatabaseWrapper) -> None:
    """Above ``OUTBOX_ROWS`` rows, replace those of each table by one that drops everything of it.

    Looked at after every so many transactions of this process.
    """
    if next(_finished) % _SELDOM:
        return
    rows = rows_in(connection)
    with _unhurt(connection):
        if rows.count() <= settings.OUTBOX_ROWS:
            return
        with transaction.atomic(using=connection.alias):
            # Rows that somebody else is deleting or replacing are theirs; those to come are not seen yet, and stay.
            skips = connection.features.has_select_for_update_skip_locked
            seen = rows.select_for_update(skip_locked=True) if skips else rows
            by_stem: dict[str, list[int]] = {}
            for key, stem in seen.filter(until=None).values_list("pk", "stem").iterator():
                by_stem.setdefault(stem, []).append(key)
            for stem, found in by_stem.items():
                if put(connection, new_transaction_id(), [stem]):
                    _delete(connection, found)


# Looking


def expect() -> None:
    """Have every database looked at before any hit is trusted: Redis was away, and somebody may have written."""
    global _next_look  # noqa: PLW0603 - one process, one view of the outbox
    # Another, not emptied: a thread that is looking now, and may have looked too early, writes into the old one.
    _next_look = {}


def is_due(alias: str) -> bool:
    """Whether it is time to look at the outbox of database ``alias``."""
    looks = _next_look
    at = looks.get(alias, 0.0)
    if monotonic() < at:
        return False
    if at:
        # One thread looks while the others go on; before the first look nobody does.
        looks[alias] = monotonic() + settings.OUTBOX_INTERVAL
    return True


def look(connection: BaseDatabaseWrapper, target: Link, *, reads_latest: bool, is_open: bool, own: bytes) -> bool:
    """Drop in Redis what the outbox holds. False if that was tried in vain: then no hit must be trusted.

    ``reads_latest``: whether ``connection`` itself sees the latest commits; otherwise another one is opened. ``own``:
    the id of its open transaction, if that has written.
    """
    alias, looks = connection.alias, _next_look
    # What is committed after this look read waits for the next: a look that takes long must not put that off.
    began = monotonic()
    try:
        # Inside the caller's transaction nothing is tried that might fail, for that would end it.
        rows = _read(connection, reads_latest=reads_latest and (not is_open or alias in _readable))
        _readable.add(alias)
        # Not what this transaction has put itself: its write is to come, and what is dropped before it is not dropped.
        rows = [row for row in rows if row.writer != own.hex()]
        # Before the stamps are dropped: what is over only afterwards must be dropped once more.
        over = [row.id for row in rows if row.is_over]
        _drop_in_redis([row for row in rows if row.id not in _dropped.get(alias, ())], target)
        if over and not is_open:
            _delete(connection, over)
    except StoreUnavailable:
        looks.pop(alias, None)
        return False
    except (DatabaseError, InterfaceError):
        # Without its database nobody writes either; the next look is soon.
        _log.warning("The outbox of %s could not be read.", alias, exc_info=True)
        over = []
    _dropped[alias] = set(over)
    looks[alias] = began + settings.OUTBOX_INTERVAL
    return True


def _drop_in_redis(rows: Sequence[Row], target: Link) -> None:
    if len(rows) > _MANY:
        unmark(target, {row.stem for row in rows}, new_transaction_id())
        return
    for row in rows:
        unmark(target, row.stamps, bytes.fromhex(row.writer))


def _read(connection: BaseDatabaseWrapper, *, reads_latest: bool) -> list[Row]:
    if not reads_latest:
        if connection.vendor == "sqlite" and connection.is_in_memory_db():  # type: ignore[attr-defined]
            return []
        # Inside a transaction that sees the past, so that a writer's commit would not show.
        with closing(connection.copy()) as other:
            return _read(other, reads_latest=True)
    if not is_there(connection):
        return []
    quote = connection.ops.quote_name
    sql = f"SELECT {', '.join(map(quote, Row._fields))} FROM {quote(TABLE)}"  # noqa: S608 - our own names, quoted
    with _driver_cursor(connection) as cursor:
        cursor.execute(sql)
        return [Row(*values) for values in cursor.fetchall()]


@contextmanager
def _driver_cursor(connection: BaseDatabaseWrapper) -> Iterator[Any]:
    connection.ensure_connection()
    raw: Any = connection.connection
    with connection.wrap_database_errors, closing(raw.cursor()) as cursor:
        yield cursor


@contextmanager
def _savepoint(connection: BaseDatabaseWrapper) -> Iterator[None]:
    if connection.in_atomic_block and connections[connection.alias] is connection:
        with transaction.atomic(using=connection.alias):
            yield
    else:
        yield


def rows_in(connection: BaseDatabaseWrapper) -> Any:
    """The rows, as a queryset of Django's own."""
    return apps.get_model("redis_toolkit", "Outbox")._base_manager.using(connection.alias)


def _delete(connection: BaseDatabaseWrapper, found: Sequence[int]) -> None:
    for at in range(0, len(found), _MANY):
        with _unhurt(connection):
            rows_in(connection).filter(pk__in=found[at : at + _MANY]).delete()


@contextmanager
def _unhurt(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """For changes of rows whose work is done. What fails is done again by whoever looks next."""
    try:
        yield
    except (DatabaseError, InterfaceError):
        _log.warning("The outbox of %s could not be changed.", connection.alias, exc_info=True)


def forget() -> None:
    """Know nothing about any database: it has been migrated."""
    for known in (_present, _readable, _missing, _next_look, _dropped):
        known.clear()
