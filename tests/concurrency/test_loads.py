"""Single flight within a process: threads that miss the same answer share one load, and none is given an old one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest
import redis
from django.db import DatabaseError, connections
from django.test.utils import CaptureQueriesContext

from redis_toolkit.cache import loads, looks
from redis_toolkit.core.connections import link
from tests.concurrency.actors import PATIENCE, Actor, Stage
from tests.concurrency.timetable import PG, Timetable
from tests.listening import outcomes_heard

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])


@pytest.fixture(autouse=True)
def patient(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads wait for longer than any play takes: for a load and for a look at the outbox, which holds as long."""
    settings.REDIS_TOOLKIT_FLIGHT_WAIT = settings.REDIS_TOOLKIT_OUTBOX_INTERVAL = PATIENCE * 3
    monkeypatch.setattr(looks, "_PATIENCE", PATIENCE)
    looks.expect()


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """How reads ended, in this order."""
    with outcomes_heard() as told:
        yield told


def loader(stage: Stage, timetable: Timetable) -> Actor:
    """A reader that stops when it has read the database and not stored the answer."""

    def part(actor: Actor) -> list[str]:
        with actor.pausing_after("SELECT", "app_lesson", "selected", PG):
            return timetable.group(1)

    return stage.actor(part)


def follower(stage: Stage, timetable: Timetable) -> Actor:
    """A reader that tells how many queries and round trips its answer took."""

    def part(actor: Actor) -> tuple[list[str], int, int]:
        with CaptureQueriesContext(connections[PG]) as asked:
            return timetable.group(1), len(asked), link().round_trips

    return stage.actor(part)


def wait_for(followers: int) -> None:
    """Wait until so many threads wait for the one load that is under way."""
    deadline = perf_counter() + PATIENCE
    while sum(load.followers for load in list(loads._under_way.values())) < followers:
        assert perf_counter() < deadline, "they do not wait"


def test_fifty_threads_and_one_load(stage: Stage, timetable: Timetable, heard: list[str]) -> None:
    """1. A loads  2. fifty others miss  3. A stores: each has its own objects, after one round trip and no query."""
    first, others = loader(stage, timetable), [follower(stage, timetable) for _ in range(50)]
    first.to("selected")
    for other in others:
        other.go()
    wait_for(50)
    assert first.end() == ["old"]
    assert {(*other.ends()[:2],) == (["old"], 0) for other in others} == {True}
    assert sorted(heard) == ["miss", *["shared"] * 50]


def test_who_waits_sends_one_miss(stage: Stage, timetable: Timetable) -> None:
    """A thread that waits for another sends its MGET, and nothing more."""
    first, other = loader(stage, timetable), follower(stage, timetable)
    first.to("selected")
    other.go()
    wait_for(1)
    first.end()
    assert other.ends() == (["old"], 0, 1)


def test_a_load_begun_before_a_commit_is_not_for_who_came_after_it(
    stage: Stage, timetable: Timetable, heard: list[str]
) -> None:
    """1. A loads the old row  2. a writer commits and returns  3. B comes: it is not given A's answer."""
    first, other = loader(stage, timetable), follower(stage, timetable)
    first.to("selected")
    timetable.change(title="new")
    other.go()
    wait_for(1)
    assert first.end() == ["old"]
    assert other.ends()[0] == ["new"]
    assert timetable.group(1) == ["new"]


def test_who_saw_another_stamp_does_not_wait(
    stage: Stage, timetable: Timetable, heard: list[str], redis_client: redis.Redis
) -> None:
    """1. A loads under old stamps  2. a writer commits  3. somebody makes new stamps  4. B sees them, and does not wait."""
    first = loader(stage, timetable)
    first.to("selected")
    timetable.change(title="new")
    timetable.cached.filter(group=1).count()
    assert timetable.group(1) == ["new"]
    assert first.end() == ["old"]
    assert timetable.group(1) == ["new"]


def test_while_a_writer_is_at_work_the_next_load_is_for_all(
    stage: Stage, timetable: Timetable, heard: list[str]
) -> None:
    """1. stamps are marked  2. A loads  3. B and C come: A's load may be older than they, so one of them loads for both."""

    def part(actor: Actor) -> None:
        with actor.pausing_before_unmark("committed", PG):
            timetable.change(title="new")

    writer = stage.actor(part)
    writer.to("committed")
    # (So many that, however busy the machine is, not every one wakes when the load of the one before has ended.)
    first, others = loader(stage, timetable), [follower(stage, timetable) for _ in range(20)]
    first.to("selected")
    for other in others:
        other.go()
    wait_for(20)
    assert first.end() == ["new"]
    answers = [other.ends() for other in others]
    assert [answer[0] for answer in answers] == [["new"]] * 20
    assert sum(answer[1] for answer in answers) < 20
    assert heard.count("bypass") + heard.count("shared") == 21
    writer.end()


def test_without_redis_one_load_at_a_time(stage: Stage, timetable: Timetable, heard: list[str], settings: Any) -> None:
    """Redis is away: of those who come while one loads the next loads for all, and nobody is given an older answer."""
    link().breaker.is_open = True
    try:
        first, others = loader(stage, timetable), [follower(stage, timetable) for _ in range(8)]
        first.to("selected")
        timetable.change(title="new")
        for other in others:
            other.go()
        wait_for(8)
        assert first.end() == ["old"]
        answers = [other.ends() for other in others]
    finally:
        link().breaker.is_open = False
    assert [answer[0] for answer in answers] == [["new"]] * 8
    assert sum(answer[1] for answer in answers) < 8


def test_who_waits_for_a_load_that_fails_asks_for_itself(stage: Stage, timetable: Timetable, heard: list[str]) -> None:
    """1. A loads, B waits  2. A's query fails: that is A's error, and B has its answer."""

    def part(actor: Actor) -> list[str]:
        def fail(execute: Any, sql: str, *rest: Any) -> Any:
            if "app_lesson" in sql:
                actor.pause("asking")
                raise DatabaseError("gone")
            return execute(sql, *rest)

        with connections[PG].execute_wrapper(fail):
            return timetable.group(1)

    first, other = stage.actor(part), follower(stage, timetable)
    first.to("asking")
    other.go()
    wait_for(1)
    with pytest.raises(DatabaseError, match="gone"):
        first.end()
    assert other.ends()[:2] == (["old"], 1)
    assert heard == ["miss"]


def test_nobody_waits_longer_than_the_bound(stage: Stage, timetable: Timetable, settings: Any) -> None:
    """1. A loads and does not end  2. B has waited for FLIGHT_WAIT: it asks the database."""
    first = loader(stage, timetable)
    first.to("selected")
    settings.REDIS_TOOLKIT_FLIGHT_WAIT = 0.05
    other = follower(stage, timetable)
    other.go()
    assert other.ends()[:2] == (["old"], 1)
    assert first.end() == ["old"]


def test_what_a_transaction_reads_is_its_own(stage: Stage, timetable: Timetable) -> None:
    """1. a transaction loads what it has written  2. B misses: it does not wait, and is given what is committed."""

    def part(actor: Actor) -> list[str]:
        with actor.pausing_before_unmark("committed", PG):
            timetable.change(title="new")
            with actor.pausing_after("SELECT", "app_lesson", "selected", PG):
                return timetable.group(1)

    first = stage.actor(part)
    first.to("selected")
    assert timetable.group(1) == ["old"]
    first.to("committed")
    assert first.end() == ["new"]
    assert timetable.group(1) == ["new"]


def test_a_load_inside_a_load_waits_for_none_that_has_not_begun() -> None:
    """1. A load holds a place  2. another, of what the first asks for in its turn, waits for one: nobody waits for both."""
    place = ("rt:q:x", PG)
    waiting, is_ours = loads.join_or_begin(place, None)
    assert is_ours
    with loads.within():
        own, is_ours = loads.join_or_begin(place, None)
        assert (own is waiting, is_ours) == (False, True)
        own.end()
        waiting.run()
        assert loads.join_or_begin(place, None) == (waiting, False)
    waiting.end()
    assert loads._under_way == {}


def test_one_look_for_all(stage: Stage, timetable: Timetable, monkeypatch: pytest.MonkeyPatch) -> None:
    """1. nobody has looked at the outbox for a while  2. eight threads read at once: one looks, and none asks the database."""
    timetable.group(1)
    looked, look = [], looks.look

    def slowly(*means: Any) -> bool:
        looked.append(means)
        if len(looked) == 1:
            first.pause("looking")
        return look(*means)

    first, others = follower(stage, timetable), [follower(stage, timetable) for _ in range(7)]
    looks.expect()
    monkeypatch.setattr(looks, "look", slowly)
    first.to("looking")
    for other in others:
        other.go()
    # (Those who come after the look find it made. It is those who come before its end that are to wait.)
    assert [answer[:2] for answer in (first.end(), *(other.ends() for other in others))] == [(["old"], 0)] * 8
    assert len(looked) == 1


def test_a_process_forked_within_a_load(django_environment: dict[str, str]) -> None:
    """The child comes out of the load as its parent does, and is in none then."""
    script = (
        "import os, django; django.setup()\n"
        "from redis_toolkit.cache import loads\n"
        "with loads.within():\n"
        "    child = os.fork()\n"
        "if not child:\n"
        "    os._exit(7 if not loads.is_nested() else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=django_environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("7\n", "")
