"""What is dear to find out, and is asked for by every page that is looked at: found out once in so many seconds.

One thread of a process asks at a time. The others are given what was known before, if that has ended only lately: a
server that is slow to answer holds one worker, and not all that serve a page which somebody looks at. Where nothing was
known they wait. An error is raised and not remembered.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar
from weakref import WeakSet

from django.core.signals import setting_changed

from redis_toolkit.core.clock import monotonic, now

__all__ = ["Known", "Remembered", "forget"]

T = TypeVar("T")

#: So many times as long as an answer is good it is given to who would have to wait for the next one.
_LATELY: Final = 4

_all: WeakSet[Remembered[Any]] = WeakSet()


class Known(NamedTuple, Generic[T]):
    """An answer, and when it was found: seconds since the epoch."""

    answer: T
    found: float


class Remembered(Generic[T]):
    """The answer of ``ask``, kept for so many ``seconds``, or as many as these say of it."""

    def __init__(self, seconds: float | Callable[[T], float], ask: Callable[[], T]) -> None:
        self._seconds = seconds
        self._ask = ask
        self.forget()
        _all.add(self)

    def forget(self) -> None:
        """Ask anew the next time: also in a forked child, where a thread that it has not got may hold the lock."""
        self._known: Known[T] | None = None
        self._until = self._at_most = 0.0
        self._lock = threading.Lock()

    def get(self) -> Known[T]:
        """The answer. Raises what ``ask`` raises."""
        known, lock, moment = self._known, self._lock, monotonic()
        if known is not None and moment < self._until:
            return known
        if not lock.acquire(blocking=known is None or moment >= self._at_most) and known is not None:
            return known
        try:
            return self._asked()
        finally:
            lock.release()

    def _asked(self) -> Known[T]:
        # (Somebody may have asked while we waited.)
        if self._known is None or monotonic() >= self._until:
            answer = self._ask()
            life = self._seconds(answer) if callable(self._seconds) else self._seconds
            end = monotonic()
            self._known, self._until, self._at_most = Known(answer, now()), end + life, end + _LATELY * life
        return self._known


def forget(**_: object) -> None:
    """Forget all answers (for tests, and where settings have changed)."""
    for each in list(_all):
        each.forget()


setting_changed.connect(forget, dispatch_uid="redis_toolkit.dashboard.remembered")
os.register_at_fork(after_in_child=forget)
