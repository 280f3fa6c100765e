"""Numbers by metric, subject and detail: pure."""

from __future__ import annotations

import pytest

from redis_toolkit.stats import DAY, HOUR, MONTH, Bucket, Figures, summed
from redis_toolkit.stats.figures import OTHERS, Number
from redis_toolkit.stats.gathering import MOST, MOST_HOT, Gathered, Taken, merged

OUTCOMES = ("hit", "shared", "stale", "absent", "kept", "miss", "bypass", "refresh")


def figures(factor: int = 1) -> Figures:
    """Of Lesson so many reads of each outcome, 1, 2, 3, …; of Room a hit; of both what was saved."""
    reads = {("Lesson", f"get.{outcome}"): Number(at * factor, at / 2) for at, outcome in enumerate(OUTCOMES, start=1)}
    reads["Room", "rows.hit"] = Number(1, 0.5)
    return Figures({"read": reads, "saved": {("Lesson", "get"): Number(1, 2.5), ("Room", "rows"): Number(1, -1.0)}})


def test_what_is_a_hit() -> None:
    """Hit, shared, stale, absent, kept; a refresh is no read, and nothing read has no ratio."""
    found = figures()
    assert (found.hits("Lesson"), found.misses("Lesson"), found.bypasses("Lesson")) == (15, 6, 7)
    assert (found.hits(), found.hits("Room"), found.hits("Teacher")) == (16, 1, 0)
    assert (found.hit_ratio("Lesson"), found.hit_ratio("Room"), found.hit_ratio("Teacher")) == (15 / 28, 1.0, None)
    assert Figures().hit_ratio() is None
    assert (found.seconds_saved(), found.seconds_saved("Room"), Figures().seconds_saved()) == (1.5, -1.0, 0)


def test_counts_and_totals() -> None:
    """Of one subject and detail, of all of one, of all."""
    found = figures()
    assert (found.count("read"), found.count("read", "Lesson"), found.count("read", "Lesson", "get.miss")) == (
        37,
        36,
        6,
    )
    assert (found.count("read", None, "rows.hit"), found.count("read", "Room", "get.hit"), found.count("x")) == (
        1,
        0,
        0,
    )
    assert (found.total("read", "Lesson"), found.total("read", "Room", "rows.hit")) == (18.0, 0.5)
    assert (found.subjects("read"), found.subjects("x")) == (["Lesson", "Room"], [])
    assert (found.details("read", "Room"), len(found.details("read"))) == (["rows.hit"], 9)


def test_sums() -> None:
    """Numbers of one place are added, whichever bucket they are of; of no buckets there are none."""
    found = summed([Bucket(0, figures()), Bucket(60, figures(2)), Bucket(120, Figures())])
    assert (found.count("read", "Lesson"), found.count("read", "Room"), found.total("read")) == (108, 2, 37.0)
    assert summed([]) == Figures()
    assert (HOUR, DAY, MONTH) == ((60, 60), (3600, 24), (86400, 30))


def test_what_is_gathered_is_bounded() -> None:
    """Three times as many cells as there may be: a thousand, and one for the others, by which the sum is right."""
    gathered = Gathered()
    for at in range(3 * MOST):
        gathered.add(("throttle", f"rule{at}", "denied"), 2, 0.5)
        gathered.read((None, "value", "hit", f"f{at}"), 1, 0.5, f"key{at}", None)
    taken = gathered.take()
    assert len(taken.cells) <= MOST + 2
    counts = {
        metric: sum(n for cell, (n, _) in taken.cells.items() if cell[0] == metric) for metric in ("throttle", "read")
    }
    assert counts == {"throttle": 6 * MOST, "read": 3 * MOST}
    assert taken.cells["throttle", OTHERS, "denied"] == [4 * MOST, MOST]
    assert len(taken.hot) == MOST_HOT
    assert gathered.take() == Taken({}, {})


@pytest.mark.parametrize("times", [1, 40])
def test_what_waits_is_bounded(times: int) -> None:
    """However many batches become one, it has no more cells than one may have."""
    batch = Taken({}, {})
    for number in range(times):
        cells = {("code", f"p{number}-{at}", "wrong"): [1.0, 0.0] for at in range(100)}
        batch = merged(batch, Taken(dict(cells), {("a", f"{number}-{at}"): 1 for at in range(100)}))
    assert len(batch.cells) <= MOST + 1
    assert sum(count for count, _ in batch.cells.values()) == 100 * times
    assert len(batch.hot) == min(MOST_HOT, 100 * times)
