"""Logical expiry: what is past its `fresh`, or was ended by a write within `stale`, is given while it is made anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from redis_toolkit.cache import asking, finding, freshness, own_writes, recency, refreshing
from redis_toolkit.cache.reading import Reader
from redis_toolkit.core.clock import travel
from redis_toolkit.core.connections import link
from tests.app.models import Lesson
from tests.app.remembered import described
from tests.concurrency.actors import Actor, Stage
from tests.concurrency.timetable import PG, Timetable
from tests.listening import outcomes_heard

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """How reads ended, those in the background included."""
    with outcomes_heard() as told:
        yield told
        refreshing.wait()


def ask(timetable: Timetable, **terms: float) -> tuple[list[str], int]:
    """The titles of the first group, and how many queries of this thread that took."""
    with CaptureQueriesContext(connections[PG]) as asked:
        found = [lesson.title for lesson in timetable.cached.filter(group=1).order_by("pk").cache(**terms)]
    return found, len(asked)


def elsewhere(stage: Stage, timetable: Timetable, title: str) -> None:
    """Another process changes the lesson: this one has not written since."""

    def part(actor: Actor) -> None:
        timetable.change(title=title)

    written = dict(own_writes._writes)
    stage.actor(part).end()
    own_writes._writes.clear()
    own_writes._writes.update(written)


def test_past_fresh_it_is_given_and_made_anew(
    timetable: Timetable, heard: list[str], redis_client: redis.Redis
) -> None:
    """The reader waits for nothing; a thread loads once, and the next reader has what that stored."""
    assert ask(timetable, fresh=60) == (["old"], 1)
    with travel(61):
        before = link().round_trips
        assert ask(timetable, fresh=60) == (["old"], 0)
        assert link().round_trips - before == 1
        refreshing.wait()
        # (The thread may be through before the reader has said what it was given.)
        assert sorted(heard) == ["hit", "miss", "refresh"]
        assert ask(timetable, fresh=60) == (["old"], 0)
        refreshing.wait()
    assert sorted(heard) == ["hit", "hit", "miss", "refresh"]


def test_made_anew_in_the_readers_language_and_time_zone(timetable: Timetable) -> None:
    """Both may be part of what is asked: what a thread loads by its own would be stored as the answer to another."""
    with translation.override("de"), timezone.override("Asia/Tokyo"):
        described(1)
        stale = described(1)
        refreshing.wait()
    assert described(1) == stale == {**described.nocache(1), "language": "de", "zone": "Asia/Tokyo"}


def test_within_fresh_nothing_is_made_anew(timetable: Timetable, heard: list[str]) -> None:
    """Fifty-nine seconds of sixty: a hit and no more."""
    ask(timetable, fresh=60)
    with travel(59):
        ask(timetable, fresh=60)
        refreshing.wait()
    assert heard == ["miss", "hit"]


def test_what_is_past_its_ttl_is_given_to_nobody(timetable: Timetable, redis_client: redis.Redis) -> None:
    """The hard end is Redis's own: the entry lives for its ttl, however long it is fresh."""
    ask(timetable, ttl=100, fresh=60)
    [entry] = redis_client.keys("rt:q:*")
    assert 80_000 < redis_client.pttl(entry) <= 100_000


def test_a_write_ends_what_is_past_its_fresh_at_once(timetable: Timetable, heard: list[str]) -> None:
    """`fresh` alone gives nobody what a write has ended."""
    ask(timetable, fresh=60)
    timetable.change(title="new")
    with travel(61):
        assert ask(timetable, fresh=60) == (["new"], 1)


def test_a_refresh_that_a_write_overtakes_is_born_dead(
    stage: Stage, timetable: Timetable, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. a refresh loads the old row  2. a writer commits and returns  3. the refresh stores: nobody is given that."""
    ask(timetable, fresh=60)
    entry: Any = Reader.entry

    def late(self: Any, *rest: Any) -> Any:
        if not heard.count("wrote"):
            heard.append("wrote")
            timetable.change(title="new")
        return entry(self, *rest)

    with travel(61):
        monkeypatch.setattr(Reader, "entry", late)
        assert ask(timetable, fresh=60) == (["old"], 0)
        refreshing.wait()
        assert sorted(heard) == ["hit", "miss", "refresh", "wrote"]
        assert ask(timetable, fresh=60) == (["new"], 1)


@pytest.mark.parametrize("hindrance", ["a tenant", "no thread"])
def test_where_no_thread_may_do_it_the_reader_does(
    timetable: Timetable, heard: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch, hindrance: str
) -> None:
    """One reader makes it anew in its own time; in a transaction, which must not, it is given as it is."""
    if hindrance == "a tenant":
        settings.REDIS_TOOLKIT_TENANT = "tests.concurrency.test_freshness.tenant"
    else:
        monkeypatch.setattr(refreshing, "later", lambda *_: False)
    ask(timetable, fresh=60)
    with travel(61):
        assert ask(timetable, fresh=60) == (["old"], 1)
        assert ask(timetable, fresh=60) == (["old"], 0)
    assert heard == ["miss", "miss", "hit"]


def tenant(alias: str) -> str:
    return "one"


def test_an_error_of_a_refresh_is_nobodys(
    timetable: Timetable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A refresh that fails is told in the log; its readers go on with what there is, and the next one tries again."""
    ask(timetable, fresh=60)

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("no such luck")

    with travel(61), monkeypatch.context() as patch:
        patch.setattr(asking, "_drive", fail)
        assert ask(timetable, fresh=60) == (["old"], 0)
        refreshing.wait()
    assert "An answer was not refreshed: no such luck" in caplog.messages
    with travel(61):
        assert ask(timetable, fresh=60) == (["old"], 0)
        refreshing.wait()


# Stale


def test_without_stale_a_write_is_seen_at_once(stage: Stage, timetable: Timetable) -> None:
    """The default is 0: exact."""
    ask(timetable)
    elsewhere(stage, timetable, "new")
    assert ask(timetable) == (["new"], 1)


def test_stale_is_given_while_it_is_made_anew(stage: Stage, timetable: Timetable, heard: list[str]) -> None:
    """1. seen valid  2. another process writes  3. within `stale` readers are given the old answer, and one load is made."""
    terms = {"ttl": 600, "stale": 30}
    ask(timetable, **terms)
    assert ask(timetable, **terms) == (["old"], 0)
    elsewhere(stage, timetable, "new")
    assert ask(timetable, **terms) == (["old"], 0)
    refreshing.wait()
    assert ask(timetable, **terms) == (["new"], 0)
    assert [heard[:2], sorted(heard[2:4]), heard[4:]] == [["miss", "hit"], ["refresh", "stale"], ["hit"]]


def test_nothing_is_given_that_may_have_been_stale_for_longer(
    stage: Stage, timetable: Timetable, heard: list[str]
) -> None:
    """The bound: it was seen valid 31 seconds ago, so it may have been stale for that long."""
    terms = {"ttl": 600, "stale": 30}
    ask(timetable, **terms)
    ask(timetable, **terms)
    elsewhere(stage, timetable, "new")
    with travel(31):
        assert ask(timetable, **terms) == (["new"], 1)


def test_nothing_is_given_that_was_never_seen_valid(stage: Stage, timetable: Timetable) -> None:
    """A dead entry does not say since when. Whoever has not seen it alive does not take it."""
    terms = {"ttl": 600, "stale": 30}
    ask(timetable, **terms)
    recency.forget()
    elsewhere(stage, timetable, "new")
    assert ask(timetable, **terms) == (["new"], 1)


def test_nobody_is_given_what_this_process_has_ended(timetable: Timetable) -> None:
    """Own writes are seen at once, `stale` or not."""
    terms = {"ttl": 600, "stale": 30}
    ask(timetable, **terms)
    ask(timetable, **terms)
    timetable.change(title="new")
    assert ask(timetable, **terms) == (["new"], 1)
    ask(timetable, **terms)
    with transaction.atomic(using=PG):
        Lesson.objects.using(PG).update(title="newer")
        assert ask(timetable, **terms) == (["newer"], 1)
    assert ask(timetable, **terms) == (["newer"], 1)


def test_stale_while_a_writer_is_at_work(stage: Stage, timetable: Timetable, heard: list[str]) -> None:
    """1. a stamp is marked  2. readers within `stale` are given the old answer, and nothing is loaded for nothing."""

    def part(actor: Actor) -> None:
        with actor.pausing_before_unmark("committed", PG):
            timetable.change(title="new")

    terms = {"ttl": 600, "stale": 30}
    ask(timetable, **terms)
    ask(timetable, **terms)
    writer = stage.actor(part)
    written = dict(own_writes._writes)
    writer.to("committed")
    own_writes._writes.clear()
    own_writes._writes.update(written)
    assert ask(timetable, **terms) == (["old"], 0)
    writer.end()
    assert heard == ["miss", "hit", "stale"]


def test_an_older_run_of_the_server_is_no_stale_answer(timetable: Timetable, redis_client: redis.Redis) -> None:
    """What another run of the server held may be older than anybody has seen: it is given to nobody."""
    terms = {"ttl": 600, "stale": 30}
    ask(timetable, **terms)
    ask(timetable, **terms)
    [entry] = redis_client.keys("rt:q:*")
    data: Any = redis_client.get(entry)
    redis_client.set(entry, data[:10] + b"run-no-2" + data[18:])
    assert ask(timetable, **terms) == (["old"], 1)


# Early


@pytest.mark.parametrize(("dice", "asked"), [(0.5, 0), (0.9999, 1)])
def test_near_its_end_one_reader_makes_it_anew(
    timetable: Timetable, settings: Any, monkeypatch: pytest.MonkeyPatch, dice: float, asked: int
) -> None:
    """XFetch: 5 s before its end an answer that took 1 s to make is early for a reader whose dice say so."""
    entry: Any = Reader.entry
    monkeypatch.setattr(Reader, "entry", lambda self, *told: entry(self, *told[:-1], 1.0))
    settings.REDIS_TOOLKIT_TTL_JITTER = 0
    ask(timetable, ttl=100)
    monkeypatch.setattr(finding.random, "random", lambda: dice)  # type: ignore[attr-defined]
    with travel(95):
        assert ask(timetable, ttl=100) == (["old"], asked)


def test_what_is_early_for_one_is_a_hit_for_the_rest(
    stage: Stage, timetable: Timetable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. A's dice say early: it claims and loads  2. so do B's, but A is at it: B is given what is there."""

    def part(actor: Actor) -> tuple[list[str], int]:
        with actor.pausing_after("SELECT", "app_lesson", "selected", PG):
            return ask(timetable, ttl=100)

    monkeypatch.setattr("redis_toolkit.cache.flights._WORTH", 0.0)
    ask(timetable, ttl=100)
    monkeypatch.setattr(finding, "is_early", lambda *_: True)
    first = stage.actor(part)
    first.to("selected")
    assert ask(timetable, ttl=100) == (["old"], 0)
    assert first.end() == (["old"], 1)


@pytest.mark.parametrize(
    ("left", "took", "beta", "share"),
    [(10, 0.4, 1, 0.0), (2, 0.4, 1, 0.0067), (0.4, 0.4, 1, 0.368), (0.8, 0.4, 2, 0.368)],
)
def test_how_often_a_reader_is_early(left: float, took: float, beta: float, share: float) -> None:
    """The probability is exp(-left / (beta took)), as in the paper."""
    throws = 10_000
    early = sum(freshness.is_early(left, took, beta, throw / throws) for throw in range(throws))
    assert abs(early / throws - share) < 0.001


@pytest.mark.parametrize(
    "terms", [{"fresh": 0}, {"fresh": -1}, {"stale": -1}, {"ttl": 10, "fresh": 10}, {"fresh": True}]
)
def test_terms_that_make_no_sense(terms: dict[str, Any]) -> None:
    """They are refused where they are declared."""
    with pytest.raises(ValueError, match="ttl"):
        Lesson.cached.all().cache(**terms)
