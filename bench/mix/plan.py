"""What is asked and written, in which order. Pure: a seed and the number of a process say everything."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from bench.timetable import LESSONS_PER_GROUP

__all__ = ["GROUPS", "Operation", "plan"]

GROUPS = 100
EXPONENT = 1.1
WRITES = 0.05
MOVES = 0.25  # of the writes, those that put the lesson into another group

_SHARES = list(accumulate(1 / rank**EXPONENT for rank in range(1, GROUPS + 1)))


class Operation(NamedTuple):
    """One thing to do: ``week`` of a group, ``get`` a lesson, or ``save`` a lesson, which may move it to ``group``."""

    kind: str
    number: int
    group: int | None = None


def plan(seed: str, process: int) -> Iterator[Operation]:
    """The operations of one process, without end."""
    dice = random.Random(f"{seed}:{process}")
    while True:
        group = _any_group(dice)
        lesson = (group - 1) * LESSONS_PER_GROUP + dice.randrange(LESSONS_PER_GROUP) + 1
        if dice.random() < WRITES:
            yield Operation("save", lesson, _any_group(dice) if dice.random() < MOVES else None)
        elif dice.random() < 0.5:
            yield Operation("week", group)
        else:
            yield Operation("get", lesson)


def _any_group(dice: random.Random) -> int:
    [group] = dice.choices(range(1, GROUPS + 1), cum_weights=_SHARES)
    return group
