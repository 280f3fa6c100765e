"""The scripts of the Bloom filter, on a real server."""

from __future__ import annotations

import pytest

from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import run
from redis_toolkit.structures.bloom import Filter, size_for

ONE, TWO = b"1" * 12, b"2" * 12
KEYS = [f"rt:b:{{things}}:{part}" for part in ("state", "a", "b")]
DEAD = 60.0


@pytest.fixture
def bloom() -> Filter:
    """A filter of things."""
    return Filter("things", "1;id")


def make(bloom: Filter, members: list[str], capacity: int = 1000, error: float = 0.01) -> None:
    """Build it."""
    builder = bloom.begin(link(), size_for(capacity, error), DEAD, force=True)
    assert builder is not None
    assert bloom.fill(link(), builder, members)
    assert bloom.finish(link(), builder, 1000)


def absent(bloom: Filter, *members: str) -> list[bool]:
    """What it rules out."""
    return bloom.rules_out(link(), members)


def test_as_many_errors_as_were_asked_for(bloom) -> None:
    """Full, it knows its 20,000 members, and takes 1 % of 20,000 others for members (200, give or take 60)."""
    members = [f"id={number}" for number in range(20_000)]
    builder = bloom.begin(link(), size_for(20_000, 0.01), DEAD)
    for at in range(0, 20_000, 500):
        assert bloom.fill(link(), builder, members[at : at + 500])
    assert bloom.finish(link(), builder, 1000)
    assert absent(bloom, *members).count(True) == 0
    assert 140 <= absent(bloom, *(f"id={number}" for number in range(50_000, 70_000))).count(False) <= 260


def test_nothing_is_ruled_out_before_it_is_complete(bloom) -> None:
    """Missing, begun, filled: all may be there. Finished: what is not there is ruled out."""
    assert absent(bloom, "id=1", "id=2") == [False, False]
    builder = bloom.begin(link(), size_for(100, 0.01), DEAD)
    assert absent(bloom, "id=1") == [False]
    assert bloom.fill(link(), builder, ["id=1"])
    assert (absent(bloom, "id=2"), bloom.status(link()).state) == ([False], "building")
    assert bloom.finish(link(), builder, 1000)
    assert (absent(bloom, "id=1", "id=2"), bloom.status(link()).state) == ([False, True], "complete")


def test_one_builder_at_a_time(bloom) -> None:
    """A second one is turned away, unless it takes over: then the first one can do nothing more."""
    first = bloom.begin(link(), size_for(100, 0.01), DEAD)
    assert bloom.begin(link(), size_for(100, 0.01), DEAD) is None
    second = bloom.begin(link(), size_for(100, 0.01), DEAD, force=True)
    assert not bloom.fill(link(), first, ["id=1"])
    assert not bloom.finish(link(), first, 1000)
    assert bloom.finish(link(), second, 1000)
    # Said twice, because the first answer was lost.
    assert bloom.finish(link(), second, 1000)


def test_the_old_one_answers_until_the_new_one_does(bloom, redis_client) -> None:
    """While a new filter is built the old one rules out, both learn what comes, and at the end one bitmap is left."""
    make(bloom, ["id=1"])
    builder = bloom.begin(link(), size_for(100, 0.01), DEAD)
    run(link(), [bloom.enter(ONE, ["id=2"], told=True, complete=True), bloom.leave(ONE, ["id=2"])])
    assert absent(bloom, "id=1", "id=2", "id=3") == [False, False, True]
    assert redis_client.exists(*KEYS[1:]) == 2
    assert bloom.finish(link(), builder, 1000)
    assert absent(bloom, "id=1", "id=2", "id=3") == [True, False, True]
    assert redis_client.exists(*KEYS[1:]) == 1


@pytest.mark.parametrize("told", [True, False])
def test_a_writer_comes_and_goes(bloom, told: bool) -> None:
    """Who has more to say keeps everything from being ruled out until he ends; who has told all does not."""
    make(bloom, ["id=1"])
    run(link(), [bloom.enter(ONE, ["id=2"], told=told, complete=True)])
    assert absent(bloom, "id=2", "id=3") == [False, told]
    assert bloom.status(link()).writers == int(not told)
    run(link(), [bloom.enter(TWO, [], told=False, complete=True), bloom.leave(ONE, ["id=2", "id=4"])])
    assert absent(bloom, "id=3") == [False]
    run(link(), [bloom.leave(TWO, [])] * 2)
    assert absent(bloom, "id=2", "id=3", "id=4") == [False, True, False]


def test_a_writer_who_was_there_before(bloom) -> None:
    """What a writer said before a filter was begun is not in it: nothing is ruled out until he has said all again."""
    run(link(), [bloom.enter(ONE, ["id=2"], told=True, complete=True)])
    make(bloom, ["id=1"])
    assert absent(bloom, "id=3") == [False]
    run(link(), [bloom.enter(ONE, ["id=4"], told=True, complete=False)])
    assert absent(bloom, "id=3") == [False]
    run(link(), [bloom.leave(ONE, ["id=2", "id=4"])])
    assert absent(bloom, "id=2", "id=3", "id=4") == [False, True, False]


def test_a_writer_who_is_not_known_any_more(bloom, redis_client) -> None:
    """1. a writer names a member  2. all keys are lost, a filter built  3. it names another: it has to say both."""
    run(link(), [bloom.enter(ONE, ["id=2"], told=True, complete=True)])
    redis_client.delete(*KEYS)
    make(bloom, [])
    run(link(), [bloom.enter(ONE, ["id=4"], told=True, complete=False)])
    assert absent(bloom, "id=3") == [False]
    run(link(), [bloom.leave(ONE, ["id=2", "id=4"])])
    assert absent(bloom, "id=2", "id=3") == [False, True]


def test_the_dead_are_forgotten_and_their_filter_goes(bloom, redis_client) -> None:
    """A new build takes silent writers for dead: the filter that waits for one goes, the new one does not wait."""
    make(bloom, [])
    run(link(), [bloom.enter(ONE, [], told=False, complete=True)])
    field = f"w:{ONE.hex()}"
    redis_client.hset(KEYS[0], field, b"0000000000001" + redis_client.hget(KEYS[0], field)[13:])
    assert bloom.status(link()).oldest > DEAD
    builder = bloom.begin(link(), size_for(100, 0.01), DEAD)
    assert bloom.status(link()).state == "building"
    assert bloom.finish(link(), builder, 1000)
    assert absent(bloom, "id=3") == [True]


@pytest.mark.parametrize("lost", [0, 1])
def test_what_cannot_be_named_drops_it(bloom, lost: int) -> None:
    """A writer that ends with members it cannot name drops the filter and the one being built; so does a drop."""
    make(bloom, [])
    builder = bloom.begin(link(), size_for(100, 0.01), DEAD)
    run(link(), [bloom.leave(ONE, None) if lost else bloom.drop()])
    assert absent(bloom, "id=3") == [False]
    assert not bloom.fill(link(), builder, ["id=1"])
    assert not bloom.finish(link(), builder, 1000)


def test_another_label(bloom) -> None:
    """Who means other members rules nothing out by it, and drops it as soon as he writes."""
    make(bloom, ["id=1"])
    other = Filter("things", "1;id;slug")
    assert (absent(other, "id=3"), absent(bloom, "id=3")) == ([False], [True])
    run(link(), [other.enter(ONE, ["id=1", "slug=x"], told=True, complete=True)])
    assert absent(bloom, "id=3") == [False]


@pytest.mark.parametrize("part", range(3))
def test_another_programs_values(bloom, redis_client, part: int) -> None:
    """What is no state and no bitmap rules nothing out, breaks no writer, and is replaced by a build."""
    make(bloom, ["id=1"])
    redis_client.delete(KEYS[part])
    redis_client.rpush(KEYS[part], "x") if part else redis_client.set(KEYS[part], "x")
    assert absent(bloom, "id=3") == [part == 2]
    run(link(), [bloom.enter(ONE, ["id=2"], told=True, complete=True), bloom.leave(ONE, ["id=2"])])
    make(bloom, ["id=1"])
    assert absent(bloom, "id=1", "id=3") == [False, True]


def test_it_ends(bloom, redis_client) -> None:
    """The bits of a filter have a life, and one that is being built that of its builder."""
    builder = bloom.begin(link(), size_for(100, 0.01), DEAD)
    assert 0 < redis_client.pttl(KEYS[1]) <= 60_000
    assert bloom.finish(link(), builder, 1000)
    assert 60_000 < redis_client.pttl(KEYS[1]) <= 1_000_000
    assert 990 < bloom.status(link()).last <= 1000
