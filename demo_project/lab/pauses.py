"""Time that passes in a storm because its story says so: a slow database, a reader at rest, an outage that lasts."""

from __future__ import annotations

from threading import Event
from time import perf_counter

__all__ = ["pause", "pause_until"]


def pause(seconds: float) -> None:
    """Let so many seconds pass; none if there are less than none."""
    Event().wait(max(0.0, seconds))


def pause_until(moment: float) -> None:
    """Let time pass until this moment on the clock of `perf_counter`."""
    pause(moment - perf_counter())
