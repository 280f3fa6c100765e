"""From single measurements to medians, ratios and the aims. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["AIMS", "Aim", "Verdict", "judged", "ratio"]

Times = Mapping[str, Sequence[float]]


def ratio(of: Sequence[float], to: Sequence[float]) -> float:
    """The median over rounds of the ratio inside a round: drift of the machine from round to round falls out."""
    return median(a / b for a, b in zip(of, to, strict=True))


@dataclass(frozen=True, slots=True)
class Aim:
    """One sentence to be kept: ``of`` over ``to`` in ``case`` at most (``most``) or at least ``bound``."""

    sentence: str
    case: str
    of: str
    to: str
    bound: float
    most: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """An aim and what came out; ``value`` is None where one side did not take part."""

    aim: Aim
    value: float | None

    @property
    def reached(self) -> bool | None:
        """Whether the aim is reached; None where it could not be judged."""
        if self.value is None:
            return None
        return self.value <= self.aim.bound if self.aim.most else self.value >= self.aim.bound


AIMS = (
    Aim("get(pk) takes at most 0.8 of redis-py GET + pickle.loads", "get", "ours", "redis-pickle", 0.8, most=True),
    Aim("get(pk) is at least 8 times as fast as django-cacheops", "get", "cacheops", "ours", 8),
    Aim("get(pk) is at least 8 times as fast as django-cachalot", "get", "cachalot", "ours", 8),
    Aim("a week of 50 lessons is at least 6 times as fast as django-cacheops", "week", "cacheops", "ours", 6),
    Aim("a week of 50 lessons is at least 6 times as fast as django-cachalot", "week", "cachalot", "ours", 6),
    Aim("count() is at least 6 times as fast as django-cacheops", "count", "cacheops", "ours", 6),
    Aim("count() is at least 6 times as fast as django-cachalot", "count", "cachalot", "ours", 6),
    Aim("a cached row takes at most half of django-cacheops' bytes", "bytes", "ours", "cacheops", 0.5, most=True),
)


def judged(microseconds: Mapping[str, Times], bytes_per_row: Mapping[str, float]) -> list[Verdict]:
    """Every aim with its value."""
    verdicts = []
    for aim in AIMS:
        table: Times = (
            {name: [value] for name, value in bytes_per_row.items()} if aim.case == "bytes" else microseconds[aim.case]
        )
        both = aim.of in table and aim.to in table
        verdicts.append(Verdict(aim, ratio(table[aim.of], table[aim.to]) if both else None))
    return verdicts
