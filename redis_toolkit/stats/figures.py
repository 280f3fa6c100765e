"""What was counted, as whoever reads it has it: numbers by metric, subject and detail. Pure.

A metric is a word ("read"), a subject what it is about (a model, a throttle, a purpose), a detail what became of it.
Which there are stands in docs/reference/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = ["DAY", "HITS", "HOUR", "MONTH", "OTHERS", "Bucket", "Figures", "Hot", "Number", "Span", "summed"]

#: Outcomes of reads that needed no load.
HITS: Final = frozenset({"hit", "shared", "stale", "absent", "kept"})
#: What stands for the subjects and details that were too many.
OTHERS: Final = "(others)"


class Span(NamedTuple):
    """So many buckets (``count``) of ``step`` seconds each: 60, 3600 or 86400."""

    step: int
    count: int  # type: ignore[assignment]  # (in the place of a tuple's method)


HOUR: Final = Span(60, 60)
DAY: Final = Span(3600, 24)
MONTH: Final = Span(86400, 30)


class Number(NamedTuple):
    """How many there were, and the sum of what was measured of them: seconds, or bytes."""

    count: int  # type: ignore[assignment]
    total: float


class Hot(NamedTuple):
    """An entry that was read so many ``times``: of which ``subject``, under which ``key``."""

    subject: str
    key: str
    times: int


Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers of some time. A subject or detail of None stands for all of them."""

    numbers: Mapping[str, Mapping[Place, Number]] = field(default_factory=dict)

    def count(self, metric: str, subject: str | None = None, detail: str | None = None) -> int:
        """How many."""
        return sum(number.count for number in self._of(metric, subject, detail))

    def total(self, metric: str, subject: str | None = None, detail: str | None = None) -> float:
        """The sum of what was measured: seconds, or bytes."""
        return sum(number.total for number in self._of(metric, subject, detail))

    def subjects(self, metric: str) -> list[str]:
        """The subjects of a metric, sorted."""
        return sorted({subject for subject, _ in self.numbers.get(metric, ())})

    def details(self, metric: str, subject: str | None = None) -> list[str]:
        """The details of a metric, or of one of its subjects, sorted."""
        return sorted({detail for each, detail in self.numbers.get(metric, ()) if subject in {None, each}})

    def hits(self, subject: str | None = None) -> int:
        """Reads that needed no load of their own."""
        return self._reads(HITS, subject)

    def misses(self, subject: str | None = None) -> int:
        """Reads that were loaded and may have been stored."""
        return self._reads({"miss"}, subject)

    def bypasses(self, subject: str | None = None) -> int:
        """Reads that went past the cache."""
        return self._reads({"bypass"}, subject)

    def hit_ratio(self, subject: str | None = None) -> float | None:
        """Hits of all reads, from 0 to 1; None: nothing was read. What is loaded in the background is no read."""
        hits = self.hits(subject)
        reads = hits + self.misses(subject) + self.bypasses(subject)
        return hits / reads if reads else None

    def seconds_saved(self, subject: str | None = None) -> float:
        """What hits would have taken to load, less what they took. Below 0: the cache is the slower way."""
        return self.total("saved", subject)

    def _of(self, metric: str, subject: str | None, detail: str | None) -> Iterator[Number]:
        found = self.numbers.get(metric, {})
        if subject is not None and detail is not None:
            number = found.get((subject, detail))
            return iter(() if number is None else (number,))
        return (number for place, number in found.items() if subject in {None, place[0]} and detail in {None, place[1]})

    def _reads(self, outcomes: Iterable[str], subject: str | None) -> int:
        return sum(
            number.count
            for (each, detail), number in self.numbers.get("read", {}).items()
            if subject in {None, each} and detail.rpartition(".")[2] in outcomes
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was counted in the time that begins at ``start``, in seconds since the epoch."""

    start: int
    figures: Figures


def summed(buckets: Iterable[Bucket]) -> Figures:
    """The numbers of several buckets, added."""
    added: dict[str, dict[Place, Number]] = {}
    for bucket in buckets:
        for metric, numbers in bucket.figures.numbers.items():
            into = added.setdefault(metric, {})
            for place, number in numbers.items():
                before = into.get(place)
                into[place] = (
                    number if before is None else Number(before.count + number.count, before.total + number.total)
                )
    return Figures(added)
