"""Looks at the outbox: no hit is trusted unless this process has looked within the last ``OUTBOX_INTERVAL`` seconds.

Redis may have been away for a writer alone, and what it wrote is told by the outbox only. A look reads what is
committed, and drops it in Redis after that, so what a reader stored before is dropped, too. One thread looks when half
of the time is over, or, after a pause, when all of it is: then the others wait for it, and not each looks for itself.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from math import inf
from typing import Any, Final, Protocol

from django.db import DatabaseError, InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache import outbox, rehearsals
from redis_toolkit.cache.databases import logical_name
from redis_toolkit.cache.stamps import new_transaction_id, unmark_all
from redis_toolkit.cache.status import is_open, is_over
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.connections import Link
from redis_toolkit.exceptions import StoreUnavailable

__all__ = ["expect", "forget", "is_due", "look", "may_trust"]

#: Seconds until a look that failed is made again, at most.
_AGAIN: Final = 0.5
#: Seconds that a thread waits for another's look, in which nothing may be trusted, before it asks the database.
_PATIENCE: Final = 0.5
#: A look that finds more rows than this drops whole tables instead.
_MANY: Final = 500

_log = logging.getLogger("redis_toolkit.cache")


class _Last:
    """The last look at one outbox: when the next is ``due``, and ``until`` when hits may be trusted."""

    __slots__ = ("due", "looking", "next", "until")

    def __init__(self, began: float, *, known: bool | None) -> None:
        # What is committed after a look has read waits for the next: one that takes long must not put that off.
        half = settings.OUTBOX_INTERVAL / 2
        #: (None: there was none yet. That is at once, also for who has read the clock before whoever noted it here.)
        self.due = -inf if known is None else began + (half if known else min(half, _AGAIN))
        self.until = began + settings.OUTBOX_INTERVAL if known else 0.0
        self.looking = threading.Lock()
        #: Set once somebody has looked again. (Who waited for the lock instead would get it one after the other: a
        #: crowd of threads takes longer for that than for the look.)
        self.next = threading.Event()


_last: dict[str, _Last] = {}
#: What the last look has dropped, by writer as well: an emptied table may begin anew with its numbers.
_dropped: dict[str, set[tuple[int, str]]] = {}


class Watcher(Protocol):
    """What a look must know of the connection it is made on."""

    @property
    def writer(self) -> bytes:
        """The id of the open transaction, if that has written."""

    def may_fill(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether the connection sees what was last committed."""


class _Away(Exception):
    """The database does not answer at all."""


def expect() -> None:
    """Have every outbox looked at before any hit is trusted: Redis was away, and somebody may have written."""
    global _last  # noqa: PLW0603 - one process, one view of the outboxes
    # Another, not emptied: a thread that is looking now, and may have looked too early, writes into the old one.
    _last = {}


def is_due(alias: str) -> bool:
    """Whether a read of database ``alias`` would look now."""
    last = _last.get(logical_name(alias))
    return last is None or monotonic() >= last.due


def may_trust(connection: BaseDatabaseWrapper, target: Link, watcher: Watcher) -> bool:
    """Whether hits may be trusted. Looks, if it is time to; while another thread does, it is trusted for its time."""
    known, place, began = _last, logical_name(connection.alias), monotonic()
    last = known.get(place) or known.setdefault(place, _Last(began, known=None))
    if began < last.due:
        return began < last.until
    if last.looking.acquire(blocking=False):
        seen = False
        try:
            if known[place] is last:
                try:
                    seen = look(connection, target, watcher)
                finally:
                    known[place] = _Last(began, known=seen)
                    last.next.set()
        finally:
            last.looking.release()
    elif began < last.until:
        return True
    else:
        last.next.wait(_PATIENCE)
    # (Not if Redis went and came meanwhile: what was looked at was looked at too early.)
    return known is _last and monotonic() < known[place].until


def look(connection: BaseDatabaseWrapper, target: Link, watcher: Watcher) -> bool:
    """Drop in Redis what the outbox holds. False if what it holds cannot be known, or Redis not be told."""
    try:
        rows = _read(connection, watcher)
    except _Away as error:
        # Without its database nobody writes either. (If it is away for us alone: see caveats.md, two faults at once.)
        _log.warning(
            "The database %s is away, and hits are served as before: %s", connection.alias, str(error.__cause__)
        )
        return True
    except (DatabaseError, InterfaceError) as error:
        _log.warning(
            "The outbox of %s could not be read, so nothing cached is trusted: %s", connection.alias, str(error)
        )
        return False
    # Not what this transaction has put itself: its write is to come, and what is dropped before it is not dropped.
    own, place = watcher.writer.hex(), logical_name(connection.alias)
    rows = [row for row in rows if row.writer != own]
    # Before the stamps are dropped: what is over only afterwards must be dropped once more.
    over = [(row.id, row.writer) for row in rows if row.is_over]
    try:
        _drop_in_redis([row for row in rows if (row.id, row.writer) not in _dropped.get(place, ())], target)
    except StoreUnavailable:
        return False
    _dropped[place] = set(over)
    if over:
        _delete(connection, over)
    return True


def _drop_in_redis(rows: Sequence[outbox.Row], target: Link) -> None:
    if len(rows) > _MANY:
        writer = new_transaction_id()
        unmark_all(target, [(stem, writer) for stem in {row.stem for row in rows}])
    elif rows:
        unmark_all(target, (mark for row in rows for mark in row.marks))


def _delete(connection: BaseDatabaseWrapper, found: Sequence[tuple[int, str]]) -> None:
    """Delete rows that were dropped; in a transaction only once that has committed, for it may last."""
    if not is_open(connection):
        outbox.delete(connection, found)
    elif connection.in_atomic_block and not connection.needs_rollback and not rehearsals.is_a_tests(connection):
        connection.on_commit(partial(outbox.delete, connection, found), robust=True)


def _read(connection: BaseDatabaseWrapper, watcher: Watcher) -> list[outbox.Row]:
    """The rows that are committed. Raises _Away, and errors of the database, which end no transaction."""
    if not connection.in_atomic_block:
        connection.close_if_health_check_failed()
    try:
        _connect(connection)
        with _beginning_nothing(connection):
            if _sees_latest(connection, watcher):
                return outbox.read(connection)
    except (DatabaseError, InterfaceError):
        if _is_alone(connection):
            raise
        # The server may have closed this one connection, or the caller's transaction be broken.
    except _Away:
        if not _has_pool(connection):
            raise
        # All of its pool may be in use.
    with closing(_another(connection)) as other:
        _connect(other)
        return outbox.read(other)


def _connect(connection: BaseDatabaseWrapper) -> None:
    """Open ``connection`` if it is not. Raises _Away if nobody is there to let us in or not."""
    try:
        connection.ensure_connection()
    except (DatabaseError, InterfaceError) as error:
        if _is_refusal(error):
            raise
        raise _Away from error


def _is_refusal(error: Exception) -> bool:
    """Whether a server is there, and lets us not in (too many connections, a password): others may be writing."""
    return "FATAL" in str(error)


@contextmanager
def _beginning_nothing(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Leave a connection without autocommit as it was: whoever has not begun may still choose an isolation level."""
    raw: Any = connection.connection
    begins = not connection.autocommit and not connection.in_atomic_block and is_over(connection)
    try:
        yield
    finally:
        if begins:
            with connection.wrap_database_errors:
                raw.rollback()


def _sees_latest(connection: BaseDatabaseWrapper, watcher: Watcher) -> bool:
    if watcher.may_fill(connection):
        return True
    if connection.vendor != "sqlite":
        return False
    # Who has read in a transaction of SQLite keeps others from committing (and another connection of ours waiting),
    # unless there is a write-ahead log.
    with connection.wrap_database_errors, closing(connection.create_cursor()) as cursor:
        return _is_alone(connection) or cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",)


def _is_alone(connection: BaseDatabaseWrapper) -> bool:
    """Whether nobody else could be connected to the database: it is in the memory of this process."""
    return connection.vendor == "sqlite" and bool(connection.is_in_memory_db())  # type: ignore[attr-defined]


def _has_pool(connection: BaseDatabaseWrapper) -> bool:
    return bool(connection.settings_dict.get("OPTIONS", {}).get("pool"))


def _another(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    other = connection.copy()
    # Not from the pool: threads that each hold one and wait for another would wait for ever.
    other.settings_dict.get("OPTIONS", {}).pop("pool", None)
    return other


def forget() -> None:
    """Know nothing of any outbox: tests and migrations begin anew."""
    expect()
    _dropped.clear()


# A child must not wait for a thread of its parent that was looking.
os.register_at_fork(after_in_child=expect)
