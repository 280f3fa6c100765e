"""The gate: a bound on the answers that this process loads from its databases at once.

After a cold start, or while Redis is away, every read is a load, and a database that all ask at once answers nobody.
``LOADS`` readers are let in; further ones queue, first come, first served, for ``LOADS_WAIT`` seconds at most.

A thread that is in is not asked again, so a cached function that reads cached querysets counts once. And who is inside
a transaction is never made to wait, on whatever database it is open:

1. A, in no transaction, is let in last, and waits for a row that B has locked  2. B, in its transaction, reads what is
not cached, and would queue behind A  3. A waits for B's commit, B for A's place: until ``LOADS_WAIT`` is over.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from math import ceil
from types import TracebackType
from typing import Final, NamedTuple

from django.db import connections

from redis_toolkit.cache.status import is_open
from redis_toolkit.conf import settings
from redis_toolkit.exceptions import CacheOverloaded

__all__ = ["Crowd", "admit", "crowd", "is_full"]


class Crowd(NamedTuple):
    """How many answers this process is ``loading``, and how many readers are ``waiting`` to."""

    loading: int
    waiting: int


class _Waiter:
    """A place in the queue: its lock is released by whoever lets it in."""

    __slots__ = ("is_in", "turn")

    def __init__(self) -> None:
        self.is_in = False
        self.turn = threading.Lock()
        self.turn.acquire()


class _Gate:
    """Those who are in, and the queue."""

    def __init__(self) -> None:
        self.loading = 0
        self.queue: deque[_Waiter] = deque()
        self._lock = threading.Lock()

    def enter(self) -> None:
        """Take a place, or wait for one. Raises CacheOverloaded."""
        with self._lock:
            if self.has_room() and not self.queue:
                self.loading += 1
                return
        # Asked only now, and of this thread's connections alone: where there is room it does not matter.
        must_wait = not any(is_open(connection) for connection in connections.all(initialized_only=True))
        if not must_wait:
            with self._lock:
                self.loading += 1
            return
        waiter, wait = _Waiter(), settings.LOADS_WAIT
        try:
            with self._lock:
                self.queue.append(waiter)
                # Somebody may have gone meanwhile, or the bound been raised.
                self._let_in()
            is_in = waiter.turn.acquire(timeout=min(wait, threading.TIMEOUT_MAX))
        except BaseException:
            # A greenlet that is killed, Ctrl-C: what it was just given goes to the next.
            if not self._gives_up(waiter):
                self.leave()
            raise
        if not is_in and self._gives_up(waiter):
            raise CacheOverloaded(
                f"{self.loading} answers are being loaded from the database, and no place became free within {wait}"
                " seconds (REDIS_TOOLKIT_LOADS, REDIS_TOOLKIT_LOADS_WAIT).",
                retry_after=max(1, ceil(wait)),
            )

    def _gives_up(self, waiter: _Waiter) -> bool:
        """Leave the queue. False for one who was let in at the last moment."""
        with self._lock:
            if waiter.is_in:
                return False
            with suppress(ValueError):
                # (Killed before it had come in.)
                self.queue.remove(waiter)
            return True

    def leave(self) -> None:
        """Give the place back."""
        with self._lock:
            self.loading -= 1
            self._let_in()

    def _let_in(self) -> None:
        while self.queue and self.has_room():
            waiter = self.queue.popleft()
            # Counted here, not when it wakes: who comes in between must not find the place free.
            self.loading += 1
            waiter.is_in = True
            waiter.turn.release()

    def has_room(self) -> bool:
        """Whether one more may come in."""
        most = settings.LOADS
        return most is None or self.loading < most


class _Place(threading.local):
    """What this thread holds: how often it came in, and to which gate."""

    depth = 0
    gate: _Gate | None = None


class _Admission:
    """The context of a load. One for all: what a thread holds is kept by thread."""

    __slots__ = ()

    def __enter__(self) -> None:
        if _place.gate is not _gate:
            _gate.enter()
            # (Of another gate: that of the parent, by a process forked in the middle of a load.)
            _place.gate, _place.depth = _gate, 0
        _place.depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gate = _place.gate
        if gate is not _gate:
            # Forked within this load. The place is the parent's.
            return
        _place.depth -= 1
        if not _place.depth:
            _place.gate = None
            gate.leave()


_gate = _Gate()
_place = _Place()
_ADMISSION: Final = _Admission()


def admit() -> _Admission:
    """A context in which to load, within the bound. Entering it waits, and may raise CacheOverloaded."""
    return _ADMISSION


def is_full() -> bool:
    """Whether who comes now would have to queue."""
    return bool(_gate.queue) or not _gate.has_room()


def crowd() -> Crowd:
    """Who is loading in this process, and who is waiting to."""
    return Crowd(_gate.loading, len(_gate.queue))


def _after_fork() -> None:
    global _gate  # noqa: PLW0603 - a place that another thread of the parent holds would never become free here
    _gate = _Gate()


os.register_at_fork(after_in_child=_after_fork)
