"""The process that goes through a storm: reads, writes, and tells what it saw. Every public method is an order."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from django.apps import apps
from django.db import connection, connections
from django.test.utils import override_settings

from bench.stopwatch import versions
from bench.timetable import GROUPS, LESSONS_PER_GROUP
from redis_toolkit.cache import health
from redis_toolkit.core import keys, keyspaces
from redis_toolkit.core.connections import link, pack

__all__ = ["Victim", "quantile"]

LESSONS = GROUPS * LESSONS_PER_GROUP
PATIENCE = 30.0


def quantile(values: list[float], share: float) -> float:
    """The value below which this share of ``values`` lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Victim:
    """The orders a worker understands."""

    def __init__(self) -> None:
        self._lesson: Any = apps.get_model("school", "Lesson")

    def versions(self) -> dict[str, str]:
        """What answers at the other end of this worker's connections."""
        return versions()

    def _week(self, group: int) -> list[tuple[int, bool]]:
        return [(each.pk, each.cancelled) for each in self._lesson.cached.filter(group=group).order_by("pk")]

    def warm(self) -> None:
        """Have every lesson and every week in the cache."""
        self._lesson.cached.in_bulk(list(range(1, LESSONS + 1)))
        for group in range(1, GROUPS + 1):
            self._week(group)

    def until_open(self, most: int) -> list[float]:
        """Read until the breaker is open, ``most`` times at most; how many milliseconds each read took."""
        took: list[float] = []
        while not link().breaker.is_open and len(took) < most:
            began = time.perf_counter()
            self._lesson.cached.get(pk=len(took) + 1)
            took.append(1000 * (time.perf_counter() - began))
        return took

    def state(self) -> str:
        """The breaker's."""
        return health().state

    def latencies(self, reads: int, seed: str) -> dict[str, Any]:
        """So many reads through the cache and as many of Django's own, by turns: microseconds, and the differences.

        Django's own twice, for how far two reads of the same kind are apart is what the machine adds by itself.
        """
        dice = Random(seed)
        managers = {"cached": self._lesson.cached, "plain": self._lesson.objects, "again": self._lesson.objects}
        took: dict[str, list[float]] = {name: [] for name in managers}
        for _ in range(reads):
            key = dice.randint(1, LESSONS)
            for name in dice.sample(sorted(managers), len(managers)):
                began = time.perf_counter()
                managers[name].get(pk=key)
                took[name].append(1e6 * (time.perf_counter() - began))
        for name, of in (("added", "cached"), ("noise", "again")):
            took[name] = [own - plain for own, plain in zip(took[of], took["plain"], strict=True)]
        return {name: [quantile(values, 0.5), quantile(values, 0.99)] for name, values in took.items()}

    def crowd(self, threads: int, loads: int, reads: int, seed: str) -> dict[str, Any]:
        """So many threads read at once: how many answers and errors there were, and the most loads at one time."""
        inside = most = 0
        lock, together = threading.Lock(), threading.Barrier(threads)

        def count(execute: Any, *args: Any) -> Any:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            try:
                return execute(*args)
            finally:
                with lock:
                    inside -= 1

        def one(number: int) -> tuple[int, list[str], float]:
            dice, answered, errors, slowest = Random(f"{seed}:{number}"), 0, [], 0.0
            connection.ensure_connection()
            together.wait(PATIENCE)
            # (What a look at the outbox asks is no load, and runs below the wrappers.)
            with connections["default"].execute_wrapper(count):
                for _ in range(reads):
                    began = time.perf_counter()
                    try:
                        answered += len(self._week(dice.randint(1, GROUPS))) == LESSONS_PER_GROUP
                    except Exception as error:  # noqa: BLE001 - counted
                        errors.append(repr(error))
                    slowest = max(slowest, time.perf_counter() - began)
            connections.close_all()
            link().close()
            return answered, errors, slowest

        bound = override_settings(REDIS_TOOLKIT_LOADS=loads, REDIS_TOOLKIT_LOADS_WAIT=PATIENCE)
        with bound, ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(one, range(threads)))
        return {
            "asked": threads * reads,
            "answered": sum(answered for answered, _, _ in found),
            "errors": [error for _, errors, _ in found for error in errors][:3],
            "most": most,
            "slowest": max(slowest for _, _, slowest in found),
            "open": link().breaker.is_open,
        }

    def write(self, first: int, number: int) -> None:
        """Save so many lessons from ``first`` on, so that each is another than before."""
        for lesson in self._lesson.objects.filter(pk__gte=first, pk__lt=first + number):
            lesson.cancelled = not lesson.cancelled
            lesson.save()

    def until_trusted(self) -> str:
        """Wait until Redis is back and hits are trusted; the state."""
        deadline = time.perf_counter() + PATIENCE
        while not health().trusted and time.perf_counter() < deadline:
            time.sleep(0.02)
        return health().state

    def stale(self) -> int:
        """How many lessons and weeks the cache gives otherwise than the database has them."""
        right: dict[int, list[tuple[int, bool]]] = {}
        for group, key, cancelled in self._lesson.objects.order_by("pk").values_list("group", "pk", "cancelled"):
            right.setdefault(group, []).append((key, cancelled))
        wrong = sum(self._week(group) != week for group, week in right.items())
        rows = self._lesson.cached.in_bulk(list(range(1, LESSONS + 1)))
        return wrong + sum(rows[key].cancelled != cancelled for week in right.values() for key, cancelled in week)

    def lives(self, entries: int, jitter: float) -> list[int]:
        """Write so many entries together; for how many milliseconds each has still to live."""
        found: list[int] = []
        for part in range(0, entries, LESSONS):
            # The same rows under another prefix are other entries.
            prefix = f"lives{jitter}.{part}"
            with override_settings(REDIS_TOOLKIT_TTL_JITTER=jitter, REDIS_TOOLKIT_PREFIX=prefix):
                self._lesson.cached.in_bulk(list(range(1, min(LESSONS, entries - part) + 1)))
                names = [key for batch in keyspaces.scan(link(), keys.pattern("r")) for key in batch]
                found += link().ask_many(b"".join(pack(("PTTL", name)) for name in names), len(names))
        return found
