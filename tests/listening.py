"""How cached reads end, as the signal tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis_toolkit.signals import cache_read

__all__ = ["outcomes_heard"]


@contextmanager
def outcomes_heard() -> Iterator[list[str]]:
    """The outcomes of the reads in this block, in all threads, in this order."""
    told: list[str] = []

    def listen(outcome: str, **_: Any) -> None:
        told.append(outcome)

    cache_read.connect(listen)
    yield told
    cache_read.disconnect(listen)
