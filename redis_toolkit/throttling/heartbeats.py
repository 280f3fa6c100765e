"""Leases that are kept while their work goes on: by one thread for all of this process, every third of a lease.

So a lease needs to be no longer than it may take until the place of a process that died is free, however long the work
is. What is dropped here, and not given back, runs out by itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

from redis_toolkit.core.clock import monotonic

__all__ = ["Heartbeats", "heartbeats"]

#: Of a lease that passes before it is kept.
_PART: Final = 3


class Heartbeats:
    """What is kept in this process: by a holder's id, when it is due, for how long it lasts (seconds), and how."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Keep nothing: in a forked child, whose parent does."""
        self._kept: dict[str, tuple[float, float, Callable[[], object]]] = {}
        self._lock = threading.Lock()
        self._wakes = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, holder: str, life: float, keep: Callable[[], object]) -> None:
        """Call ``keep`` again and again, until :meth:`end`."""
        self._kept[holder] = monotonic() + life / _PART, life, keep
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="redis_toolkit leases", daemon=True)
                self._thread.start()
        self._wakes.set()

    def end(self, holder: str) -> None:
        """Keep it no more. Takes no lock: the collector may call this anywhere."""
        self._kept.pop(holder, None)

    def beat(self) -> float:
        """Keep what is due. Seconds until something is."""
        for holder, (due, life, keep) in list(self._kept.items()):
            if due <= monotonic():
                keep()
                if holder in self._kept:
                    self._kept[holder] = monotonic() + life / _PART, life, keep
        first = min((due for due, _, _ in list(self._kept.values())), default=monotonic() + 60)
        return max(0.01, first - monotonic())

    def _run(self) -> None:
        while True:
            self._wakes.wait(self.beat())
            self._wakes.clear()


heartbeats = Heartbeats()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=heartbeats.forget)
