"""Was a read right? Every answer is held against what may have been true between its beginning and its end.

A row may show any version from the last one whose commit had *returned* before the read began to the last one whose
commit had *begun* before the read ended. Older is **stale**. Never committed, or seen before its commit began, is
**uncommitted**. Rows that an answer lacks, and numbers, are judged by the same window.

``returned`` is when the writer's call was back: what is promised. ``committed`` is when PostgreSQL had said yes, a
moment earlier; marks keep that promise, too, as long as nothing takes them away.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from bench.consistency.history import History
from bench.consistency.journal import Read

__all__ = ["Finding", "Judge", "Verdicts"]

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One wrong answer. ``age``: for how many seconds it had been out of date when the read began."""

    fault: str
    read: Read
    process: str
    age: float


@dataclass(slots=True)
class Verdicts:
    """What is wrong in one run; a few examples of each fault.

    ``allowed``: for how many seconds stale is tolerated, counted from when Redis was back where that came later.
    ``oldest`` is the age of the worst answer, ``longest`` what of it is counted.
    """

    allowed: float = 0.0
    outages: Sequence[Sequence[float]] = ()
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[Finding] = field(default_factory=list)
    oldest: float = 0.0
    longest: float = 0.0

    def add(self, finding: Finding) -> None:
        """Count one more."""
        if finding.fault in {"stale", "own"}:
            began = finding.read.began
            back = max((end for _, end in self.outages if end < began), default=-inf)
            counted = min(finding.age, began - back)
            self.oldest = max(self.oldest, finding.age)
            self.longest = max(self.longest, counted)
            self.counts["intolerable"] += finding.fault == "stale" and counted > self.allowed
        self.counts[finding.fault] += 1
        if self.counts[finding.fault] <= _EXAMPLES:
            self.examples.append(finding)


class Judge:
    """Judges reads by a history."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._times = {
            measure: sorted({time for line in history.lines.values() for time in line.times(measure)})
            for measure in ("committed", "returned")
        }

    def findings(self, process: str, read: Read) -> Iterator[Finding]:
        """What is wrong with a read: at most one thing."""
        fault = self._fault(read, "returned", read.began)
        if fault == "stale" and self._fault(read, "returned", -inf):
            # It was never true: a row is missing, say, that somebody took away and brought back by a rollback.
            fault = "uncommitted"
        if fault == "stale":
            kind = "harness" if read.outcome == "plain" else "own" if read.own else "stale"
            yield Finding(kind, read, process, self._age(read, "returned"))
        elif fault is not None:
            yield Finding("harness" if read.outcome == "plain" else fault, read, process, 0.0)
        elif self._fault(read, "committed", read.began) is not None:
            yield Finding("early", read, process, self._age(read, "committed"))

    def _age(self, read: Read, measure: str) -> float:
        """How long the answer had been stale: the later a read begins, the less it may show, so bisection finds it."""
        times = self._times[measure]
        low, high = 0, bisect_left(times, read.began) - 1
        while low < high:
            middle = (low + high) // 2
            # Just after this commit was there.
            if self._fault(read, measure, times[middle] + 1e-9) is None:
                low = middle + 1
            else:
                high = middle
        return read.began - times[low] if times else inf

    def _fault(self, read: Read, measure: str, time: float) -> str | None:
        judge: Callable[[Read, str, float], str | None] = getattr(self, f"_{read.kind}")
        return judge(read, measure, time)

    def _get(self, read: Read, measure: str, time: float) -> str | None:
        return self._rows(read, (read.argument,), measure, time)

    def _bulk(self, read: Read, measure: str, time: float) -> str | None:
        return self._rows(read, read.argument, measure, time)

    def _group(self, read: Read, measure: str, time: float) -> str | None:
        if any(row[3] != read.argument for row in read.answer):
            return "stale"
        return self._rows(read, self.history.members[read.argument], measure, time, read.argument)

    def _rows(self, read: Read, keys: Any, measure: str, time: float, group: int | None = None) -> str | None:
        shown = {row[0]: row[1:] for row in read.answer}
        faults = set()
        for key in {*keys, *shown}:
            line = self.history.lines[key]
            first, last = line.window(measure, time, read.ended)
            if key in shown:
                place = line.place(*shown[key])
                if place is None or place > last:
                    faults.add("uncommitted")
                elif place < first:
                    faults.add("stale")
            elif not any(_hides(state.group, group) for state in line.states[first : last + 1]):
                faults.add("stale")
        return min(faults, default=None, key=("uncommitted", "stale").index)

    def _size(self, read: Read, measure: str, time: float) -> str | None:
        return self._number(read, self.history.members[read.argument], measure, time, read.argument)

    def _total(self, read: Read, measure: str, time: float) -> str | None:
        return self._number(read, self.history.lines, measure, time)

    def _number(self, read: Read, keys: Any, measure: str, time: float, group: int | None = None) -> str | None:
        least = most = 0
        for key in keys:
            line = self.history.lines[key]
            first, last = line.window(measure, time, read.ended)
            hidden = [_hides(state.group, group) for state in line.states[first : last + 1]]
            least += not any(hidden)
            most += not all(hidden)
        return None if least <= read.answer <= most else "stale"


def _hides(state: int | None, group: int | None) -> bool:
    """Whether a row in this state is not part of the answer: deleted, or in another group than the one asked for."""
    return state is None or (group is not None and state != group)
