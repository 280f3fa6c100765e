"""What was true when: the versions of each row from the audit table, the times of their commits from the journals."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import inf
from typing import Any, NamedTuple

__all__ = ["History", "Moments", "State"]


class State(NamedTuple):
    """A version of a row; ``group`` is None where the row was deleted."""

    version: int
    tag: str
    group: int | None


class Moments(NamedTuple):
    """When a writer began its commit, when the database had committed, and when the call had returned to its caller.

    What a writer killed meanwhile could not note is -inf for the beginning, inf for the others.
    """

    begun: float = -inf
    committed: float = inf
    returned: float = inf


class Line:
    """The states of one row, in the order of their commits."""

    def __init__(self, states: list[State], moments: list[Moments]) -> None:
        self.states = states
        self._at = {(state.version, state.tag, state.group): number for number, state in enumerate(states)}
        # Who began before the row lock was his cannot have committed before the version ahead of him did.
        self._begun = list(accumulate((moment.begun for moment in moments), max))
        self._known = {
            measure: _rising((getattr(moment, measure), number) for number, moment in enumerate(moments))
            for measure in ("committed", "returned")
        }

    def place(self, version: int, tag: str, group: int) -> int | None:
        """Which state this is; None if it was never committed."""
        return self._at.get((version, tag, group))

    def times(self, measure: str) -> list[float]:
        """When this row's commits had happened, or had returned."""
        return self._known[measure][0]

    def window(self, measure: str, time: float, ended: float) -> tuple[int, int]:
        """The first state a read may see that began at ``time`` and the last it may see that ended at ``ended``."""
        times, numbers = self._known[measure]
        known = bisect_left(times, time)
        first = numbers[known - 1] if known else 0
        return first, max(first, bisect_right(self._begun, ended) - 1)


def _rising(found: Iterable[tuple[float, int]]) -> tuple[list[float], list[int]]:
    """Times in order, and the latest state known at each."""
    ordered = sorted((time, number) for time, number in found if time < inf)
    return [time for time, _ in ordered], list(accumulate((number for _, number in ordered), max))


class History:
    """All rows. ``audit``: (item, version, tag, group) of every version; ``moments`` by tag."""

    def __init__(self, audit: Iterable[tuple[int, int, str, int | None]], moments: Mapping[str, Moments]) -> None:
        states: dict[int, list[State]] = defaultdict(list)
        for item, version, tag, group in sorted(audit, key=lambda row: row[:2]):
            states[item].append(State(version, tag, group))
        first = Moments(-inf, -inf, -inf)
        known: Mapping[str, Any] = {**moments, "first": first}
        self.lines = {
            item: Line(row, [known.get(state.tag, Moments()) for state in row]) for item, row in states.items()
        }
        #: The rows that ever were in a group.
        self.members: dict[int, set[int]] = defaultdict(set)
        for item, row in states.items():
            for state in row:
                if state.group is not None:
                    self.members[state.group].add(item)
        self.commits = len({state.tag for row in states.values() for state in row} - {"first"})
