"""The one wrapper that sees every statement of a connection and marks what it is about to change.

Installed first in ``connection.execute_wrappers``, Django's documented instrumentation API; for a SELECT it costs a
prefix test. Order of a fine write:

1. mark what the statement says it will touch  2. lock the rows, read their current declared values, mark those too
3. run the statement (in autocommit, where the COMMIT is ours, before 1.)  4. after the commit take the marks off.

Marks come before the commit because a reader that starts before it may read the old row: it must find the stamp
marked, or the stamp it read must be gone by the time anyone trusts its entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Final
from weakref import ReferenceType, ref

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache import own_writes, rehearsals
from redis_toolkit.cache.changes import Change, change_of
from redis_toolkit.cache.growth import growth_of
from redis_toolkit.cache.locks import can_lock, read_locked
from redis_toolkit.cache.schemas import Schemas
from redis_toolkit.cache.snapshots import Snapshots
from redis_toolkit.cache.statements import analyse, may_write
from redis_toolkit.cache.status import is_open, is_over
from redis_toolkit.cache.tables import tables
from redis_toolkit.cache.texts import text_of
from redis_toolkit.cache.transactions import Transaction
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import now

__all__ = ["Watch", "install", "watch_of"]

Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]
Call = Callable[[], Any]

_ROLLBACK: Final = re.compile(r"\brollback\b", re.IGNORECASE)
#: Statements that may stand in a transaction and are one with it.
_PLAIN: Final = re.compile(r"\s*(?:INSERT|UPDATE|DELETE)\b", re.IGNORECASE)


class Watch:
    """The wrapper of one connection, and what its open transaction has written."""

    #: Whether this process is migrating a database: its tables may lack columns that the models have.
    migrating: ClassVar[bool] = False

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._open: Transaction | None = None
        self._awaiting: list[tuple[Transaction, ReferenceType[Any]]] = []
        self._hook: Callable[[], None] | None = None
        self._hook_at = 0
        self._snapshots = Snapshots()
        self._schemas = Schemas()

    def __call__(self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:  # noqa: FBT001 - Django's signature
        connection: BaseDatabaseWrapper = context["connection"]
        call = partial(execute, sql, params, many, context)
        if isinstance(sql, str) and not may_write(sql):
            if self._open is not None:
                self._open.refresh()
            return self._read(call, context)
        self.settle(connection)
        text = sql if isinstance(sql, str) else text_of(sql, connection)
        if self._open is not None and _ROLLBACK.search(text) is not None:
            self._open.rolled_back()
        self._snapshots.hear(text, params, connection)
        write = analyse(text)
        change = None if write is None else change_of(write, params, tables(self.alias), many=many)
        if write is not None and change is not None:
            change.grown = growth_of(write, change, params, tables(self.alias))
        self._schemas.hear(text, write, change, self.alias)
        if change is not None:
            return self._perform(change, call, context, text)
        result = self._read(call, context)
        if self._open is not None:
            # It may have been a COMMIT or ROLLBACK by hand.
            self.settle(connection)
        return result

    def _read(self, call: Call, context: dict[str, Any]) -> Any:
        result = call()
        self._snapshots.reading(context["cursor"].cursor, context["connection"])
        return result

    # Writing

    def _perform(self, change: Change, call: Call, context: dict[str, Any], text: str) -> Any:
        connection: BaseDatabaseWrapper = context["connection"]
        if change.locks and not (can_lock(connection, text) and self._has_columns(change, connection)):
            change = change.coarse()
        if is_open(connection):
            return self._mark_and_lock(change, connection).perform(change.grown, call, context["cursor"])
        if not change.locks:
            return self._alone(change, call, context, text)
        # 1. lock and read  2. the statement  3. marks  4. COMMIT: nobody sees what is written before it is marked.
        return self._in_a_transaction(lambda: self._lock(change, connection), call, connection, change.grown)

    def _in_a_transaction(self, first: Call, call: Call, connection: BaseDatabaseWrapper, grown: Any = None) -> Any:
        """A statement in autocommit, in a transaction with what comes ``first`` and may say what to mark at last."""
        broken = connection.needs_rollback if rehearsals.is_bare(connection) else None
        try:
            with transaction.atomic(using=self.alias, savepoint=False):
                names = first()
                result = call()
                if names:
                    self._transaction(connection).mark(tables(self.alias), names, grown)
                return result
        finally:
            if broken is not None:
                # Around a test, whose block goes on as it does without us.
                connection.needs_rollback = broken
            self.settle(connection)

    def _alone(self, change: Change, call: Call, context: dict[str, Any], text: str) -> Any:
        """A statement in autocommit that needs no lock: committed when it returns."""
        connection: BaseDatabaseWrapper = context["connection"]
        connection.ensure_connection()
        single = Transaction(self.alias, connection)
        single.mark(tables(self.alias), change.names, change.grown)
        single.note(change)
        if single.must_put:
            if self._can_wrap(connection, text):
                return self._in_a_transaction(lambda: self._put_first(single, connection), call, connection)
            # A row of its own, which is dropped again and again until this statement is certainly over.
            single.put(until=now() + settings.MARK_TTL)
        try:
            result = single.perform(change.grown, call, context["cursor"])
        except BaseException:
            # With the connection broken the server may have committed: then the marks run out by themselves.
            self._end(single, connection)
            raise
        if is_open(connection):
            # The statement began a transaction and left it open, as "BEGIN; UPDATE …" does.
            self._open = single
        elif connection.vendor == "sqlite" and "RETURNING" in text:
            # SQLite commits when the last returned row is fetched, which is after us: `settle` takes the marks off.
            self._awaiting.append((single, ref(context["cursor"].cursor)))
        else:
            single.finish(committed=True)
        return result

    def _put_first(self, single: Transaction, connection: BaseDatabaseWrapper) -> None:
        self._open, self._hook = single, None
        self._transaction(connection)
        single.put()

    def _can_wrap(self, connection: BaseDatabaseWrapper, text: str) -> bool:
        """Whether a statement in autocommit does the same in a transaction of ours."""
        if connections[self.alias] is not connection or ";" in text:
            return False
        return _PLAIN.match(text) is not None and not (connection.vendor == "sqlite" and "RETURNING" in text)

    def _end(self, single: Transaction, connection: BaseDatabaseWrapper) -> None:
        """Take the marks of a failed statement off if it is certain that nothing of it can be committed any more."""
        if is_open(connection):
            self._open = single
        else:
            own_writes.wrote(single.tables)
            if single.raw is connection.connection and is_over(connection):
                single.finish()

    def _mark_and_lock(self, change: Change, connection: BaseDatabaseWrapper) -> Transaction:
        watched = tables(self.alias)
        current = self._transaction(connection)
        current.note(change)
        if change.complete or not change.locks:
            current.mark(watched, change.names, change.grown)
        if change.locks and change.table is not None:
            current.mark(watched, self._lock(change, connection), change.grown)
        return current

    def _lock(self, change: Change, connection: BaseDatabaseWrapper) -> dict[str, set[str]]:
        """Lock the rows; the stamps (by table) of what they hold and will hold."""
        # Known from here on, for what others wrap around the statement may read from the cache before it is marked.
        current = self._transaction(connection)
        current.tables.update(change.names)
        current.note(change)
        found = change.names_of_rows(read_locked(change, connection))
        name = change.table.name if change.table is not None else ""
        return {**change.names, name: change.names[name] | found}

    def _has_columns(self, change: Change, connection: BaseDatabaseWrapper) -> bool:
        return not Watch.migrating and change.table is not None and not self._schemas.lacks(change.table, connection)

    def _transaction(self, connection: BaseDatabaseWrapper) -> Transaction:
        """The record of the open transaction, with its hook in place."""
        current = self._open
        if current is None:
            connection.ensure_connection()
            current = self._open = Transaction(self.alias, connection)
            self._hook = None
        hooks = connection.in_atomic_block and not rehearsals.is_a_tests(connection)
        if hooks and not self._is_hooked(connection.run_on_commit):
            # First mark of this transaction, or the hook went with a savepoint (or a whole transaction) rolled back.
            self._hook = partial(self._committed, current, connection)
            self._hook_at = len(connection.run_on_commit)
            connection.on_commit(self._hook, robust=True)
        return current

    def _is_hooked(self, hooks: Sequence[Any]) -> bool:
        if self._hook is None:
            return False
        if self._hook_at < len(hooks) and hooks[self._hook_at][1] is self._hook:
            return True
        return any(entry[1] is self._hook for entry in hooks)

    def _committed(self, ended: Transaction, connection: BaseDatabaseWrapper) -> None:
        if connection.in_atomic_block:
            # A test runs the hooks of a transaction (captureOnCommitCallbacks) before its end.
            return
        if self._open is ended:
            self._open = None
        ended.finish(committed=True)

    def settle(self, connection: BaseDatabaseWrapper) -> None:
        """Take the marks off a transaction that ended without its hook: rolled back, or not Django's own.

        With another driver connection its outcome is unknown, so nothing is taken off.
        """
        ended = self._open
        if ended is not None and (ended.raw is not connection.connection or is_over(connection)):
            self._open = None
            self._finish(ended, connection, committed=rehearsals.is_bare(connection))
        for awaited in list(self._awaiting):
            ended, cursor = awaited
            # A cursor that somebody still holds may have rows to give, and then its statement is not committed.
            if ended.raw is not connection.connection or (cursor() is None and is_over(connection)):
                self._awaiting.remove(awaited)
                self._finish(ended, connection, committed=True)

    def _finish(self, ended: Transaction, connection: BaseDatabaseWrapper, *, committed: bool) -> None:
        # (Even where it is not known whether it was committed.)
        own_writes.wrote(ended.tables)
        if ended.raw is connection.connection:
            ended.finish(committed=committed)

    def touch(self, connection: BaseDatabaseWrapper, names: dict[str, set[str]]) -> bool:
        """Treat stamps (by table) as written: marked until the end of the open transaction, or dropped at once.

        Returns whether Redis was told.
        """
        self.settle(connection)
        if is_open(connection):
            current = self._transaction(connection)
            current.mark(tables(self.alias), names)
            return current.is_heard
        single = Transaction(self.alias, connection)
        single.mark(tables(self.alias), names)
        if single.must_put:
            single.put()
        return single.finish()

    def lay_aside(self) -> Transaction | None:
        """Give the transaction around a test, and know nothing of what it has written until it is taken back."""
        aside, self._open = self._open, None
        return aside

    def take_back(self, aside: Transaction | None, connection: BaseDatabaseWrapper) -> None:
        """Go on with the transaction around a test. Meanwhile it may have written anything."""
        self._open, self._hook = aside or Transaction(self.alias, connection), None
        self._open.tables.update(tables(self.alias).by_name)

    # Reading

    @property
    def writer(self) -> bytes:
        """The id of the open transaction, empty if it has written nothing."""
        return b"" if self._open is None else self._open.id

    def wrote(self, names: Sequence[str]) -> bool:
        """Whether the open transaction wrote one of the tables: then it neither reads nor fills their entries."""
        return self._open is not None and not self._open.tables.isdisjoint(names)

    def may_fill(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether what ``connection`` reads now is what was last committed, so that others may be given it."""
        return self._snapshots.sees_latest(connection)


def install(connection: BaseDatabaseWrapper) -> Watch:
    """Put the wrapper first on ``connection``, once."""
    watch = Watch(connection.alias)
    connection.execute_wrappers.insert(0, watch)
    return watch


def watch_of(connection: BaseDatabaseWrapper) -> Watch:
    """The wrapper of ``connection``, installed if it was not."""
    for wrapper in connection.execute_wrappers:
        if type(wrapper) is Watch:
            return wrapper
    return install(connection)
