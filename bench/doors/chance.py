"""Whether two samples of times can be told apart. Pure arithmetic.

The samples come in blocks, within which they were taken in random order: what changes from block to block (the machine)
changes both alike, so they are compared block by block.

Two tests. The AUC (Mann and Whitney): how often one taken at random of the first is longer than one of the second; 0.5
is chance. Its interval is DeLong's, which supposes nothing of how times are distributed. And quantiles: Crosby, Wallach
and Riedi (Opportunities and Limits of Remote Timing Attacks, 2009) found that low ones tell most to who measures from
afar, since noise only ever adds; the largest difference among several is compared with those that come out if the
labels are dealt anew at random, which is exact whatever the noise is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from statistics import NormalDist, fmean, median, variance

__all__ = ["CONFIDENCE", "Compared", "Interval", "auc", "compared", "dealt", "shift"]

#: Of the interval, and of the other test; several pairs are compared in one run.
CONFIDENCE = 0.99
_SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75)
#: Halvings of the range of all times, by which a shift is found.
_HALVINGS = 25

Blocks = Sequence[tuple[Sequence[float], Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Interval:
    """A value, and between what it lies."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Compared:
    """Two samples: how many of each, their medians, by how much the first is longer (µs), and both tests."""

    numbers: tuple[int, int]
    medians: tuple[float, float]
    apart: Interval
    auc: Interval
    p: float

    @property
    def is_chance(self) -> bool:
        """Whether neither test tells them apart."""
        return self.auc.low <= 0.5 <= self.auc.high and self.p >= 1 - CONFIDENCE


def compared(blocks: Blocks, permutations: int, dice: Random) -> Compared:
    """Compare what is in ``blocks``."""
    return Compared(
        numbers=(sum(len(one) for one, _ in blocks), sum(len(other) for _, other in blocks)),
        medians=(median(median(one) for one, _ in blocks), median(median(other) for _, other in blocks)),
        apart=shift(blocks),
        auc=auc(blocks),
        p=dealt(blocks, permutations, dice),
    )


def shift(blocks: Blocks) -> Interval:
    """By how much the first is longer: what has to be taken from it to make the AUC a half (Hodges and Lehmann).

    Its interval is of what, if taken, leaves a half within that of the AUC.
    """
    value, low, high = (_crossing(blocks, which) for which in ("value", "low", "high"))
    return Interval(value, low, high)


def auc(blocks: Blocks) -> Interval:
    """How often the first is longer, ties by half: the mean over the blocks."""
    values, variances = [], []
    for one, other in blocks:
        above, below = _placed(one, sorted(other)), _placed(other, sorted(one))
        values.append(fmean(above))
        variances.append(variance(above) / len(above) + variance(below) / len(below))
    value = fmean(values)
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * sqrt(sum(variances)) / len(values)
    return Interval(value, value - reach, value + reach)


def dealt(blocks: Blocks, permutations: int, dice: Random) -> float:
    """How often the quantiles are as far apart if it is chance who has which time (the share, p)."""
    observed = _differences(blocks)
    chance = []
    for _ in range(permutations):
        drawn = []
        for one, other in blocks:
            times = [*one, *other]
            dice.shuffle(times)
            drawn.append((times[: len(one)], times[len(one) :]))
        chance.append(_differences(drawn))
    # A high quantile differs by more than a low one, by chance: each is measured by its own.
    units = [fmean(each[at] for each in chance) or 1.0 for at in range(len(_SHARES))]
    largest = [max(value / unit for value, unit in zip(each, units, strict=True)) for each in (observed, *chance)]
    return sum(each >= largest[0] for each in largest) / len(largest)


def _placed(these: Sequence[float], among: Sequence[float]) -> list[float]:
    """Of each the share of the others, which are in order, that are shorter."""
    return [(bisect_left(among, each) + bisect_right(among, each)) / 2 / len(among) for each in these]


def _differences(blocks: Blocks) -> list[float]:
    ordered = [(sorted(one), sorted(other)) for one, other in blocks]
    return [
        abs(fmean(_quantile(one, share) - _quantile(other, share) for one, other in ordered)) for share in _SHARES
    ]  # fmt: skip


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _crossing(blocks: Blocks, which: str) -> float:
    """The shift at which this bound of the AUC is a half."""
    times = [each for block in blocks for side in block for each in side]
    above = max(times) - min(times)
    below = -above
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        moved = [([each - middle for each in one], other) for one, other in blocks]
        if getattr(auc(moved), which) > 0.5:
            below = middle
        else:
            above = middle
    return (below + above) / 2
