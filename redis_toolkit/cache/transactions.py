"""What one transaction has marked, and how its marks come off again.

A transaction's marks are taken off once it is certainly over: after its commit by a hook, after its rollback as soon as
that is noticed. While it may still commit they stay; when its connection is lost they run out by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache import debts, looks, outbox, own_writes
from redis_toolkit.cache.changes import MOST_STAMPS
from redis_toolkit.cache.growth import Grown, Growth, growth_of_names
from redis_toolkit.cache.stamps import mark, new_transaction_id, unmark
from redis_toolkit.cache.status import is_open
from redis_toolkit.cache.tables import Tables
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.signals import cache_failed, cache_invalidated

__all__ = ["Transaction"]


class Transaction:
    """The marks of one transaction on one database alias."""

    __slots__ = (
        "_ahead",
        "_coarse",
        "_connection",
        "_growth",
        "_marked_at",
        "_put",
        "_unheard",
        "alias",
        "id",
        "raw",
        "stamps",
        "tables",
    )

    def __init__(self, alias: str, connection: BaseDatabaseWrapper) -> None:
        self.alias = alias
        self.id = new_transaction_id()
        self._connection = connection
        #: The driver's connection: with another one the transaction is lost, and its outcome unknown.
        self.raw = connection.connection
        self.tables: set[str] = set()
        self.stamps: set[str] = set()
        self._coarse: set[str] = set()
        #: Stamps that Redis could not be told of, and those of them that are in the outbox.
        self._unheard: set[str] = set()
        self._put: set[str] = set()
        #: Whether rows were put ahead of the write, with a deadline.
        self._ahead = False
        self._marked_at = monotonic()
        self._growth = Growth(alias, self.id)

    @property
    def must_put(self) -> bool:
        """Whether there are stamps that neither Redis nor the outbox has."""
        return not self._unheard <= self._put

    def mark(self, watched: Tables, names: dict[str, set[str]], grown: Mapping[str, Grown] | None = None) -> None:
        """Mark the stamps ``names`` (by table) that are not marked yet; one round trip, or none.

        ``grown``: what is added to filters; None if these names are all that is known of it.
        """
        self.tables.update(names)
        grown = growth_of_names(names, watched) if grown is None else grown
        if grown:
            self._growth.note(watched, grown, is_open=is_open(self._connection))
        wanted: set[str] = set()
        for name, suffixes in names.items():
            if "" in suffixes:
                # The generation covers the table: nothing finer needs marking until this transaction ends.
                self._coarse.add(name)
            wanted.update(watched.by_name[name].stamps(self.alias, {""} if name in self._coarse else suffixes))
        if len(self.stamps | wanted) > MOST_STAMPS and set(names) - self._coarse:
            self.mark(watched, {name: {""} for name in names}, {})
            return
        if not self.stamps:
            self._marked_at = monotonic()
        wanted -= self.stamps
        self.stamps |= wanted
        if not self._refreshed():
            self._send(wanted)

    def refresh(self) -> None:
        """Mark again what is marked, if half the life of the marks has gone by."""
        if self.stamps:
            self._refreshed()

    def _refreshed(self) -> bool:
        if monotonic() - self._marked_at < settings.MARK_TTL / 2:
            return False
        self._marked_at = monotonic()
        self._growth.again()
        self._send(self.stamps)
        return True

    def _send(self, stamps: Iterable[str]) -> None:
        try:
            mark(link(), stamps, self.id, self._growth.entering())
        except StoreUnavailable as error:
            # The write goes on, and its stamps with it into the outbox.
            cache_failed.send_robust(sender=None, during="mark", error=error)
            self._unheard.update(stamps, self._growth.unheard())
        else:
            self._growth.heard()
        if self.must_put and is_open(self._connection):
            self.put()

    def perform(self, grown: Mapping[str, Grown], call: Callable[[], Any], cursor: Any) -> Any:
        """Run a statement that is marked, and tell of the rows whose keys only the database knew."""
        if not any(each.keyless for each in grown.values()):
            return call()
        try:
            result = call()
        except BaseException as error:
            # (Another wrapper may have raised it when the statement had run.)
            self._growth.failed(grown, surely=isinstance(error, Error))
            self._tell()
            raise
        self._growth.learn(grown, cursor, self._connection.vendor)
        self._tell()
        return result

    def _tell(self) -> None:
        # In autocommit the row is committed, or is not: what ends the transaction tells all there is.
        if is_open(self._connection):
            self._send(())

    def put(self, *, until: float | None = None) -> None:
        """Insert what Redis could not be told of into the outbox, in the open transaction, or by itself ``until``."""
        if outbox.put(self._connection, self.id, self._unheard - self._put, until=until):
            self._put |= self._unheard
            self._ahead = self._ahead or until is not None

    def rolled_back(self) -> None:
        """A savepoint was rolled back, and what was put into the outbox since may have gone with it."""
        self._put.clear()

    @property
    def is_heard(self) -> bool:
        """Whether Redis was told of every stamp."""
        return not self._unheard

    def finish(self) -> bool:
        """Take every mark off. The transaction must be over. Returns whether Redis was told."""
        own_writes.wrote(self.tables)
        stamps, self.stamps = self.stamps, set()
        self._coarse.clear()
        if not stamps:
            return True
        told = False
        try:
            unmark(link(), stamps, self.id, self._growth.leaving())
        except StoreUnavailable as error:
            self._owe(stamps)
            cache_failed.send_robust(sender=None, during="unmark", error=error)
        else:
            told = True
            if self._unheard and not is_open(self._connection):
                outbox.drop(self._connection, self.id)
        self._growth.forget()
        cache_invalidated.send_robust(sender=None, stamps=tuple(stamps), alias=self.alias)
        return told

    def _owe(self, stamps: set[str]) -> None:
        """Redis is away, and the write is committed: leave its stamps in the outbox, or remember them."""
        self._unheard = stamps
        # Two commands were refused, and the breaker may still be closed: 1. we return  2. our caller reads, and Redis
        # is back, its old entry with it. So our own next read looks at the outbox first.
        looks.expect()
        if self._ahead and not outbox.end(self._connection, self.id):
            # 1. a row is put until a deadline  2. that is over, by the clock of some host, and a look deletes the row
            # 3. only now is the write over. So what it has changed is put once more.
            self._put.clear()
        self._ahead = False
        if not is_open(self._connection) and self.must_put:
            self.put()
        if self.must_put:
            debts.owe(stamps - self._put, self.id)
        else:
            outbox.keep_small(self._connection)
