"""Refreshing behind the readers' backs: they are given what is there, and a thread of this process makes it anew.

One thread, started when there is first something to do and ended when there has been nothing for a while, with
connections of its own to the databases and to Redis. What a process has begun is lost with it, and begun again by the
next reader. The language, the time zone and the context variables are those of the reader.

Nothing is refreshed here, and the reader does it, where a thread would see something else: a tenant that is the
connection's (``REDIS_TOOLKIT_TENANT``), a test's uncommitted rows, a database in memory.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Final

from django.db import connections
from django.utils import timezone, translation

from redis_toolkit.cache import rehearsals
from redis_toolkit.conf import settings
from redis_toolkit.core.connections import link

__all__ = ["is_possible", "later", "wait"]

_log = logging.getLogger("redis_toolkit.cache")
#: Most answers that wait for their turn. Beyond that the next reader asks again.
_MOST: Final = 1000
#: Seconds without work after which the thread ends, and its connections with it.
_IDLE: Final = 5.0

Job = Callable[[], None]


class _Worker:
    """The thread and what it has to do."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[tuple[str, Job]] = queue.Queue(_MOST)
        self._names: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, name: str, job: Job) -> bool:
        """Do ``job`` soon, unless one of that name waits or runs. Returns whether there is a thread to do it."""
        with self._lock:
            if name in self._names:
                return True
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="redis-toolkit-refresh", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    # No thread to be had, or the interpreter is about to end.
                    return False
                self._thread = thread
            try:
                self._jobs.put_nowait((name, partial(copy_context().run, _as_reader(job))))
            except queue.Full:
                return True
            self._names.add(name)
            return True

    def wait(self) -> None:
        """Wait until nothing is left to do."""
        self._jobs.join()

    def _work(self) -> None:
        while True:
            try:
                name, job = self._jobs.get(timeout=_IDLE)
            except queue.Empty:
                with self._lock:
                    if self._names:
                        continue
                    self._thread = None
                    break
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - nobody is there to catch it, and readers have the old answer
                # (A coroutine that was cancelled, too: without the thread nothing would be made anew any more.)
                _log.warning("An answer was not refreshed: %s", str(error))
            finally:
                with self._lock:
                    self._names.discard(name)
                self._close_if_idle()
                self._jobs.task_done()
        link().close()

    def _close_if_idle(self) -> None:
        # A database would be kept from being dropped, and a cursor from being closed.
        if self._jobs.empty():
            connections.close_all()


def _as_reader(job: Job) -> Job:
    """``job`` in the language and the time zone of now: Django keeps both for a thread, whatever its context."""
    language, zone = translation.get_language(), timezone.get_current_timezone()

    def done() -> None:
        with translation.override(language), timezone.override(zone):
            job()

    return done


_worker = _Worker()


def is_possible(alias: str) -> bool:
    """Whether a thread would read what the caller reads from database ``alias``."""
    connection = connections[alias]
    in_memory = connection.vendor == "sqlite" and connection.is_in_memory_db()  # type: ignore[attr-defined]
    return settings.TENANT is None and not rehearsals.is_on() and not in_memory


def later(name: str, job: Job) -> bool:
    """Do ``job`` in the background, unless one of that name waits already. False if there is no thread to be had."""
    return _worker.add(name, job)


def wait() -> None:
    """Wait until everything is refreshed (for tests)."""
    _worker.wait()


def _after_fork() -> None:
    global _worker  # noqa: PLW0603 - the parent's thread is not in the child
    _worker = _Worker()


os.register_at_fork(after_in_child=_after_fork)
