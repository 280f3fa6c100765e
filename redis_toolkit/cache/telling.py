"""What watchers are told of a read: how it was answered, and why not from Redis. Nothing is asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from redis_toolkit.cache.entries import dead_since
from redis_toolkit.cache.subjects import subject_of
from redis_toolkit.core.clock import monotonic
from redis_toolkit.signals import cache_read

__all__ = ["Why", "alone", "grouped", "report", "why_dead"]


class Why(NamedTuple):
    """Why a read was no hit: a ``reason`` as ``signals.cache_read`` lists them, and the ``stamp`` that ended it."""

    reason: str
    stamp: str = ""


def report(  # noqa: PLR0913 - all that a listener is promised
    *, kind: str, model: Any, outcome: str, alias: str, seconds: float, name: str = "", key: str = "", count: int = 1,
    reason: str = "", stamp: str = "", pins: tuple[str, ...] = (), loaded: float | None = None, size: int | None = None,
) -> None:  # fmt: skip
    """Tell watchers how a read was answered; the arguments are those of ``signals.cache_read``."""
    if cache_read.is_heard:
        cache_read.tell(
            model, kind, outcome, alias, seconds, name, key, count, reason, stamp, pins, loaded, size
        )  # fmt: skip


@contextmanager
def alone(kind: str, model: Any, alias: str, name: str = "") -> Iterator[None]:
    """Around the load of an answer that cannot be cached, for which Redis is not asked."""
    began = monotonic()
    yield
    took = monotonic() - began
    report(
        kind=kind,
        model=model,
        outcome="bypass",
        alias=alias,
        seconds=took,
        name=name,
        reason="uncacheable",
        loaded=took,
    )


def why_dead(
    entry: bytes, fingerprint: bytes, run: bytes, stamps: Sequence[str], values: Sequence[bytes | None]
) -> Why:
    """Why an ``entry`` is not valid, whose ``stamps`` have these ``values`` now."""
    reason, at = dead_since(entry, fingerprint, run, values)
    return Why(reason, stamps[at] if 0 <= at < len(stamps) else "")


def grouped(whys: Iterable[Why]) -> dict[Why, int]:
    """How often each was why, for many rows at once: of stamps of one sort one speaks for all."""
    first: dict[tuple[str, str, str], Why] = {}
    counts: dict[Why, int] = {}
    for why in whys:
        why = first.setdefault((why.reason, *subject_of(why.stamp)), why)  # noqa: PLW2901 - one of its sort
        counts[why] = counts.get(why, 0) + 1
    return counts
