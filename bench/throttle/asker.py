"""One library in a process of its own: it checks and is timed, and proves that what was timed is what it says."""

from __future__ import annotations

import cProfile
import gc
import io
import itertools
import pstats
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import redis
from django.conf import settings

from bench.throttle.plan import ALLOWED, CONTESTANTS, DENIED, HITS, THREADS, TIGHT, WEIGHED_HITS
from bench.throttle.processors import move
from bench.throttle.turns import counted
from bench.throttle.ways import Way, way_of

__all__ = ["Asker"]

#: Who comes in turn and is allowed, who has used it up, whose memory is looked at; numbers of clients.
_CLIENTS = {ALLOWED: range(100), DENIED: range(500, 505)}
_WEIGHED = range(2000, 2020)
_CROWD = 3000
#: Checks whose round trips are counted, and most of a batch.
_COUNTED = 50
_MOST = 2000


class Asker:
    """The orders a worker understands; every public method is one. ``way`` is the name of a contestant."""

    def __init__(self, library: str) -> None:
        self._rows = {row.name: row for row in CONTESTANTS if row.library == library}
        self._ways: dict[str, Way] = {}
        self._clients: dict[tuple[str, str], Iterator[int]] = {}
        self._crowds = itertools.count(_CROWD)
        self._redis = redis.Redis.from_url(settings.REDIS_URL)

    def versions(self) -> dict[str, str]:
        """What answers at the other end."""
        info: Any = self._redis.info("server")
        return {"Valkey" if "valkey_version" in info else "Redis": info.get("valkey_version") or info["redis_version"]}

    def weigh(self, way: str) -> float:
        """Make the contestant, and tell what Redis holds of a client then, in bytes. Empties the database."""
        self._ways[way] = made = way_of(self._rows[way])
        self._redis.flushdb()
        for _ in range(WEIGHED_HITS):
            for client in _WEIGHED:
                made.generous(made.argument(client))
        sizes: Any = [self._redis.memory_usage(key, samples=0) for key in self._redis.scan_iter(count=1000)]
        self._redis.flushdb()
        return sum(size or 0 for size in sizes) / len(_WEIGHED)

    def use_up(self, way: str) -> str:
        """Have it know every client, and allow those who are to be denied what it may; what was wrong with that."""
        row, made = self._rows[way], self._ways[way]
        for case in row.cases:
            self._clients[way, case] = itertools.cycle(_CLIENTS[case])
        for client in _CLIENTS[ALLOWED]:
            made.generous(made.argument(client))
        if DENIED not in row.cases:
            return ""
        made.begin()
        for client in _CLIENTS[DENIED]:
            for at in range(TIGHT):
                argument = made.argument(client)
                said = made.told(argument, made.tight(argument))
                if said != ALLOWED:
                    return f"hit {at + 1} of {TIGHT}: {said}"
            made.tight(made.argument(client))
        return ""

    def round_trips(self, way: str, case: str) -> dict[str, Any]:
        """Of one check, counted in a thread of its own, on whose connections nothing was sent before."""

        def count() -> dict[str, Any]:
            with counted() as turns:
                self._warm(way, case, 0)
                before = turns.round_trips
                arguments, answers, _ = self._asked(way, case, _COUNTED)
                trips = (turns.round_trips - before) / _COUNTED
            self._ways[way].end_thread()
            return {"round_trips": trips, "wrong": self._wrong(way, case, arguments, answers)}

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(count).result()

    def crowd(self, way: str) -> int:
        """How many are admitted of a client whom four threads count at once."""
        made, client, together = self._ways[way], next(self._crowds), Barrier(THREADS)
        made.begin()

        def hit(_: int) -> int:
            arguments = [made.argument(client) for _ in range(HITS)]
            together.wait(60)
            allowed = sum(made.told(argument, made.tight(argument)) == ALLOWED for argument in arguments)
            made.end_thread()
            return allowed

        with ThreadPoolExecutor(THREADS) as pool:
            return sum(pool.map(hit, range(THREADS)))

    def move(self, processor: int) -> None:
        """Work on that processor alone from now on."""
        move(0, processor)

    def begin(self, way: str, case: str, seconds: float) -> int:
        """Warm up; the number of checks that fill a batch of so many seconds."""
        trial: float = self.batch(way, case, 10)["microseconds"]
        return min(_MOST, max(5, round(seconds * 1e6 / trial)))

    def batch(self, way: str, case: str, checks: int) -> dict[str, Any]:
        """The mean time of one check, and of it that of Redis, in microseconds; and what was answered wrongly."""
        used = self._used()
        warmed = self._warm(way, case, checks)
        arguments, answers, seconds = self._asked(way, case, checks)
        used = self._used() - used
        return {
            "microseconds": seconds / checks * 1e6, "server": used / (warmed + checks) * 1e6,
            "wrong": self._wrong(way, case, arguments, answers),
        }  # fmt: skip

    def profile(self, way: str, case: str, lines: int) -> str:
        """Where the time goes: the top of a profile by own time, of as many checks as a batch has at most."""
        self._warm(way, case, 0)
        call, arguments = self._call(way, case), self._arguments(way, case, _MOST)
        profiler = cProfile.Profile()
        profiler.runcall(lambda: [call(argument) for argument in arguments])
        out = io.StringIO()
        pstats.Stats(profiler, stream=out).sort_stats("tottime").print_stats(lines)
        return out.getvalue()

    def _used(self) -> float:
        """Seconds for which the one thread of Redis that answers has had a processor."""
        info: Any = self._redis.info("cpu")
        return float(info["used_cpu_user_main_thread"] + info["used_cpu_sys_main_thread"])

    def _call(self, way: str, case: str) -> Callable[[Any], Any]:
        made = self._ways[way]
        return made.generous if case == ALLOWED else made.tight

    def _arguments(self, way: str, case: str, number: int) -> list[Any]:
        made = self._ways[way]
        return [made.argument(client) for client in itertools.islice(self._clients[way, case], number)]

    def _warm(self, way: str, case: str, checks: int) -> int:
        """Have the processor's caches, which were another's until now; and each denial, where one is remembered.

        How many checks that took.
        """
        self._ways[way].begin()
        call, arguments = self._call(way, case), self._arguments(way, case, max(len(_CLIENTS[DENIED]), checks // 10))
        for argument in arguments:
            call(argument)
        return len(arguments)

    def _asked(self, way: str, case: str, checks: int) -> tuple[list[Any], list[Any], float]:
        call, arguments = self._call(way, case), self._arguments(way, case, checks)
        gc.collect()
        start = time.perf_counter()
        answers = [call(argument) for argument in arguments]
        return arguments, answers, time.perf_counter() - start

    def _wrong(self, way: str, case: str, arguments: list[Any], answers: list[Any]) -> dict[str, int]:
        told = map(self._ways[way].told, arguments, answers)
        return Counter(said for said in told if said != case)
