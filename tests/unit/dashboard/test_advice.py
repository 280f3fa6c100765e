"""What figures advise: each piece at its threshold, and never two that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from redis_toolkit.dashboard.advice import Advice, Facts, advise
from redis_toolkit.dashboard.columns import declarations, undeclared, written
from redis_toolkit.stats import Bucket, Figures, summed
from redis_toolkit.stats.figures import Number

MODEL = "school.Room"
FUNCTION = "school.views.free_rooms"


def figures(subject: str = MODEL, **metrics: Any) -> Figures:
    """Numbers of one subject (of the server where that is the metric), each by its detail."""
    return Figures(
        {
            metric: {
                ("default" if metric == "server" else subject, detail): Number(
                    *(each if isinstance(each, tuple) else (each, 0.0))
                )
                for detail, each in details.items()
            }
            for metric, details in metrics.items()
        }
    )


def advice(found: Figures, subject: str = MODEL, **facts: Any) -> list[Advice]:
    return advise(found, {subject: Facts(**facts)}, [subject], "default")


def about(found: Figures, subject: str = MODEL, **facts: Any) -> list[str]:
    return [each.about for each in advice(found, subject, **facts)]


def reads(hits: int, misses: int = 0, bypasses: int = 0, kind: str = "rows") -> dict[str, Any]:
    return {f"{kind}.hit": (hits, 0.001 * hits), f"{kind}.miss": misses, f"{kind}.bypass": bypasses}


@pytest.mark.parametrize(
    ("writes", "hits", "misses", "saved", "says"),
    [
        (120, 10, 30, 0.01, ["written"]),
        (50, 10, 39, 0.01, ["written"]),
        (50, 10, 40, 0.01, []),  # no more writes than reads
        (50, 3, 16, 0.0, []),  # too few reads
        (49, 10, 30, 0.0, []),  # too few writes
        (120, 10, 30, 0.2, []),  # more is saved than marking costs
    ],
)
def test_written_more_often_than_read(writes: int, hits: int, misses: int, saved: float, says: list[str]) -> None:
    """Writes are compared with reads, from fifty and twenty on, and what is saved with what marking takes."""
    found = figures(read=reads(hits, misses), write={"": writes}, saved={"rows": (hits, saved)})
    assert about(found) == says


@pytest.mark.parametrize(
    ("misses", "ended", "pinned", "by", "says"),
    [
        (100, 92, {"group": 80, "group,weekday": 12}, (), 'by=["group"]'),
        (100, 92, {"room,weekday": 92}, (), 'by=[("room", "weekday")]'),
        (100, 92, {"group": 50, "room": 40}, (), 'by=["group", "room"]'),
        (100, 92, {"group": 50, "room": 2}, (), 'by=["group"]'),
        (100, 92, {"group": 92}, (("group",),), ""),  # declared since then
        (100, 92, {"group,weekday": 92}, (("group",),), ""),
        (100, 92, {"group": 92}, (("group", "weekday"),), 'by=["group"]'),
        (100, 49, {"group": 49}, (), ""),  # not the most frequent reason
        (100, 92, {"group": 45}, (), ""),  # it would help the fewer of them
        (19, 19, {"group": 19}, (), ""),  # too few misses
    ],
)
def test_by(misses: int, ended: int, pinned: dict[str, int], by: Any, says: str) -> None:
    """What is declared helps most of the queries that writes anywhere in the table have ended."""
    found = advice(figures(read=reads(300, misses), ended={"*": ended}, pinned=pinned), by=by)
    assert [each.about for each in found] == (["by"] if says else [])
    if says:
        assert f"`Room`: declare `{says}`: 92 % of misses come from `*`" in found[0].sentence


def test_misses_that_do_not_matter() -> None:
    """Of 10,000 reads a hundred misses are not worth a declaration."""
    assert about(figures(read=reads(9_900, 100), ended={"*": 100}, pinned={"group": 100})) == []


@pytest.mark.parametrize(("evicted", "stored", "says"), [(100, 2000, ["evicted"]), (99, 10, []), (100, 2001, [])])
def test_evictions(evicted: int, stored: int, says: list[str]) -> None:
    """From a hundred keys on, and from a twentieth of what was stored."""
    found = figures(server={"evicted": (60, evicted), "memory": (60, 1e9)}, bytes={"": (stored, 100.0 * stored)})
    assert about(found) == says


@pytest.mark.parametrize(
    "reason", ["transaction", "snapshot", "uncacheable", "breaker", "outage", "untrusted", "writing", "off"]
)
def test_bypasses(reason: str) -> None:
    """Each reason in a sentence of its own, for nine reads of ten and no fewer."""
    found = figures(read=reads(10, 0, 90), reason={reason: 60, "empty": 30})
    assert about(found) == ["bypassed"]
    assert "(90 % of 100), because " in advice(found)[0].sentence
    assert about(figures(read=reads(11, 0, 89), reason={reason: 89})) == []
    assert about(figures(read=reads(10, 0, 90), reason={reason: 44})) == []


@pytest.mark.parametrize(
    ("hits", "load", "saved", "says"),
    [(500, 0.0005, -0.1, ["cheap"]), (499, 0.0005, -0.1, []), (500, 0.0006, -0.1, []), (500, 0.0005, 0.0, [])],
)
def test_cheap_loads(hits: int, load: float, saved: float, says: list[str]) -> None:
    """Loads that take half as long as hits, of five hundred hits on, which have cost more than they spared."""
    found = figures(read=reads(hits, 50), load={"rows": (50, 50 * load)}, saved={"rows": (hits, saved)})
    assert about(found) == says
    if says:
        assert "A load of `Room` takes 0.50 ms, a hit 1 ms" in advice(found)[0].sentence


@pytest.mark.parametrize(
    ("hits", "misses", "empty", "ttl", "says"),
    [
        (10, 190, 190, 3600, ["single"]),
        (20, 180, 180, 3600, []),  # one in ten comes back
        (10, 189, 189, 3600, []),  # too few calls
        (10, 190, 100, 3600, []),  # writes end the others
        (10, 190, 190, 10, ["ttl"]),  # a ttl of ten seconds explains it
    ],
)
def test_arguments_that_never_come_twice(hits: int, misses: int, empty: int, ttl: float, says: list[str]) -> None:
    """Of functions, whose results nobody asks for again; of models a first reading of all rows looks the same."""
    told: dict[str, Any] = {"read": reads(hits, misses, kind="value"), "reason": {"empty": empty, "ended": 0}}
    found = figures(FUNCTION, bytes={"": misses}, **told)
    assert about(found, FUNCTION, ttl=ttl) == says
    # Where half of what was loaded was not stored, that explains it as well.
    assert about(figures(FUNCTION, bytes={"": misses // 2 - 1}, **told), FUNCTION, ttl=ttl) == []
    model = figures(read=reads(hits, misses), reason={"empty": empty}, bytes={"": misses})
    assert about(model, ttl=3600) == []


@pytest.mark.parametrize(
    ("empty", "ended", "ttl", "says"),
    [(30, 6, 60, ["ttl"]), (30, 7, 60, []), (30, 6, 300, []), (19, 0, 60, []), (30, 6, None, [])],
)
def test_a_ttl_that_is_short(empty: int, ended: int, ttl: float | None, says: list[str]) -> None:
    """A fifth of the reads finds nothing, five times as often as writes end entries, and the ttl is under 300 s."""
    told: dict[str, Any] = {
        "read": reads(100 - empty - ended, empty + ended),
        "reason": {"empty": empty, "ended": ended},
    }
    assert about(figures(bytes={"": empty + ended}, **told), ttl=ttl) == says
    assert about(figures(bytes={"": 9}, **told), ttl=ttl) == []


@pytest.mark.parametrize(
    ("hits", "misses", "stored", "says"),
    [
        (100, 100, 9, ["unstored"]),
        (100, 100, 10, []),
        (101, 100, 0, []),  # the fewer reads
        (0, 99, 0, []),  # too few misses
    ],
)
def test_answers_that_are_not_stored(hits: int, misses: int, stored: int, says: list[str]) -> None:
    """Half of the reads are loaded, a hundred or more, and hardly a tenth of that is stored."""
    found = figures(read=reads(hits, misses), bytes={"": stored}, reason={"empty": misses})
    assert about(found, ttl=3600) == says


@pytest.mark.parametrize(("saved", "says"), [(0.12, ["written"]), (0.13, [])])
def test_what_others_make_of_it_counts(saved: float, says: list[str]) -> None:
    """A model may save nothing by itself, and much in pages that its writes end: those are weighed as well."""
    own = figures(read=reads(10, 30), write={"": 120}, saved={"rows": (10, 0.0)})
    page = figures("school.views.plan", ended={f"{MODEL} *": 40, "school.Roommate *": 1}, saved={"view": (900, saved)})
    other = figures("school.views.food", ended={"school.Roommate *": 40}, saved={"view": (900, 9.0)})
    assert about(summed(Bucket(0, each) for each in (own, page, other))) == says


@pytest.mark.parametrize("reason", ["breaker", "outage", "untrusted", "off"])
def test_writes_while_redis_is_away(reason: str) -> None:
    """What half of the reads could not ask says nothing of how a model is read."""
    assert about(figures(read=reads(0, 20, 20), write={"": 90}, reason={reason: 20})) == []
    assert about(figures(read=reads(0, 20, 20), write={"": 90}, reason={reason: 19})) == ["written"]


def test_a_view_that_is_never_cached() -> None:
    """It is the visitors that are spoken of; of a function, its arguments."""
    view, call = (figures(read=reads(0, 0, 100, kind), reason={"uncacheable": 100}) for kind in ("view", "value"))
    assert "because its visitors are known" in advice(view)[0].sentence
    assert "because such queries, or arguments, cannot be cached" in advice(call)[0].sentence


@pytest.mark.parametrize(("stored", "mean", "says"), [(20, 131072, ["large"]), (19, 131072, []), (20, 131071, [])])
def test_large_entries(stored: int, mean: int, says: list[str]) -> None:
    """From 128 KB on, of twenty that were stored."""
    found = figures(read=reads(100), bytes={"": (stored, float(stored * mean))})
    assert about(found) == says


def test_nothing_contradicts_anything() -> None:
    """Where everything applies at once, the server's evictions are told and one thing of the model."""
    everything: dict[str, Any] = {
        "write": {"": 5000}, "reason": {"empty": 1500, "ended": 10, "transaction": 0}, "ended": {"*": 1500},
        "pinned": {"group": 1500}, "bytes": {"": (1000, 1e9)}, "load": {"rows": (1500, 0.15)},
        "saved": {"rows": (1000, -0.9)}, "read": reads(1000, 1500),
    }  # fmt: skip
    assert about(figures(**everything), ttl=10) == ["written"]
    everything["write"] = {"": 0}
    assert about(figures(**everything), ttl=10) == ["cheap"]
    everything["saved"] = {"rows": (1000, 9.0)}
    assert about(figures(**everything), ttl=10) == ["by", "large"]
    assert about(figures(**everything), ttl=10, by=(("group",),)) == ["ttl", "large"]
    everything["server"] = {"evicted": (60, 5000.0)}
    assert about(figures(**everything), ttl=10, by=(("group",),)) == ["evicted", "large"]


def test_nothing_was_counted() -> None:
    """Nothing is advised, and nothing divided by 0."""
    assert about(Figures()) == []


def test_declarations_are_few() -> None:
    """Three at most, those that help most."""
    pinned: dict[tuple[str, ...], int] = {(name,): 10 + at for at, name in enumerate("abcdef")}
    assert declarations(pinned) == ([("f",), ("e",), ("d",)], 42)
    assert declarations({}) == ([], 0)
    assert undeclared({("",): 5, ("a", "b"): 3}, [("b",)]) == {}
    assert written([("a",), ("b", "c")]) == 'by=["a", ("b", "c")]'
