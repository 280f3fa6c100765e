"""What this process has counted and not told yet.

Cells, each a metric, a subject and a detail; at most ``MOST`` of them: what is counted beyond is counted under
``(others)``, so that sums stay right whatever names there are. Receivers run inside requests: a read is put into a
queue, which the thread that tells Redis counts; two thousand of them, if it does not come to that, the reader.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from redis_toolkit.stats.figures import OTHERS
from redis_toolkit.stats.names import Cell, alternative, masked

__all__ = ["MOST", "MOST_HOT", "Gathered", "Taken", "merged"]

_log = logging.getLogger("redis_toolkit.stats")

#: Cells of one process, those of ``(others)`` aside.
MOST: Final = 1000
#: Entries that a process counts the reads of between two times that it tells.
MOST_HOT: Final = 1000
#: Longest key of an entry that is counted by itself.
_LONGEST_KEY: Final = 400

#: A model or None, the kind of read, its outcome, and the name of what is no model.
_Read = tuple[Any, str, str, str]


class Taken(NamedTuple):
    """What was counted: how many and the sum, by cell; and how often each entry was read, by subject and key."""

    cells: dict[Cell, list[float]]
    hot: dict[tuple[str, str], int]


class Gathered:
    """Counters of all threads of this process."""

    def __init__(self) -> None:
        #: Reads of which nothing was counted yet, as ``cache_read`` tells them, and what counts one.
        self.queue: deque[tuple[Any, ...]] = deque()
        self.count: Callable[..., None] | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew: also in a forked child, where a thread that it has not got may hold the lock."""
        # Reentrant: a signal handler, or a finalizer that the collector runs, may read the cache while we hold it.
        self._lock = threading.RLock()
        self.queue.clear()
        self._reads: dict[_Read, list[float]] = {}
        self._cells: dict[Cell, list[float]] = {}
        #: By key: how often it was read, and of what: a model, or a name.
        self._hot: dict[str, list[Any]] = {}

    @property
    def is_there(self) -> bool:
        """Whether anything was counted."""
        return bool(self.queue or self._reads or self._cells)

    def fold(self) -> None:
        """Count what was queued. Each is taken out by one thread, whoever else is at it."""
        for _ in range(len(self.queue)):
            try:
                event = self.queue.popleft()
            except IndexError:
                return
            try:
                if self.count is not None:
                    self.count(*event)
            except Exception as error:  # noqa: BLE001 - it may be a reader who is here, and must not be hurt
                _log.warning("A cached read could not be counted: %s", str(error))

    def read(self, what: _Read, count: int, seconds: float, key: str, saved: float | None) -> None:
        """Count ``count`` reads that took ``seconds`` together, of the entry ``key`` if it was one.

        ``saved``: the seconds that a hit has saved; None where nobody knows.
        """
        with self._lock:
            cell = self._reads.get(what) or self._new_read(what)
            cell[0] += count
            cell[1] += seconds
            if saved is not None:
                cell[2] += count
                cell[3] += saved
            if key:
                entry = self._hot.get(key)
                if entry is not None:
                    entry[0] += 1
                elif len(self._hot) < MOST_HOT and len(key) <= _LONGEST_KEY:
                    self._hot[key] = [1, what[0], what[3]]

    def add(self, cell: Cell, count: int = 1, total: float = 0.0) -> None:
        """Count ``count`` more, of which ``total`` was measured."""
        with self._lock:
            _add(self._cells, cell, count, total)

    def take(self) -> Taken:
        """What was counted since it was last taken."""
        self.fold()
        with self._lock:
            reads, self._reads = self._reads, {}
            cells, self._cells = self._cells, {}
            hot, self._hot = self._hot, {}
        for (model, kind, outcome, name), (count, seconds, known, saved) in reads.items():
            subject = subject_of_read(model, name)
            # (Two models may have one label: a class that a test has made anew.)
            _add(cells, ("read", subject, f"{kind}.{outcome}"), count, seconds)
            if known:
                _add(cells, ("saved", subject, kind), known, saved)
        return Taken(
            cells, {(subject_of_read(model, name), masked(key)): times for key, (times, model, name) in hot.items()}
        )

    def _new_read(self, what: _Read) -> list[float]:
        if len(self._reads) >= MOST:
            _, kind, outcome, _ = what
            what = None, kind, outcome, OTHERS
            if what in self._reads:
                return self._reads[what]
        cell = self._reads[what] = [0, 0.0, 0, 0.0]
        return cell


def subject_of_read(model: Any, name: str) -> str:
    """What a read is counted under: the model's label, or the name of a function, a fragment or a view."""
    return name if model is None else str(model._meta.label)


def merged(older: Taken, newer: Taken) -> Taken:
    """Both, within the same bounds; the older one is changed."""
    for cell, (count, total) in newer.cells.items():
        _add(older.cells, cell, count, total)
    for entry, times in newer.hot.items():
        if entry in older.hot or len(older.hot) < MOST_HOT:
            older.hot[entry] = older.hot.get(entry, 0) + times
    return older


def _add(cells: dict[Cell, list[float]], cell: Cell, count: float, total: float) -> None:
    found = cells.get(cell)
    if found is None and len(cells) >= MOST:
        cell = alternative(cell)
        found = cells.get(cell)
    if found is None:
        cells[cell] = [count, total]
    else:
        found[0] += count
        found[1] += total
