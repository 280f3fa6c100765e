"""The one place that asks the time. Tests move it with :func:`travel`; nothing sleeps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["monotonic", "now", "travel"]

_offset = 0.0


def now() -> float:
    """Seconds since the epoch, as a float. Only for what people read: nothing correct rests on a host's wall clock."""
    return time.time() + _offset


def monotonic() -> float:
    """Seconds on a clock that never goes back, as a float."""
    return time.monotonic() + _offset


@contextmanager
def travel(seconds: float) -> Iterator[None]:
    """Move both clocks of this process forward by ``seconds`` inside the block (for tests)."""
    global _offset  # noqa: PLW0603 - one process, one clock
    before = _offset
    _offset = before + seconds
    try:
        yield
    finally:
        _offset = before
