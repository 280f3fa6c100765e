"""Which entries a sample has."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from redis_toolkit.cache.verification import choose

ROWS = [f"rt:r:default:app.lesson:id={at}" for at in range(1000)]
ANSWERS = [f"rt:t:default:app.lesson:{at}" for at in range(40)]


@pytest.mark.parametrize(
    ("rows", "answers", "number", "wanted"),
    [(1000, 40, 10, (5, 5)), (1000, 40, 100, (60, 40)), (3, 40, 10, (3, 7)), (0, 40, 10, (0, 10)), (1000, 0, 10, (10, 0)),
     (3, 4, 100, (3, 4)), (0, 0, 5, (0, 0)), (1000, 40, 1, (1, 0))],
)  # fmt: skip
def test_half_and_half(rows, answers, number, wanted):
    """Half of a sample are queries if there are so many, and where there are too few of one kind the other fills up."""
    chosen = choose([*ROWS[:rows], *ANSWERS[:answers]], number, Random(1))
    kinds = Counter(key[3] for key in chosen)
    assert (kinds["r"], kinds["t"]) == wanted
    assert len(set(chosen)) == len(chosen)


def test_each_is_as_likely_as_any_other():
    """Of 40 keys, over 2,000 samples of 10, each is in 400 to 600."""
    dice = Random(71)
    counts = Counter(key for _ in range(2000) for key in choose(ANSWERS, 10, dice))
    assert len(counts) == 40
    assert min(counts.values()) > 400
    assert max(counts.values()) < 600
