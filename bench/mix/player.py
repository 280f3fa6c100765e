"""One of a contestant's processes: does its part of the plan, and counts which reads the database was spared."""

from __future__ import annotations

import gc
import itertools
import time
from collections import Counter
from typing import Any

from django.db import connection

from bench import readers
from bench.mix.plan import GROUPS, Operation, plan
from bench.stopwatch import versions
from bench.timetable import LESSONS_PER_GROUP

__all__ = ["Player"]


class Player:
    """The orders a worker understands; every public method is one."""

    def __init__(self, reader: str, seed: str, process: int) -> None:
        self.reader: readers.Reader = getattr(readers, reader)()
        self._process = process
        self._plan = plan(seed, process)
        self._queries = 0
        # The same for everybody: a read during which no statement reached the database is a hit.
        connection.execute_wrappers.append(self._note)

    def _note(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        self._queries += 1
        return execute(sql, params, many, context)

    def versions(self) -> dict[str, str]:
        """What answers at the other end of this worker's connections."""
        return versions()

    def warm(self, processes: int) -> None:
        """Read this process's share of everything there is, so that no miss is a first one."""
        for group in range(1 + self._process, GROUPS + 1, processes):
            self.reader.week(group)
        for lesson in range(1 + self._process, GROUPS * LESSONS_PER_GROUP + 1, processes):
            self.reader.get(lesson)

    def play(self, operations: int) -> dict[str, Any]:
        """Do the next so many operations. By kind: how many, how many of them hits, how many seconds."""
        mine = list(itertools.islice(self._plan, operations))
        done: Counter[str] = Counter()
        hits: Counter[str] = Counter()
        seconds: Counter[str] = Counter()
        gc.collect()
        began = last = time.perf_counter()
        for operation in mine:
            before = self._queries
            self._do(operation)
            now = time.perf_counter()
            done[operation.kind] += 1
            hits[operation.kind] += self._queries == before
            seconds[operation.kind] += now - last  # type: ignore[assignment]
            last = now
        return {"began": began, "ended": last, "done": done, "hits": hits, "seconds": seconds}

    def _do(self, operation: Operation) -> None:
        if operation.kind == "save":
            lesson = self.reader.get(operation.number)
            if operation.group is not None:
                lesson.group = operation.group
            self.reader.save(lesson)
        else:
            getattr(self.reader, operation.kind)(operation.number)

    def wrong(self) -> int:
        """Nobody writes any more: how many weeks and lessons are not what the database has."""
        with connection.cursor() as cursor:
            cursor.execute('SELECT id, "group", cancelled FROM school_lesson ORDER BY id')
            right: list[tuple[int, int, bool]] = cursor.fetchall()
        rows = sum(_seen(self.reader.get(row[0])) != row for row in right)
        weeks = 0
        for group in range(1, GROUPS + 1):
            week = sorted(_seen(lesson) for lesson in self.reader.week(group))
            weeks += week != [row for row in right if row[1] == group]
        return rows + weeks


def _seen(lesson: Any) -> tuple[int, int, bool]:
    return lesson.pk, lesson.group, lesson.cancelled
