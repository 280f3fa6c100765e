"""What one thread of a storm saw: each read, how long it took, and whether the database was asked for it."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

from demo_project.lab.database import SlowDatabase

__all__ = ["Sample", "quantile", "take"]


class Sample(NamedTuple):
    """A read: seconds since the storm began, seconds it took, and whether this thread asked the database.

    Who waited for what another loads has not asked, though the cache calls that a miss.
    """

    began: float
    took: float
    asked: bool


def take(ask: Callable[[], object], origin: float, database: SlowDatabase) -> Sample:
    """Ask, and see what it cost. `origin` is when the storm began, on the clock of `perf_counter`."""
    before = database.asked_here
    began = perf_counter()
    ask()
    took = perf_counter() - began
    return Sample(began - origin, took, database.asked_here > before)


def quantile(values: list[float], share: float) -> float:
    """The value that this share of all does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
