"""What one thread of a storm saw: each read with its beginning, how long it took and how it was answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

from django.dispatch import receiver

from redis_toolkit.signals import cache_read

__all__ = ["Sample", "quantile", "take"]


class Sample(NamedTuple):
    """A read: seconds since the storm began, seconds it took, "hit", "miss" or "bypass" ("" if nobody said)."""

    began: float
    took: float
    outcome: str


_here = threading.local()


@receiver(cache_read, dispatch_uid="demo_project.lab.samples")
def _note(*, outcome: str, **_: Any) -> None:
    _here.outcome = outcome


def take(ask: Callable[[], object], origin: float) -> Sample:
    """Ask, and see what it cost. `origin` is when the storm began, on the clock of `perf_counter`."""
    _here.outcome = ""
    began = perf_counter()
    ask()
    return Sample(began - origin, perf_counter() - began, _here.outcome)


def quantile(values: list[float], share: float) -> float:
    """The value that this share of all does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
