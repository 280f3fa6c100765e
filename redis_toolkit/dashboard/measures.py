"""What the pages of the cache make of figures: sums and means that several of them show. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from redis_toolkit.stats import Figures
from redis_toolkit.stats.figures import HITS

__all__ = ["Saved", "evicted", "hit_time", "load_time", "memory", "queries_saved", "reads", "saved_with"]

#: Reads that one query answers for many: how many of these there were is not counted, only their rows.
_MANY: Final = frozenset({"bulk"})
#: Reads of what is no model: each spares a call, whatever it would have asked.
_CALLS: Final = frozenset({"value", "fragment", "view"})


class Saved(NamedTuple):
    """Queries that hits have spared, one each; ``calls``: of functions, fragments and views; ``rows``: found by key."""

    number: int
    calls: int
    rows: int


def reads(figures: Figures, subject: str | None = None) -> int:
    """How many there were."""
    return figures.hits(subject) + figures.misses(subject) + figures.bypasses(subject)


def queries_saved(figures: Figures, subject: str | None = None) -> Saved:
    """What hits have spared the database."""
    number = calls = rows = 0
    for detail in figures.details("read", subject):
        kind, _, outcome = detail.partition(".")
        if outcome in HITS:
            count = figures.count("read", subject, detail)
            calls += count if kind in _CALLS else 0
            rows += count if kind in _MANY else 0
            number += 0 if kind in _CALLS | _MANY else count
    return Saved(number, calls, rows)


def hit_time(figures: Figures, subject: str | None = None) -> float | None:
    """Mean seconds of a hit; None: there was none."""
    details = [each for each in figures.details("read", subject) if each.endswith(".hit")]
    many = sum(figures.count("read", subject, each) for each in details)
    return sum(figures.total("read", subject, each) for each in details) / many if many else None


def load_time(figures: Figures, subject: str | None = None) -> float | None:
    """Mean seconds of a load; None: there was none."""
    many = figures.count("load", subject)
    return figures.total("load", subject) / many if many else None


def saved_with(figures: Figures, subject: str) -> float:
    """Seconds saved by what is read of a model, and by all that its writes have ended: pages, functions, joins."""
    ended = figures.numbers.get("ended", {})
    others = {each for each, stamp in ended if stamp.rpartition(" ")[0] == subject}
    return sum(map(figures.seconds_saved, {subject, *others}))


def memory(figures: Figures, alias: str) -> float | None:
    """Mean bytes that the server of ``alias`` had in use, by the samples of this time; None: there was none."""
    many = figures.count("server", alias, "memory")
    return figures.total("server", alias, "memory") / many if many else None


def evicted(figures: Figures, alias: str) -> float:
    """Keys that the server of ``alias`` has evicted."""
    return figures.total("server", alias, "evicted")
