"""A circuit breaker: after a failure or a few, a dead server costs nanoseconds instead of time-outs.

States: *closed* (commands go through) and *open* (they are refused at once). While it is open a daemon thread probes
the server with a connection of its own, so no request ever pays for finding out. One breaker per alias and process.

Pattern: M. Nygard, *Release It!*, with the half-open state moved off the request path.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from redis_toolkit.conf import settings
from redis_toolkit.signals import breaker_changed

__all__ = ["Breaker"]

_log = logging.getLogger("redis_toolkit.core")


class Breaker:
    """Opens after ``BREAKER_FAILURES`` failures in a row, or one time-out; closes when ``probe`` returns True."""

    def __init__(self, alias: str, probe: Callable[[], bool]) -> None:
        self.alias = alias
        self.is_open = False
        self._probe = probe
        self._failures = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()

    def succeeded(self) -> None:
        """A command went through. Called on every command, so it must stay an attribute test."""
        if self._failures:
            self._failures = 0

    def failed(self, *, timed_out: bool, error: BaseException | None = None) -> None:
        """A command could not be sent or answered. A time-out opens at once: each further one would cost as much."""
        with self._lock:
            self._failures += 1
            if self.is_open or (self._failures < settings.BREAKER_FAILURES and not timed_out):
                return
            self._wake.clear()
            thread = threading.Thread(target=self._watch, name=f"redis-toolkit-probe-{self.alias}", daemon=True)
            self.is_open = True
            try:
                thread.start()
            except RuntimeError:
                # No thread to be had, or the interpreter is about to end: nobody would ever close it.
                self.is_open = False
                return
        # Its text: the error itself would keep its frames, and the cursors in them, for as long as the record is kept.
        _log.warning("Redis (%r in CACHES) is left alone until it answers again: %s", self.alias, str(error))
        breaker_changed.send_robust(sender=self, alias=self.alias, state="open")

    def close(self) -> None:
        """Trust the server again, at once."""
        with self._lock:
            if not self.is_open:
                return
            self.is_open = False
            self._failures = 0
            # Still under the lock: set later, it might wake, and so end, the thread of a breaker opened meanwhile.
            self._wake.set()
        _log.warning("Redis (%r in CACHES) is back.", self.alias)
        breaker_changed.send_robust(sender=self, alias=self.alias, state="closed")

    def _watch(self) -> None:
        while self.is_open and not self._wake.wait(settings.BREAKER_RETRY):
            if self._probe():
                self.close()
