"""Runs and times one contestant's cases inside its worker, and proves that what was timed was a hit."""

from __future__ import annotations

import cProfile
import gc
import io
import itertools
import pstats
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import redis
from django.conf import settings
from django.db import connection, models

from bench import readers
from bench.contestants import HITS
from bench.timetable import GROUPS, LESSONS_PER_GROUP

__all__ = ["Stopwatch", "versions"]

_ROWS = 100  # distinct rows read in turn: enough that nobody serves the same bytes over and over
_MISSES = 200
_WEIGHED = 500


class Stopwatch:
    """The orders a worker understands; every public method is one."""

    def __init__(self, reader: str) -> None:
        self.reader: readers.Reader = getattr(readers, reader)()
        self.redis = redis.Redis.from_url(settings.REDIS_URL)
        self.arguments: dict[str, list[Any]] = {
            "get": list(range(1, _ROWS + 1)),
            "week": list(range(1, 11)),
            "count": list(range(1, GROUPS + 1)),
            "in_bulk": [tuple(range(n, n + 50)) for n in range(1, 101, 10)],
            "miss": list(range(1, _MISSES + 1)),
            "save": [],
        }
        self._place: dict[str, Iterator[Any]] = {}

    def versions(self) -> dict[str, str]:
        """What answers at the other end of this worker's connections."""
        return versions(self.redis)

    def answers(self, case: str) -> list[str]:
        """Each answer of a case in full, twice over, so that both what was stored and what is then served is seen."""
        arguments = self.arguments[case][:20]
        for argument in arguments:
            self.reader.answer(case, argument)
        return [repr(_plain(self.reader.answer(case, argument))) for argument in arguments]

    def begin(self, case: str, seconds: float) -> int:
        """Warm a case up; the number of calls that fill a batch of so many seconds."""
        if case == "save":
            self.arguments["save"] = list(self.reader.model.objects.order_by("pk")[:_ROWS])
        if case in HITS:
            for argument in self.arguments[case]:
                self.reader.answer(case, argument)
        self._place[case] = itertools.cycle(self.arguments[case])
        trial: float = self.batch(case, 5)["microseconds"]
        calls = max(2, round(seconds * 1e6 / trial))
        return min(calls, _MISSES) if case == "miss" else calls

    def batch(self, case: str, calls: int) -> dict[str, Any]:
        """The mean time of one call in microseconds, and how often the database was asked meanwhile."""
        self._set_stage(case, calls)
        call = getattr(self.reader, "get" if case == "miss" else case)
        arguments = list(itertools.islice(self._place[case], calls))
        gc.collect()
        if case in HITS:
            for argument in arguments[: 1 + calls // 10]:  # the processor's caches were another contestant's until now
                call(argument)
        with _queries(counted=case in HITS) as queries:
            microseconds = _timed(call, arguments)
        return {"microseconds": microseconds, "queries": len(queries)}

    def weight(self, case: str) -> dict[str, float]:
        """What Redis holds for one row, in bytes, everything the contestant keeps in its database included."""
        self.empty()
        if case == "get":
            rows, arguments = _WEIGHED, list(range(1, _WEIGHED + 1))
        else:
            rows, arguments = LESSONS_PER_GROUP * 5, list(range(1, 6))
        for argument in arguments:
            self.reader.answer(case, argument)
        keys = list(self.redis.scan_iter(count=1000))
        sizes: Any = [self.redis.memory_usage(key, samples=0) for key in keys]
        return {"bytes_per_row": sum(sizes) / rows, "keys_per_row": len(keys) / rows}

    def profile(self, case: str, seconds: float, lines: int) -> str:
        """Where the time of a hit goes: the top of a profile by own time, of as many calls as fill so many seconds."""
        calls = self.begin(case, seconds)
        call = getattr(self.reader, case)
        arguments = list(itertools.islice(self._place[case], calls))
        profiler = cProfile.Profile()
        profiler.runcall(_timed, call, arguments)
        out = io.StringIO()
        pstats.Stats(profiler, stream=out).sort_stats("tottime").print_stats(lines)
        return out.getvalue()

    def empty(self) -> None:
        """Drop every key of this contestant's database."""
        keys = list(self.redis.scan_iter(count=1000))
        if keys:
            self.redis.unlink(*keys)

    def _set_stage(self, case: str, calls: int) -> None:
        if case == "miss":
            self.empty()
            self._place[case] = iter(self.arguments[case])
        elif case == "save":
            # A write is dear only where something has to be dropped, so what it touches is cached first.
            for lesson in self.arguments["save"][:calls]:
                self.reader.answer("get", lesson.pk)
            self._place[case] = itertools.cycle(self.arguments[case])


def versions(client: redis.Redis | None = None) -> dict[str, str]:
    """What answers at the other end of this process's connections."""
    info: Any = (client or redis.Redis.from_url(settings.REDIS_URL)).info("server")
    name = "Valkey" if "valkey_version" in info else "Redis"
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == "sqlite" else "SHOW server_version")
        row = cursor.fetchone()
    return {
        name: info.get("valkey_version") or info["redis_version"],
        "SQLite" if connection.vendor == "sqlite" else "PostgreSQL": str(row[0]).split(" ")[0],
    }


def _timed(call: Callable[[Any], Any], arguments: list[Any]) -> float:
    start = time.perf_counter()
    for argument in arguments:
        call(argument)
    return (time.perf_counter() - start) / len(arguments) * 1e6


@contextmanager
def _queries(*, counted: bool) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        seen.append(sql)
        return execute(sql, params, many, context)

    if not counted:
        yield seen
        return
    with connection.execute_wrapper(note):
        yield seen


def _plain(value: Any) -> Any:
    """An answer as builtin types, relations that were loaded included, so that two processes can compare it."""
    match value:
        case models.Model():
            fields = {field.attname: getattr(value, field.attname) for field in value._meta.concrete_fields}
            loaded = {name: _plain(row) for name, row in sorted(value._state.fields_cache.items())}
            return type(value).__name__, fields, loaded, value._state.adding, value._state.db
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case Decimal():
            return str(value)
        case _:
            return value
