"""One way to count in a process of its own: it counts seats of rooms, and tells how long it took and what it asked."""

from __future__ import annotations

import gc
import random
import time
from collections import Counter
from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models import F, QuerySet

from bench.stopwatch import versions

__all__ = ["TOGETHER", "Player"]

#: Increments that ``add_many`` sends at once.
TOGETHER = 100
_ROOMS = 30


class Player:
    """The orders a worker understands; every public method is one."""

    def __init__(self, way: str) -> None:
        self._way = way
        self._model: Any = apps.get_model("school", "Room")
        self._statements = 0
        connection.execute_wrappers.append(self._note)
        self._seats = self._counter() if way.startswith("add") else None
        self._before = self._total()

    def _counter(self) -> Any:
        from redis_toolkit.cache import WriteBehind

        return WriteBehind(self._model, "seats")

    def _note(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        self._statements += 1
        return execute(sql, params, many, context)

    def _total(self) -> int:
        return sum(QuerySet(self._model).values_list("seats", flat=True))

    def versions(self) -> dict[str, str]:
        """What answers at the other end of this worker's connections."""
        return versions()

    def count(self, seed: str, increments: int) -> dict[str, Any]:
        """Make so many increments, of rooms chosen by Zipf's law, and flush. Seconds of both, and statements."""
        rooms = random.Random(seed).choices(
            range(1, _ROOMS + 1), [1 / at for at in range(1, _ROOMS + 1)], k=increments
        )  # fmt: skip
        gc.collect()
        self._statements = 0
        began = time.perf_counter()
        self._increment(rooms)
        counted = time.perf_counter()
        if self._seats is not None:
            self._seats.flush()
        ended = time.perf_counter()
        return {"counting": counted - began, "flushing": ended - counted, "statements": self._statements}

    def _increment(self, rooms: list[int]) -> None:
        if self._way == "update":
            for room in rooms:
                self._model.objects.filter(pk=room).update(seats=F("seats") + 1)
        elif self._way == "add":
            for room in rooms:
                self._seats.add(room)
        else:
            for at in range(0, len(rooms), TOGETHER):
                self._seats.add_many(Counter(rooms[at : at + TOGETHER]))

    def wrong(self, increments: int) -> int:
        """By how much the database differs from what was counted."""
        return abs(self._total() - self._before - increments)
