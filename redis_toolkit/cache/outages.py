"""Answers kept in this process while Redis is away, for managers that ask for it: ``CacheManager(outage_ttl=5)``.

Off by default, for it is the one thing here that is stale while Redis is away: an answer may be given until
``outage_ttl`` seconds after its load *began*, whatever other processes have committed since. What this process itself
writes ends what it keeps:

1. a reader loads the old row  2. a writer of this process commits, and ends what is kept  3. the reader keeps the old
row. So it is kept under the state that the tables had before the load, and 2. has changed that.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache.own_writes import seen
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic

__all__ = ["MOST_BYTES", "MOST_ENTRIES", "Outage", "forget", "kept"]

#: Most answers that are kept, and most bytes of payloads; the oldest go first.
MOST_ENTRIES: Final = 10_000
MOST_BYTES: Final = 32 * 1024 * 1024


class _Kept(NamedTuple):
    """An answer: its payload, until when it may be given, and the state of its tables before it was loaded."""

    payload: bytes | None
    until: float
    state: tuple[object, ...]
    fingerprint: bytes


class _Store:
    """The answers of one outage, oldest first."""

    def __init__(self) -> None:
        self._entries: dict[str, _Kept] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> _Kept | None:
        return self._entries.get(key)

    def put(self, key: str, kept: _Kept) -> None:
        with self._lock:
            self._drop(key)
            self._entries[key] = kept
            self._bytes += _size(key, kept)
            while self._bytes > MOST_BYTES or len(self._entries) > MOST_ENTRIES:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: str) -> None:
        kept = self._entries.pop(key, None)
        if kept is not None:
            self._bytes -= _size(key, kept)


_store = _Store()


class Outage:
    """What one reader may take of what is kept of these tables, and add to it. ``life``: seconds, 0 for nothing."""

    __slots__ = ("_began", "_fingerprint", "_into", "_life", "_state", "_tables")

    def __init__(self, reader: Any, tables: Sequence[str], fingerprint: bytes, life: float) -> None:
        # Not by a transaction that has written them: it sees its own writes, and nobody else may yet.
        away = life and reader.link.breaker.is_open and settings.ENABLED and not reader.watch.wrote(tables)
        self._life = life if away else 0.0
        self._tables = tables
        self._fingerprint = fingerprint
        self._into: _Store | None = None

    def __bool__(self) -> bool:
        return self._life > 0.0

    def find(self, key: str) -> bytes | Literal[False] | None:
        """The payload that is kept under ``key`` (None: absent); False if nothing is."""
        entry = _store.get(key) if self._life else None
        if entry is None or monotonic() >= entry.until or entry.fingerprint != self._fingerprint:
            return False
        if any(then is not now for then, now in zip(entry.state, seen(self._tables), strict=True)):
            return False
        return entry.payload

    def begin(self, connection: BaseDatabaseWrapper) -> None:
        """Say that what ``connection`` is now asked for is to be kept, if it is what was last committed."""
        # Before the load: what is committed while it runs may be missing from it.
        self._began, self._state = monotonic(), seen(self._tables)
        if self._life and watch_of(connection).may_fill(connection):
            self._into = _store

    def keep(self, key: str, payload: bytes | None) -> None:
        """Keep what was loaded since."""
        if self._into is not None and len(payload or b"") <= settings.MAX_ENTRY_BYTES:
            self._into.put(key, _Kept(payload, self._began + self._life, self._state, self._fingerprint))


def _size(key: str, kept: _Kept) -> int:
    return len(key) + len(kept.payload or b"")


def kept() -> int:
    """How many answers are kept now, those included whose time is over."""
    return len(_store)


def forget() -> None:
    """Keep nothing: Redis is back."""
    global _store  # noqa: PLW0603 - one process, one store
    # Another, not emptied: a reader that is loading now keeps its answer in the old one.
    _store = _Store()


# (The child may have been forked while another thread held the lock.)
os.register_at_fork(after_in_child=forget)
