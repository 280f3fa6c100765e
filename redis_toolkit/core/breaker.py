"""A circuit breaker: after a failure or a few, a dead server costs nanoseconds instead of time-outs.

States: *closed* (commands go through), *open* (they are refused at once), and *half-open*: still refused, while a
daemon thread probes the server with a connection of its own and does what must come before it is trusted. So no request
ever pays for finding out. One breaker per alias and process.

Pattern: M. Nygard, *Release It!*, with the half-open state moved off the request path.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from redis_toolkit.conf import settings
from redis_toolkit.core.clock import now
from redis_toolkit.signals import breaker_changed

__all__ = ["Breaker"]

_log = logging.getLogger("redis_toolkit.core")


class Breaker:
    """Opens after ``BREAKER_FAILURES`` failures in a row, or one time-out; closes when ``probe`` returns True."""

    def __init__(self, alias: str, probe: Callable[[], bool]) -> None:
        self.alias = alias
        #: Whether commands are refused: open, or half-open.
        self.is_open = False
        #: When it last opened or closed (not: was half-open), in seconds since the epoch.
        self.since = now()
        self._is_probing = False
        self._probe = probe
        self._failures = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()

    @property
    def state(self) -> str:
        """Which of "closed", "open" and "half-open" it is."""
        if not self.is_open:
            return "closed"
        return "half-open" if self._is_probing else "open"

    @property
    def failures(self) -> int:
        """How many failures there were in a row. While it is open none are added but those under way when it opened."""
        return self._failures

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
            self.is_open, self._is_probing = True, False
            try:
                thread.start()
            except RuntimeError:
                # No thread to be had, or the interpreter is about to end: nobody would ever close it.
                self.is_open = False
                return
            self.since = now()
        # Its text: the error itself would keep its frames, and the cursors in them, for as long as the record is kept.
        _log.warning("Redis (%r in CACHES) is left alone until it answers again: %s", self.alias, str(error))
        self._tell("open", "closed")

    def close(self) -> None:
        """Trust the server again, at once."""
        with self._lock:
            if not self.is_open:
                return
            before = self.state
            self.is_open = self._is_probing = False
            self._failures, self.since = 0, now()
            # Still under the lock: set later, it might wake, and so end, the thread of a breaker opened meanwhile.
            self._wake.set()
        _log.warning("Redis (%r in CACHES) is back.", self.alias)
        self._tell("closed", before)

    def _watch(self) -> None:
        while self.is_open and not self._wake.wait(settings.BREAKER_RETRY):
            self._probes(True)
            if self._probe():
                self.close()
            else:
                self._probes(False)

    def _probes(self, begins: bool) -> None:  # noqa: FBT001 - one of two
        with self._lock:
            # (It may have been closed by hand meanwhile.)
            if not self.is_open or self._is_probing is begins:
                return
            self._is_probing = begins
        self._tell(*(("half-open", "open") if begins else ("open", "half-open")))

    def _tell(self, state: str, before: str) -> None:
        breaker_changed.send_robust(sender=self, alias=self.alias, state=state, before=before)
