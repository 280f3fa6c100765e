"""Percentiles, and the aims of a stampede on both sides of their bounds."""

from __future__ import annotations

import pytest

from bench.stampede.figures import AIMS, Turn, judged, percentile
from bench.stampede.plan import BOUND, CONTESTANTS, LOAD, OURS, SCENARIOS, chosen, plays


def turn(loads: int = 1, waits: tuple[float, ...] = (0.05,), old: int = 0) -> Turn:
    return Turn(loads, list(waits), [], 0, old, 0.0)


@pytest.mark.parametrize(
    ("values", "share", "value"),
    [
        (range(1, 201), 50, 100),
        (range(1, 201), 99, 198),
        (range(1, 101), 99, 99),
        (range(1, 51), 99, 50),
        ([3, 1, 2], 50, 2),
        ([7], 99, 7),
    ],
)  # fmt: skip
def test_percentile_is_the_nearest_rank(values: list[float], share: float, value: float) -> None:
    """Of 200 waits the 198th is p99; of fewer than 100 it is the longest."""
    assert percentile(list(values), share) == value


def test_aims_are_judged_on_both_sides_of_their_bound() -> None:
    """Loads and the longest wait by the worst turn, p99 by the median one; at the bound reached, beyond it not."""
    fast, slow = turn(waits=(0.001, 1.499 * LOAD)), turn(waits=(0.001, 9.0))
    turns = {
        "expired": {OURS: [fast, slow, fast]},
        "invalidated": {OURS: [turn(), turn()]},
        "servable": {OURS: [turn(waits=(0.01,))]},
        "killed": {OURS: [turn(loads=2, waits=(0.1, BOUND)), turn()]},
    }
    assert [verdict.reached for verdict in judged(turns)] == [True] * 6

    turns["expired"][OURS] = [turn(waits=(0.001, 1.501 * LOAD)), turn(loads=2, waits=(0.1,)), turn()]
    turns["invalidated"][OURS][1] = turn(old=1)
    turns["servable"][OURS] = [turn(waits=(0.011,))]
    turns["killed"][OURS][0] = turn(loads=3, waits=(BOUND + 0.001,))
    assert [verdict.reached for verdict in judged(turns)] == [False] * 6


def test_what_was_not_played_is_not_judged() -> None:
    """Without ours, or without a scenario, there is no verdict."""
    turns = {"expired": {"django": [turn()]}, "killed": {OURS: [turn()]}}
    assert [verdict.reached for verdict in judged(turns)] == [None, None, None, None, True, True]
    assert [aim.scenario for aim in AIMS] == [
        "expired", "expired", "invalidated", "servable", "killed", "killed",
    ]  # fmt: skip


def test_only_what_is_known_is_chosen() -> None:
    """Contestants and scenarios come in the order of their tables, and a name unknown is an error with the known."""
    assert [contestant.name for contestant in chosen("django, ours")] == ["ours", "django"]
    assert chosen(None) == list(CONTESTANTS)
    assert plays("killed,expired") == ["expired", "killed"]
    assert plays(None) == list(SCENARIOS)
    with pytest.raises(ValueError, match=r"no contestant of the stampede is called dogpil; there are ours, cacheops,"):
        chosen("dogpil")
    with pytest.raises(ValueError, match=r"no scenario is called dead; there are expired, invalidated, servable, kil"):
        plays("dead")
