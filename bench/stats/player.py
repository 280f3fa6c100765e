"""The process that reads, and what the server says of it meanwhile."""

from __future__ import annotations

import gc
import itertools
import time
from typing import Any

import redis
from django.conf import settings
from django.test.utils import override_settings

from bench.readers import CachedReader
from bench.stopwatch import versions
from bench.timetable import GROUPS
from redis_toolkit.core.connections import link
from redis_toolkit.stats import DAY, buckets, flush, summed

__all__ = ["CASES", "Player"]

#: What is read, by what it is called in the report.
CASES = {"get": list(range(1, 101)), "week": list(range(1, 11)), "count": list(range(1, GROUPS + 1))}
#: Calls that are timed together: so few that most are not interrupted.
_AT_ONCE = 10


class Player:
    """The orders a worker understands; every public method is one."""

    def __init__(self) -> None:
        self.reader = CachedReader()
        self.redis = redis.Redis.from_url(settings.REDIS_URL)

    def versions(self) -> dict[str, str]:
        """What answers at the other end of this worker's connections."""
        return versions(self.redis)

    def warm(self, case: str) -> None:
        """See that everything that is read is a hit."""
        for _ in range(2):
            for argument in CASES[case]:
                self.reader.answer(case, argument)

    def turn(self, case: str, seconds: float, on: bool) -> dict[str, Any]:  # noqa: FBT001 - an order in JSON
        """Read for about so long with statistics ``on`` or off: how many calls, how long one took, what it asked.

        ``processor``: microseconds of it that this thread took; ``trips``: round trips of the thread that reads;
        ``commands``: what the server was asked by anybody; ``counted``: hits that stand in Redis afterwards.
        """
        with override_settings(REDIS_TOOLKIT_STATS=on):
            call, arguments = getattr(self.reader, case), itertools.cycle(CASES[case])
            # (Long enough that the two processes have found their places: on two cores that alone is a fifth.)
            for argument in itertools.islice(arguments, 100 * _AT_ONCE):
                call(argument)
            if on:
                flush()
            counted = self._counted()
            gc.collect()
            commands, trips = self._commands(), link().round_trips
            blocks, spent, until = [], time.thread_time(), time.perf_counter() + seconds
            while (began := time.perf_counter()) < until:
                for argument in itertools.islice(arguments, _AT_ONCE):
                    call(argument)
                blocks.append(time.perf_counter() - began)
            spent = time.thread_time() - spent
            trips, commands = link().round_trips - trips, self._commands() - commands
            if on:
                flush()
            counted = self._counted() - counted
        calls = len(blocks) * _AT_ONCE
        return {
            "calls": calls, "microseconds": _undisturbed(blocks) / _AT_ONCE * 1e6,
            "processor": spent / calls * 1e6, "trips": trips, "commands": commands, "counted": counted,
        }  # fmt: skip

    def tell(self, case: str) -> float:
        """What it costs the processor to tell Redis what was counted in a second: seconds."""
        with override_settings(REDIS_TOOLKIT_STATS=True):
            call, arguments = getattr(self.reader, case), itertools.cycle(CASES[case])
            until = time.perf_counter() + 0.9
            while time.perf_counter() < until:
                call(next(arguments))
            began = time.thread_time()
            flush()
            return time.thread_time() - began

    def _commands(self) -> int:
        told: Any = self.redis.info("commandstats")
        return sum(each["calls"] for name, each in told.items() if name != "cmdstat_info")

    def _counted(self) -> int:
        return summed(buckets(DAY)).hits()


def _undisturbed(blocks: list[float]) -> float:
    """What the quickest tenth stays below: on a machine that others use the rest tells of them."""
    return sorted(blocks)[len(blocks) // 10]
