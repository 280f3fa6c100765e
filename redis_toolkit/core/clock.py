"""The one place that asks the time. Tests move it by :func:`travel` or :func:`freeze`; nothing sleeps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

__all__ = ["Frozen", "freeze", "frozen", "monotonic", "now", "pause", "travel"]

_offset = 0.0
_frozen: Frozen | None = None


def now() -> float:
    """Seconds since the epoch, as a float. Only for what people read: nothing correct rests on a host's wall clock."""
    return time.time() + _offset


def monotonic() -> float:
    """Seconds on a clock that never goes back, as a float."""
    return time.monotonic() + _offset


def frozen() -> int | None:
    """The moment at which time stands still, in microseconds since the epoch; None: it goes on, as it does for all."""
    return None if _frozen is None else _frozen.moment


def pause(seconds: float) -> None:
    """Let ``seconds`` pass. Where time stands still it is moved."""
    if _frozen is None:
        Event().wait(seconds)
    else:
        _frozen.move(seconds)


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


class Frozen:
    """Time that stands still at ``moment`` (microseconds since the epoch) until it is moved."""

    def __init__(self) -> None:
        self.moment = round(now() * 1_000_000)

    def move(self, seconds: float) -> None:
        """Go on by ``seconds``: the clocks of this process as well, which otherwise run."""
        global _offset  # noqa: PLW0603
        self.moment += round(seconds * 1_000_000)
        _offset += seconds


@contextmanager
def freeze() -> Iterator[Frozen]:
    """Have :func:`frozen` freeze still inside the block (for tests).

    :func:`monotonic` and :func:`now` run on, so that who waits for something to happen does not wait for ever.
    """
    global _frozen, _offset  # noqa: PLW0603
    before = _frozen, _offset
    _frozen = Frozen()
    try:
        yield _frozen
    finally:
        _frozen, _offset = before
