"""From single waits to percentiles and the aims. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import NamedTuple

from bench.stampede.plan import BOUND, LOAD, OURS

__all__ = ["AIMS", "Aim", "Turn", "Verdict", "judged", "percentile"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One stampede: how many loads, what each caller waited (seconds), how many were told what was no longer true.

    Those with ``errors`` are in ``waits``, too, and so are the ``unanswered``, with the time after which they were
    given up. ``late``: seconds from the agreed time until the last process let its callers go.
    """

    loads: int
    waits: list[float]
    errors: list[str]
    unanswered: int
    old: int
    late: float

    @property
    def p99(self) -> float:
        """Seconds after which 99 of 100 callers had their answer."""
        return percentile(self.waits, 99)


Turns = Sequence[Turn]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that ``share`` percent of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(1, ceil(len(ordered) * share / 100)) - 1]


class Aim(NamedTuple):
    """One sentence to be kept, in which scenario, and what is compared with the bound."""

    sentence: str
    scenario: str
    value: Callable[[Turns], float]
    bound: float


class Verdict(NamedTuple):
    """An aim, what ours came to, and whether that reaches it; None where it was not played."""

    aim: Aim
    value: float | None

    @property
    def reached(self) -> bool | None:
        """Whether the aim is reached; None where it could not be judged."""
        return None if self.value is None else self.value <= self.aim.bound


def _loads(turns: Turns) -> float:
    return max(turn.loads for turn in turns)


def _p99(turns: Turns) -> float:
    return median(turn.p99 for turn in turns)


# Of what is counted and of the longest wait the worst turn is judged, of p99 the median one.
AIMS = (
    Aim("expired: at most 1 load", "expired", _loads, 1),
    Aim("expired: p99 at most 1.5 times the load", "expired", lambda turns: _p99(turns) / LOAD, 1.5),
    Aim("invalidated: 0 answers from before the write", "invalidated", lambda turns: sum(t.old for t in turns), 0),
    Aim("servable: p99 below 10 ms", "servable", lambda turns: _p99(turns) * 1000, 10),
    Aim("killed: at most 2 loads", "killed", _loads, 2),
    Aim(f"killed: nobody waits longer than {BOUND} s", "killed", lambda turns: max(max(t.waits) for t in turns), BOUND),
)


def judged(turns: Mapping[str, Mapping[str, Turns]]) -> list[Verdict]:
    """Every aim with what ours came to."""
    return [
        Verdict(aim, aim.value(played) if (played := turns.get(aim.scenario, {}).get(OURS)) else None) for aim in AIMS
    ]
