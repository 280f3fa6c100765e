"""Whether a connection sees what was last committed: only that may be stored for others."""

from __future__ import annotations

import gc
import re
from typing import Any, ClassVar, Final
from weakref import WeakSet

from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache.status import is_open
from redis_toolkit.core.clock import monotonic

__all__ = ["Snapshots"]

#: However the level is set: SET TRANSACTION ISOLATION LEVEL, SET transaction_isolation, set_config(…).
_ISOLATION: Final = re.compile(r"isolation", re.IGNORECASE)


#: Seconds between two whole collections of garbage for the sake of cursors. 0: whenever there may be one.
_SWEEP = 10


class Snapshots:
    """What is known of the snapshots of one connection."""

    #: When cursors may be looked for in all of the garbage again.
    next_sweep: ClassVar[float] = 0.0

    def __init__(self) -> None:
        self._isolated: object = None
        self._latest: object = None
        self._reads: WeakSet[Any] = WeakSet()

    def hear(self, text: str, params: Any, connection: BaseDatabaseWrapper) -> None:
        """Notice a statement that may set the isolation level."""
        if _ISOLATION.search(text) is not None or ("set_config" in text and _ISOLATION.search(str(params))):
            self._isolated, self._latest = connection.connection, None

    def reading(self, cursor: Any, connection: BaseDatabaseWrapper) -> None:
        """Remember a cursor of the driver that has been read from."""
        if connection.vendor == "sqlite":
            # The driver's cursor: it may be all that the caller holds, as in `rows = cursor().execute(…)`.
            self._reads.add(cursor)

    def sees_latest(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether what ``connection`` reads now is what was last committed."""
        if connection.vendor == "sqlite":
            return not is_open(connection) and not self._is_reading()
        if not is_open(connection):
            return True
        return connection.vendor == "postgresql" and self._reads_committed(connection)

    def _is_reading(self) -> bool:
        """Whether a cursor may be half read: it would hold an old snapshot open, which further reads would share."""
        if self._reads:
            # Django's compiler leaves frames in cycles that keep cursors of finished statements alive.
            gc.collect(1)
        if self._reads and (not _SWEEP or monotonic() >= Snapshots.next_sweep):
            # What has lived long is found by a whole collection only, and that takes a while.
            Snapshots.next_sweep = monotonic() + _SWEEP
            gc.collect()
        return bool(self._reads)

    def _reads_committed(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether each statement of the open transaction sees the latest commits (READ COMMITTED)."""
        raw: Any = connection.connection
        if self._isolated is raw or connection.needs_rollback:
            return False
        if self._latest is not raw:
            with connection.wrap_database_errors, raw.cursor() as cursor:
                cursor.execute("SHOW transaction_isolation")
                level = cursor.fetchone()[0]
            if level != "read committed":
                self._isolated, self._latest = raw, None
                return False
            self._latest = raw
        return True
