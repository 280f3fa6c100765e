"""One library in a process of its own: it is timed, weighed and raced, and proves that what was timed is right."""

from __future__ import annotations

import gc
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bench.doors import people
from bench.doors.plan import CONTESTANTS
from bench.doors.ways import Way, way_of
from bench.stopwatch import versions
from bench.throttle.processors import move
from bench.throttle.turns import counted

__all__ = ["Player", "move_all"]

#: Calls whose round trips are counted, and most of a batch: less than there are entries, so each has one turn in it.
_COUNTED = 20
_MOST = 400


class Player:
    """The orders a worker understands; every public method is one. ``way`` is the name of a contestant."""

    def __init__(self, library: str, entries: int) -> None:
        self._rows = {row.name: row for row in CONTESTANTS if row.library == library}
        self._entries = entries
        self._ways: dict[str, Way] = {}
        self._turns: dict[tuple[str, str], Iterator[int]] = {}
        self._redis = redis.Redis.from_url(settings.REDIS_URL)
        people.begin(entries)

    def versions(self) -> dict[str, str]:
        """What answers at the other end."""
        return versions(self._redis)

    def weigh(self, way: str) -> dict[str, float]:
        """Make the contestant, and tell what Redis holds of an entry then, in bytes. Empties the database.

        ``keys``: by MEMORY USAGE of all keys; ``server``: by what the server has more of its memory in use.
        """
        self._ways[way] = made = way_of(self._rows[way])
        self._redis.flushdb()
        # What the server has for a connection grows with the first commands on it.
        made.fill(min(20, self._entries))
        self._redis.flushdb()
        before = self._used_memory()
        made.fill(self._entries)
        grown = self._used_memory() - before
        with self._redis.pipeline(transaction=False) as pipeline:
            for key in self._redis.scan_iter(count=1000):
                pipeline.memory_usage(key, samples=0)
            sizes: Any = pipeline.execute()
        self._redis.flushdb()
        return {"keys": sum(size or 0 for size in sizes) / self._entries, "server": grown / self._entries}

    def fill(self, way: str) -> None:
        """Have it know what it will be asked of."""
        self._ways[way].fill(self._entries)

    def costs(self, way: str, case: str) -> dict[str, Any]:
        """Round trips to Redis, and SQL statements, of one call, counted in a thread of its own."""

        def count() -> dict[str, Any]:
            with counted() as turns, CaptureQueriesContext(connection) as statements:
                self._asked(way, case, 3)
                trips, queries = turns.round_trips, len(statements)
                arguments, answers, _ = self._asked(way, case, _COUNTED)
                trips, queries = turns.round_trips - trips, len(statements) - queries
            wrong = self._wrong(way, case, arguments, answers)
            self._ways[way].end_thread()
            return {"round_trips": trips / _COUNTED, "statements": queries / _COUNTED, "wrong": wrong}

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(count).result()

    def race(self, way: str, requests: int) -> int | None:
        """How many of so many requests that overlap have left in a session what they put there."""
        return self._ways[way].race(requests)

    def move(self, processor: int) -> None:
        """Work on that processor alone from now on, and have PostgreSQL do so for this process."""
        move_all(processor)

    def begin(self, way: str, case: str, seconds: float) -> int:
        """Warm up; the number of calls that fill a batch of so many seconds."""
        trial: float = self.batch(way, case, 10)["microseconds"]
        return min(_MOST, self._entries, max(5, round(seconds * 1e6 / trial)))

    def batch(self, way: str, case: str, calls: int) -> dict[str, Any]:
        """The mean time of one call in microseconds, and what was answered wrongly."""
        # The processor's caches were another's until now.
        warm = self._asked(way, case, 1 + calls // 10)
        self._wrong(way, case, *warm[:2])
        arguments, answers, seconds = self._asked(way, case, calls)
        return {"microseconds": seconds / calls * 1e6, "wrong": self._wrong(way, case, arguments, answers)}

    def _asked(self, way: str, case: str, calls: int) -> tuple[list[Any], list[Any], float]:
        made, turns = self._ways[way], self._turns.setdefault((way, case), itertools.count())
        call, arguments = made.calls[case], [made.argument(case, at) for at in itertools.islice(turns, calls)]
        gc.collect()
        start = time.perf_counter()
        answers = [call(argument) for argument in arguments]
        return arguments, answers, time.perf_counter() - start

    def _wrong(self, way: str, case: str, arguments: list[Any], answers: list[Any]) -> dict[str, int]:
        said = (self._ways[way].wrong(case, *each) for each in zip(arguments, answers, strict=True))
        return Counter(each for each in said if each)

    def _used_memory(self) -> int:
        info: Any = self._redis.info("memory")
        return int(info["used_memory"])


def move_all(processor: int) -> None:
    """Have this process, and the one of PostgreSQL that serves it, on one processor and no other."""
    move(0, processor)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        move(int(cursor.fetchone()[0]), processor)
