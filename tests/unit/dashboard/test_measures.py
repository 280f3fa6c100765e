"""Sums and means that the pages make of figures."""

from __future__ import annotations

from redis_toolkit.dashboard.measures import Saved, evicted, hit_time, load_time, memory, queries_saved, reads
from redis_toolkit.stats import Figures
from redis_toolkit.stats.figures import Number


def test_queries_that_hits_have_saved() -> None:
    """One for each hit of a model; calls, and rows that one query would have fetched together, stand apart."""
    counted = {"rows.hit": 5, "get.stale": 2, "count.miss": 9, "bulk.hit": 40, "value.hit": 7, "view.kept": 1}
    figures = Figures({"read": {("m", detail): Number(times, 0.0) for detail, times in counted.items()}})
    assert queries_saved(figures, "m") == queries_saved(figures) == Saved(7, 8, 40)
    assert queries_saved(figures, "other") == Saved(0, 0, 0)
    assert reads(figures) == 64


def test_means() -> None:
    """Of hits that were exact, of loads, of samples of one server; None where there was nothing."""
    figures = Figures(
        {
            "read": {("m", "rows.hit"): Number(4, 0.4), ("m", "get.hit"): Number(1, 0.6), ("m", "get.stale"): Number(9, 9.0)},
            "load": {("m", "rows"): Number(2, 3.0)},
            "server": {
                ("default", "memory"): Number(2, 3e6), ("other", "memory"): Number(2, 9e6),
                ("default", "evicted"): Number(2, 12.0), ("other", "evicted"): Number(2, 99.0),
            },
        }
    )  # fmt: skip
    assert (hit_time(figures), load_time(figures, "m")) == (0.2, 1.5)
    assert (memory(figures, "default"), evicted(figures, "default")) == (1.5e6, 12)
    assert (hit_time(Figures()), load_time(Figures()), memory(Figures(), "default")) == (None, None, None)
