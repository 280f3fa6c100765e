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
from typing import Any, Final, NamedTuple

from redis_toolkit.cache import gate
from redis_toolkit.cache.own_writes import seen
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.exceptions import CodecError

__all__ = ["MOST_BYTES", "MOST_ENTRIES", "answer", "forget", "kept"]

#: Most answers that are kept, and most bytes of payloads; the oldest go first.
MOST_ENTRIES: Final = 10_000
MOST_BYTES: Final = 32 * 1024 * 1024

_NOTHING: Final = object()


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


def answer(question: Any, reader: Any, *, refresh: bool = False) -> tuple[Any, str]:
    """The answer to a question that the cache cannot be asked, and how it was come by: "bypass", or "kept" if it was.

    ``question`` and ``reader`` are those of ``reading.py``. With ``refresh`` it is loaded in any case.
    """
    life = question.outage_ttl if reader.link.breaker.is_open and settings.ENABLED else 0.0
    if not life or reader.watch.wrote(question.tables):
        with gate.admit():
            return question.load().answer, "bypass"
    found = _NOTHING if refresh else _find(question)
    if found is not _NOTHING:
        return found, "kept"
    with gate.admit():
        # Whoever was let in before us may have loaded the same.
        found = _NOTHING if refresh else _find(question)
        if found is not _NOTHING:
            return found, "kept"
        return _load(question, reader, life), "bypass"


def _find(question: Any) -> Any:
    """What is kept, as objects of the caller's own, or _NOTHING."""
    entry = _store.get(question.key)
    if entry is None or monotonic() >= entry.until or entry.fingerprint != question.fingerprint:
        return _NOTHING
    if any(then is not now for then, now in zip(entry.state, seen(question.tables), strict=True)):
        return _NOTHING
    try:
        return question.read(entry.payload)
    except CodecError:
        return _NOTHING


def _load(question: Any, reader: Any, life: float) -> Any:
    """The answer from the database, kept if it is what was last committed."""
    # Both before the load: what is committed while it runs may be missing from it.
    store, began, state = _store, monotonic(), seen(question.tables)
    keeps = watch_of(reader.connection).may_fill(reader.connection)
    loaded = question.load()
    size = len(loaded.payload or b"")
    if keeps and loaded.error is None and size <= settings.MAX_ENTRY_BYTES:
        store.put(question.key, _Kept(loaded.payload, began + life, state, question.fingerprint))
    return loaded.answer


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
