"""A slow database: what the timetable's small one would be with a thousand times as much in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from demo_project.lab.pauses import pause

__all__ = ["SlowDatabase"]

PATIENCE = 10.0  # seconds that a question is held back at most


class SlowDatabase:
    """Makes each question about the timetable take so many seconds longer, and so many at a time; counts them.

    `may_answer`: no question is answered before this is true. It is in effect in this process, on all its connections,
    from `install` on. The rows are the real ones.
    """

    def __init__(self, *, seconds: float, at_once: int, may_answer: Callable[[], bool] = lambda: True) -> None:
        self.questions = 0
        self._seconds = seconds
        self._may_answer = may_answer
        self._free = threading.Semaphore(at_once)
        self._counting = threading.Lock()
        self._here = threading.local()

    @property
    def asked_here(self) -> int:
        """How many questions this thread has asked."""
        asked: int = getattr(self._here, "asked", 0)
        return asked

    def install(self) -> None:
        connection_created.connect(self._slow_down, weak=False)
        for connection in connections.all(initialized_only=True):
            self._slow_down(connection=connection)

    def _slow_down(self, *, connection: Any, **_: Any) -> None:
        if self._ask not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._ask)

    def _ask(self, execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if "timetable_" not in sql:  # the toolkit's own look at its outbox, say
            return execute(sql, *args)
        with self._counting:
            self.questions += 1
        self._here.asked = self.asked_here + 1
        deadline = perf_counter() + PATIENCE
        while not self._may_answer() and perf_counter() < deadline:
            pause(0.001)
        with self._free:
            pause(self._seconds)
            return execute(sql, *args)
