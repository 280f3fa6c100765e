"""What one transaction has marked, and how its marks come off again.

A transaction's marks are taken off once it is certainly over: after its commit by a hook, after its rollback as soon as
that is noticed. While it may still commit they stay; when its connection is lost they run out by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache import debts
from redis_toolkit.cache.changes import MOST_STAMPS
from redis_toolkit.cache.stamps import mark, new_transaction_id, unmark
from redis_toolkit.cache.tables import Tables
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.signals import cache_failed, cache_invalidated

__all__ = ["Transaction", "is_open", "is_over"]

_PSYCOPG_IDLE: Final = 0


def is_open(connection: BaseDatabaseWrapper) -> bool:
    """Whether ``connection`` is inside a transaction: Django's, or one begun by hand, even by a raw ``BEGIN``."""
    if connection.connection is None:
        return False
    return connection.in_atomic_block or not connection.autocommit or _driver_is_busy(connection) is True


def is_over(connection: BaseDatabaseWrapper) -> bool:
    """Whether no transaction is under way on the live ``connection``; False where that cannot be told."""
    if connection.in_atomic_block:
        return False
    busy = _driver_is_busy(connection)
    return connection.autocommit if busy is None else not busy


def _driver_is_busy(connection: BaseDatabaseWrapper) -> bool | None:
    """Whether the driver knows of a transaction under way; None if it cannot say."""
    raw: Any = connection.connection
    if connection.vendor == "postgresql" and hasattr(raw, "info"):
        return bool(raw.info.transaction_status != _PSYCOPG_IDLE)
    return bool(raw.in_transaction) if connection.vendor == "sqlite" else None


class Transaction:
    """The marks of one transaction on one database alias."""

    __slots__ = ("_coarse", "_marked_at", "alias", "id", "raw", "stamps", "tables")

    def __init__(self, alias: str, connection: BaseDatabaseWrapper) -> None:
        self.alias = alias
        self.id = new_transaction_id()
        #: The driver's connection: with another one the transaction is lost, and its outcome unknown.
        self.raw = connection.connection
        self.tables: set[str] = set()
        self.stamps: set[str] = set()
        self._coarse: set[str] = set()
        self._marked_at = monotonic()

    def mark(self, watched: Tables, names: dict[str, set[str]]) -> None:
        """Mark the stamps ``names`` (by table) that are not marked yet; one round trip, or none."""
        self.tables.update(names)
        wanted: set[str] = set()
        for name, suffixes in names.items():
            if name in self._coarse:
                continue
            if "" in suffixes:
                # The generation covers the table: nothing finer needs marking until this transaction ends.
                self._coarse.add(name)
            wanted.update(watched.by_name[name].stamps(self.alias, {""} if "" in suffixes else suffixes))
        wanted -= self.stamps
        if len(self.stamps) + len(wanted) > MOST_STAMPS and set(names) - self._coarse:
            self.mark(watched, {name: {""} for name in names})
            return
        if not wanted and monotonic() - self._marked_at < settings.MARK_TTL / 2:
            return
        if wanted and not self.stamps:
            self._marked_at = monotonic()
        if monotonic() - self._marked_at >= settings.MARK_TTL / 2:
            wanted |= self.stamps
            self._marked_at = monotonic()
        self.stamps |= wanted
        self._send(wanted)

    def refresh(self) -> None:
        """Mark again what is marked, if half the life of the marks has gone by."""
        if self.stamps and monotonic() - self._marked_at >= settings.MARK_TTL / 2:
            self._marked_at = monotonic()
            self._send(self.stamps)

    def _send(self, stamps: Iterable[str]) -> None:
        try:
            mark(link(), stamps, self.id)
        except StoreUnavailable as error:
            # The write goes on. Its stamps are dropped when it ends; if that fails too they are owed.
            cache_failed.send(sender=None, during="mark", error=error)

    def finish(self) -> None:
        """Take every mark off. The transaction must be over."""
        stamps, self.stamps = self.stamps, set()
        self._coarse.clear()
        if not stamps:
            return
        try:
            unmark(link(), stamps, self.id)
        except StoreUnavailable as error:
            debts.owe(stamps, self.id)
            cache_failed.send(sender=None, during="unmark", error=error)
        cache_invalidated.send(sender=None, stamps=tuple(stamps), alias=self.alias)
