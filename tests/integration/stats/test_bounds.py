"""How much there may be, for how long it is kept, what it costs, and what odd names do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from redis_toolkit.cache.telling import report
from redis_toolkit.core import keys
from redis_toolkit.core.clock import now, travel
from redis_toolkit.core.connections import link, pack
from redis_toolkit.stats import DAY, HOUR, MONTH, Figures, Span, buckets, flush, hottest, names, summed
from redis_toolkit.stats.figures import OTHERS
from redis_toolkit.stats.gathering import MOST
from redis_toolkit.stats.telling import MOST_FIELDS, MOST_HOT, gathered, teller
from tests.app.models import Lesson

pytestmark = pytest.mark.usefixtures("early")

Look = Callable[[], Figures]
ODD = ["a\x00b\nc", "\ud800", "a:b{c}", '["a","b"]', "\x1b[2J", "<script>", "ключ", "", " ", "x" * 500, "x" * 499 + "y"]


def call(name: str, key: str = "", outcome: str = "hit") -> None:
    """A cached function of that name is read."""
    report(model=None, kind="value", outcome=outcome, alias="default", seconds=0.001, name=name, key=key)


def fields(redis_client: Any) -> list[int]:
    """How many fields the minute, the hour and the day have."""
    return [redis_client.hlen(names.bucket_key(name, int(now() // of))) for name, of in names.RESOLUTIONS.items()]


def test_a_million_names(told: Look, redis_client: Any) -> None:
    """50,000 of them are 50,000 reads; a process holds a thousand of them, and a bucket a bounded number of fields."""
    for at in range(50_000):
        call(f"app.f{at}")
        if at % 5000 == 2500:
            assert len(gathered._reads) <= MOST + 1
            flush()
    found = told()
    assert (found.hits(), round(found.total("read"), 3)) == (50_000, 50.0)
    assert found.hits(OTHERS) + sum(found.hits(each) for each in found.subjects("read") if each != OTHERS) == 50_000
    assert found.hits(OTHERS) > 40_000
    # Those of the last call that found room, and of what has none.
    assert all(MOST_FIELDS <= number <= MOST_FIELDS + 500 + 2 for number in fields(redis_client))


def test_a_million_entries(told: Look, redis_client: Any) -> None:
    """Of 5,000 keys a thousand are remembered, the one that is read most among them."""
    for at in range(5000):
        call("app.f", "rt:f:hot")
        call("app.f", f"rt:f:{at}")
        if at % 500 == 0:
            flush()
    told()
    assert redis_client.zcard(names.hot_key(int(now() // 3600))) <= MOST_HOT
    assert tuple(hottest(limit=1)[0]) == ("app.f", "rt:f:hot", 5000)
    assert len(hottest(limit=7)) == 7


def test_more_details_than_there_is_room_for(told: Look) -> None:
    """What is pinned may be anything: beyond the bound it is one."""
    for at in range(3 * MOST):
        gathered.add(("pinned", "app.Lesson", f"column{at}"))
    found = told()
    assert (found.count("pinned"), len(found.details("pinned"))) == (3 * MOST, MOST + 1)


def test_odd_names(told: Look, redis_client: Any) -> None:
    """Whatever a function or an entry is called, it is counted by itself, and printable; nothing forges a key."""
    for name in ODD:
        call(name, key=name)
    found = told()
    assert found.hits() == len(ODD)
    assert len(found.subjects("read")) == len(ODD)
    assert all(each.isprintable() and len(each) <= 120 for each in found.subjects("read"))
    assert {"a:b{c}", '["a","b"]', "<script>", "ключ", "", " "} <= set(found.subjects("read"))
    assert all(each.key.isprintable() for each in hottest())
    assert {key.split(b":")[:3][-1] for key in redis_client.scan_iter("rt:n:*")} == {b"{stats}"}


def test_what_somebody_else_has_put_there(told: Look, redis_client: Any) -> None:
    """Fields and members that are none of ours are left out, and hinder nothing."""
    call("app.f", "rt:f:1")
    told()
    minute, hot = names.bucket_key("minute", int(now() // 60)), names.hot_key(int(now() // 3600))
    odd = [b"", b"n", b"n\xff", b"n[1,2,3]", b'n["a","b"]', b'x["a","b","c"]', b"n" + b"[" * 100_000]
    redis_client.hset(minute, mapping={**dict.fromkeys(odd, 1), b'n["read","a","get.hit"]': "many"})
    redis_client.zadd(hot, dict.fromkeys([b"\xff", b"[", b"{}", b'["a"]', b'["a",1]'], 100))
    redis_client.hset(minute, b'n["read","a","get.miss"]', b"--5")
    redis_client.hset(minute, b'n["read","b","get.miss"]', b"9" * 5000)
    redis_client.zadd(hot, {b'["app.f","rt:f:2"]': "inf", b'["app.f","rt:f:3"]': "-inf"})
    found = summed(buckets(HOUR))
    assert (found.hits(), found.misses()) == (1, 0)
    assert [tuple(each) for each in hottest()] == [("app.f", "rt:f:1", 1)]


def test_a_row_that_was_asked_for_by_something_else(told: Look, redis_client: Any) -> None:
    """A unique number may be a person's, a UUID a secret: of what a key tells only primary keys are shown, or kept."""
    stem = "rt:r:default:app.lesson"
    for name in ("id=7", "teacher_id=5,weekday=2,period=31", "slug=" + "0" * 32, "id=7,secret=8"):
        report(model=Lesson, kind="get", outcome="hit", alias="default", seconds=0.001, key=f"{stem}:{name}")
    report(model=None, kind="value", outcome="hit", alias="default", seconds=0.001, key="rt:r:default:app.gone:id=7")
    told()
    hide = keys.digest
    expected = {
        f"{stem}:id=7",
        f"{stem}:teacher_id={hide(b'5')},weekday={hide(b'2')},period={hide(b'31')}",
        f"{stem}:slug={'0' * 32}",
        f"{stem}:id=7,secret={hide(b'8')}",
        f"rt:r:default:app.gone:id={hide(b'7')}",
    }
    assert {each.key for each in hottest()} == expected
    assert b"=31" not in b"".join(redis_client.zrange(names.hot_key(int(now() // 3600)), 0, -1))


def test_how_long_it_is_kept(told: Look, redis_client: Any, settings: Any) -> None:
    """Three hours, fourteen days, four hundred days, or as the setting says; an hour's entries a day."""
    call("app.f", "rt:f:1")
    told()
    places = [names.bucket_key(name, int(now() // of)) for name, of in names.RESOLUTIONS.items()]
    places += [names.whole_key(), names.hot_key(int(now() // 3600)), names.sender_key(teller._sender)]
    lives = [10_800, 1_209_600, 34_560_000, 34_560_000, 86_400, 3600]
    assert [redis_client.ttl(key) for key in places] == pytest.approx(lives, abs=30)
    assert redis_client.dbsize() == len(places)
    settings.REDIS_TOOLKIT_STATS_KEEP = {"minute": 60, "day": 100}
    call("app.f")
    told()
    assert [redis_client.ttl(key) for key in places[:3]] == pytest.approx([60, 1_209_600, 100], abs=30)
    # (More than a server takes.)
    settings.REDIS_TOOLKIT_STATS_KEEP = {"minute": 10**30}
    call("app.f")
    assert told().hits() == 3
    assert redis_client.ttl(places[0]) > 10**9


def test_buckets(counting: None) -> None:
    """Exactly as many as are asked for, the oldest first, each with what was counted in it, in one round trip."""
    for minutes in (0, 0, 1, 61):
        with travel(60 * minutes):
            call("app.f")
            flush()
    with travel(61 * 60):
        before = link().round_trips
        found = buckets(HOUR)
        assert link().round_trips - before == 1
        assert [each.start for each in found] == [found[0].start + 60 * at for at in range(60)]
        assert found[-1].start == int(now() // 60) * 60
        # (The first three are an hour old, or more. The clock goes on meanwhile, perhaps into the next minute.)
        hits = [each.figures.hits() for each in found]
        assert (sum(hits), sum(hits[-2:])) == (1, 1)
        assert sum(each.figures.hits() for each in buckets(Span(60, 62))) == 4
        assert [len(buckets(span)) for span in (DAY, MONTH)] == [24, 30]
        assert [sum(each.figures.hits() for each in buckets(span)) for span in (DAY, MONTH)] == [4, 4]
        assert [each.times for each in hottest()] == []


@pytest.mark.parametrize("span", [Span(61, 1), Span(60, 0), Span(0, 5)])
def test_no_such_buckets(span: Span) -> None:
    """A step that is not kept is an error, and so are no buckets."""
    with pytest.raises(ValueError, match="not Span"):
        buckets(span)


def test_a_read_makes_no_round_trip(told: Look, redis_client: Any) -> None:
    """A thousand reads of twenty kinds: the server has heard nothing; then one script, whatever was counted."""
    told()
    commands = redis_client.info("stats")["total_commands_processed"]
    for at in range(1000):
        call(f"app.f{at % 20}", f"rt:f:{at % 20}", outcome="miss" if at % 3 else "hit")
    assert redis_client.info("stats")["total_commands_processed"] - commands == 1
    own, shared = teller._link().total_round_trips, link().total_round_trips
    flush()
    flush()
    assert (teller._link().total_round_trips - own, link().total_round_trips - shared) == (1, 0)


def test_nothing_is_counted_when_it_is_off(told: Look, redis_client: Any, settings: Any) -> None:
    """Switched off: nothing is heard and nothing told; on again: it goes on."""
    call("app.f")
    told()
    settings.REDIS_TOOLKIT_STATS = False
    call("app.f")
    assert told().hits() == 1
    settings.REDIS_TOOLKIT_STATS = True
    teller.is_running = True
    call("app.f")
    assert told().hits() == 2


def test_sums_that_are_no_numbers(told: Look) -> None:
    """Nothing that a receiver is told makes a number that Redis cannot add."""
    for seconds in (float("nan"), float("inf"), -float("inf"), 1e300):
        report(model=Lesson, kind="get", outcome="hit", alias="default", seconds=seconds)
        told()
    found = told()
    assert (found.hits(), found.total("read")) == (4, 1e9)
    link().ask(pack(("PING",)))
    assert json.dumps(found.total("read")) == "1000000000.0"
