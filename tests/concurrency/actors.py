"""Threads that stop where a play says and go on when its director says so. Nobody sleeps; everybody gives up in time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from time import perf_counter
from typing import Any

from django.db import connections, transaction

__all__ = ["PATIENCE", "Actor", "Stage", "blocked"]

#: Seconds after which a play is stuck: more than a busy machine makes anybody wait who is not.
PATIENCE = 30.0


class AbortedError(BaseException):
    """The play is over and this actor was still on stage."""


class Actor:
    """A thread, with database connections of its own, that plays ``part(actor)`` and stops at each ``pause``."""

    def __init__(self, part: Callable[[Actor], Any]) -> None:
        self._part = part
        self._places: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._cues: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._ended = False
        self.pid = 0  # of the server process behind its PostgreSQL connection, once it has one

    def _play(self) -> None:
        try:
            answer = ("end", self._part(self))
        except BaseException as error:  # noqa: BLE001 - the director raises it
            answer = ("error", error)
        finally:
            connections.close_all()
        self._places.put(answer)

    def pause(self, place: str) -> None:
        """(In the actor's thread) stop at ``place`` until the director says go."""
        self._places.put((place, None))
        if not self._cues.get(timeout=PATIENCE * 3):
            raise AbortedError

    def go(self) -> None:
        """(All below in the director's thread.) Let the actor begin, or go on, and do not wait for it."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._cues.put(True)

    def arrives(self, place: str) -> None:
        """Wait until the actor stands at ``place``."""
        at, answer = self._places.get(timeout=PATIENCE)
        if at == "error":
            self._ended = True
            raise answer
        assert at == place, f"the actor is at {at!r}, not at {place!r}"

    def to(self, place: str) -> None:
        """Let the actor go on to ``place``."""
        self.go()
        self.arrives(place)

    def ends(self) -> Any:
        """Wait for the end of the part. Returns what it returned, raises what it raised."""
        at, answer = self._places.get(timeout=PATIENCE)
        self._ended = at in {"end", "error"}
        self._thread.join(PATIENCE)
        if at == "error":
            raise answer
        assert at == "end", f"the actor is at {at!r} and not at its end"
        return answer

    def end(self) -> Any:
        """Let the actor go on to its end."""
        self.go()
        return self.ends()

    def abort(self) -> None:
        """Send the actor home."""
        if self._thread.ident is not None and not self._ended:
            self._cues.put(False)
            self._thread.join(PATIENCE)

    @contextmanager
    def pausing_after(
        self, beginning: str, table: str, place: str, alias: str, *, locking: bool = False
    ) -> Iterator[None]:
        """(In the actor's thread) stop at ``place`` once, when a statement on ``table`` has just been answered."""
        done: list[str] = []

        def wrapper(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
            result = execute(sql, params, many, context)
            if not done and sql.startswith(beginning) and f'"{table}"' in sql and (" FOR " in sql) is locking:
                done.append(sql)
                self.pause(place)
            return result

        with connections[alias].execute_wrapper(wrapper):
            yield

    @contextmanager
    def pausing_before_unmark(self, place: str, alias: str) -> Iterator[None]:
        """(In the actor's thread) a transaction that stops at ``place`` when it is committed and its marks still stand."""
        with transaction.atomic(using=alias):
            # Registered before the first write, so that it runs before the hook which takes the marks off.
            transaction.on_commit(lambda: self.pause(place), using=alias)
            yield

    def knows_its_server(self, alias: str) -> None:
        """(In the actor's thread) learn which process of PostgreSQL serves it."""
        connections[alias].ensure_connection()
        self.pid = connections[alias].connection.info.backend_pid


class Stage:
    """Makes actors, and sends those home who are still there at the end."""

    def __init__(self) -> None:
        self._actors: list[Actor] = []

    def actor(self, part: Callable[[Actor], Any]) -> Actor:
        actor = Actor(part)
        self._actors.append(actor)
        return actor

    def clear(self) -> None:
        for actor in self._actors:
            actor.abort()


def blocked(actor: Actor, alias: str) -> None:
    """Wait until the actor waits for a lock of PostgreSQL."""
    deadline = perf_counter() + PATIENCE
    with connections[alias].cursor() as cursor:
        while perf_counter() < deadline:
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s))", [actor.pid])
            if cursor.fetchone()[0]:
                return
    raise AssertionError("the actor does not wait for any lock")
