"""The three scripts that keep stamps, on a real server."""

from __future__ import annotations

import random

import pytest

from redis_toolkit.cache.freshness import stamp_life
from redis_toolkit.cache.stamps import ID_SIZE, TOKEN_SIZE, all_tokens, ensure, mark, new_transaction_id, unmark
from redis_toolkit.core.connections import link, pack
from redis_toolkit.exceptions import StoreUnavailable

STAMP = "rt:s:default:app_lesson"
OTHER = "rt:s:default:app_lesson:id=7"
ONE, TWO, THREE = b"1" * ID_SIZE, b"2" * ID_SIZE, b"\x00m\xff\n" * 3


def now(client) -> int:
    """The server's clock in milliseconds."""
    seconds, micros = client.time()
    return seconds * 1000 + micros // 1000


def marks(value: bytes) -> dict[bytes, int]:
    """The deadlines in a mark by transaction."""
    assert value[:1] == b"m"
    assert len(value) % 25 == 1
    return {value[at : at + 12]: int(value[at + 12 : at + 25]) for at in range(1, len(value), 25)}


def mark_of(**deadlines: int) -> bytes:
    """A mark as the scripts write it."""
    ids = {"one": ONE, "two": TWO, "three": THREE}
    return b"m" + b"".join(ids[name] + b"%013d" % deadline for name, deadline in deadlines.items())


def trips(work) -> int:
    """How many round trips ``work`` costs on a connection that is open."""
    link().ask(pack(("PING",)))
    before = link().round_trips
    work()
    return link().round_trips - before


# Tokens


def test_two_callers_get_the_same_token(redis_client):
    """A stamp that is missing is made once; the second caller gets the first one's token."""
    first = ensure(link(), [STAMP], 60)
    assert ensure(link(), [STAMP], 60) == first == [redis_client.get(STAMP)]
    assert len(first[0]) == TOKEN_SIZE == 9
    assert first[0][:1] == b"t"
    assert redis_client.dbsize() == 1


def test_each_stamp_has_a_token_of_its_own():
    """Stamps made together have different tokens, in the order asked."""
    stamps = [f"{STAMP}:id={at}" for at in range(50)]
    tokens = ensure(link(), stamps, 60)
    assert len(set(tokens)) == 50
    assert ensure(link(), stamps[::-1], 60) == tokens[::-1]


def test_a_lost_stamp_comes_back_different(redis_client):
    """What was evicted is made anew with another token, so no entry is valid that was built under the old one."""
    before = ensure(link(), [STAMP], 60)
    redis_client.delete(STAMP)
    assert ensure(link(), [STAMP], 60) != before


def test_a_mark_is_given_as_it_is(redis_client):
    """A marked stamp is not replaced; the caller sees the mark, and that it is no token."""
    mark(link(), [STAMP], ONE)
    values = ensure(link(), [STAMP, OTHER], 60)
    assert values[0] == redis_client.get(STAMP)
    assert set(marks(values[0])) == {ONE}
    assert not all_tokens(values)
    assert all_tokens(values[1:])
    assert not all_tokens([values[1], None])
    assert all_tokens([])


@pytest.mark.parametrize(("ttl", "life"), [(60, 7_200_000), (3600, 7_200_000), (5000, 10_000_000), (3600.5, 7_201_000)])
def test_a_stamp_outlives_every_entry(ttl, life, redis_client):
    """A stamp lives twice as long as the longest entry under it, and being asked for again does not change that."""
    assert stamp_life(ttl, 3600) == life
    ensure(link(), [STAMP], ttl)
    assert life - 1000 < redis_client.pttl(STAMP) <= life
    redis_client.pexpire(STAMP, 5_000_000)
    ensure(link(), [STAMP], ttl)
    assert 4_999_000 < redis_client.pttl(STAMP) <= 5_000_000


# Marks


def test_a_mark_replaces_a_token(redis_client):
    """The token goes: nothing built under it is valid any more, whatever comes after."""
    ensure(link(), [STAMP], 60)
    mark(link(), [STAMP], ONE)
    assert set(marks(redis_client.get(STAMP))) == {ONE}


def test_a_missing_stamp_is_marked_too(redis_client):
    """A reader may be about to make it."""
    mark(link(), [STAMP, OTHER], ONE)
    assert {key: set(marks(redis_client.get(key))) for key in (STAMP, OTHER)} == {STAMP: {ONE}, OTHER: {ONE}}


def test_marking_costs_one_round_trip():
    """However many stamps there are, marking, making and unmarking them are one round trip each; none, none."""
    stamps = [f"{STAMP}:id={at}" for at in range(100)]
    mark(link(), stamps, ONE)
    assert trips(lambda: mark(link(), stamps, ONE)) == 1
    assert trips(lambda: ensure(link(), stamps, 60)) == 1
    assert trips(lambda: unmark(link(), stamps, ONE)) == 1
    assert trips(lambda: (mark(link(), [], ONE), ensure(link(), [], 60), unmark(link(), [], ONE))) == 0


def test_a_deadline_is_in_the_clock_of_the_server(redis_client, settings):
    """The deadline is the server's time and MARK_TTL, and the mark itself expires then."""
    settings.REDIS_TOOLKIT_MARK_TTL = 90
    before = now(redis_client)
    mark(link(), [STAMP], ONE)
    after = now(redis_client)
    assert before + 90_000 <= marks(redis_client.get(STAMP))[ONE] <= after + 90_000
    assert 89_000 < redis_client.pttl(STAMP) <= 90_000


@pytest.mark.parametrize("ids", [(ONE, TWO), (TWO, ONE), (ONE, THREE)])
def test_two_transactions_join_one_mark(ids, redis_client):
    """The second writer adds itself; whichever leaves first leaves the other's mark, the last takes the stamp along."""
    first, second = ids
    ensure(link(), [STAMP], 60)
    mark(link(), [STAMP], first)
    mark(link(), [STAMP], second)
    assert set(marks(redis_client.get(STAMP))) == {first, second}
    unmark(link(), [STAMP], first)
    assert set(marks(redis_client.get(STAMP))) == {second}
    unmark(link(), [STAMP], second)
    assert redis_client.get(STAMP) is None


def test_leaving_in_the_order_of_coming_and_the_other_way_round(redis_client):
    """Ten writers come and go in any order; the stamp is marked by exactly those who are at work."""
    dice = random.Random(5)
    ids = [new_transaction_id() for _ in range(10)]
    at_work: set[bytes] = set()
    for _ in range(200):
        at = dice.choice(ids)
        (mark if at not in at_work else unmark)(link(), [STAMP], at)
        at_work ^= {at}
        value = redis_client.get(STAMP)
        assert (set(marks(value)) if value else set()) == at_work


def test_the_mark_lives_as_long_as_its_last_deadline(redis_client, settings):
    """A short transaction that joins a long one does not shorten the mark, nor does it when it leaves."""
    settings.REDIS_TOOLKIT_MARK_TTL = 500
    mark(link(), [STAMP], ONE)
    settings.REDIS_TOOLKIT_MARK_TTL = 10
    mark(link(), [STAMP], TWO)
    assert 499_000 < redis_client.pttl(STAMP) <= 500_000
    unmark(link(), [STAMP], TWO)
    assert 499_000 < redis_client.pttl(STAMP) <= 500_000
    mark(link(), [STAMP], TWO)
    unmark(link(), [STAMP], ONE)
    assert 9_000 < redis_client.pttl(STAMP) <= 10_000


def test_marking_again_moves_the_deadline(redis_client):
    """A transaction that marks twice stands in the mark once, with the later deadline."""
    redis_client.set(STAMP, mark_of(one=now(redis_client) + 1000, two=now(redis_client) + 30_000))
    before = now(redis_client)
    mark(link(), [STAMP], ONE)
    deadlines = marks(redis_client.get(STAMP))
    assert set(deadlines) == {ONE, TWO}
    assert deadlines[ONE] >= before + 60_000


def test_each_script_may_run_twice(redis_client):
    """A script that is sent again because its answer was lost changes nothing the second time."""
    assert ensure(link(), [STAMP], 60) == ensure(link(), [STAMP], 60)
    for _ in range(2):
        mark(link(), [STAMP], ONE)
        assert set(marks(redis_client.get(STAMP))) == {ONE}
    mark(link(), [STAMP], TWO)
    for _ in range(2):
        unmark(link(), [STAMP], ONE)
        assert set(marks(redis_client.get(STAMP))) == {TWO}
    for _ in range(2):
        unmark(link(), [STAMP], TWO)
        assert redis_client.get(STAMP) is None


# Deadlines gone by: written by hand, so that nothing has to wait for them


def test_a_writer_that_died_is_dropped_when_another_joins(redis_client):
    """An id whose deadline has gone by does not come along; one whose deadline is to come does."""
    time = now(redis_client)
    redis_client.set(STAMP, mark_of(one=time - 1, three=time + 20_000))
    mark(link(), [STAMP], TWO)
    assert set(marks(redis_client.get(STAMP))) == {TWO, THREE}


def test_a_writer_that_died_is_dropped_when_another_leaves(redis_client):
    """The last living writer takes the stamp along, though a dead one's id is still in the mark."""
    time = now(redis_client)
    redis_client.set(STAMP, mark_of(one=time - 1, two=time + 20_000))
    unmark(link(), [STAMP], TWO)
    assert redis_client.get(STAMP) is None


def test_a_mark_by_hand_is_what_the_scripts_write(redis_client):
    """The values these tests write by hand have the scripts' own form."""
    mark(link(), [STAMP], ONE)
    value = redis_client.get(STAMP)
    assert mark_of(one=marks(value)[ONE]) == value
    assert len(value) == 26


# Taking marks off


def test_a_token_in_the_place_of_the_mark_goes(redis_client):
    """Redis lost the mark and a reader made a token: what was stored under it may be from before the commit."""
    mark(link(), [STAMP], ONE)
    redis_client.delete(STAMP)
    ensure(link(), [STAMP], 60)
    unmark(link(), [STAMP], ONE)
    assert redis_client.get(STAMP) is None


def test_unmarking_leaves_marks_of_others_alone(redis_client):
    """A transaction whose own mark was lost takes nothing from those who have marked since."""
    mark(link(), [STAMP], TWO)
    unmark(link(), [STAMP], ONE)
    assert set(marks(redis_client.get(STAMP))) == {TWO}


def test_marks_linger_for_the_lag_of_the_replicas(redis_client, settings):
    """With REPLICA_LAG a mark stays that long after the commit, so that no replica's old row is stored."""
    settings.REDIS_TOOLKIT_REPLICA_LAG = 2.5
    mark(link(), [STAMP], ONE)
    before = now(redis_client)
    unmark(link(), [STAMP], ONE)
    after = now(redis_client)
    assert before + 2500 <= marks(redis_client.get(STAMP))[ONE] <= after + 2500
    assert 1500 < redis_client.pttl(STAMP) <= 2500
    assert not all_tokens(ensure(link(), [STAMP], 60))


def test_a_lingering_mark_does_not_shorten_anothers(redis_client, settings):
    """While another transaction is at work its deadline decides how long the mark stands."""
    settings.REDIS_TOOLKIT_REPLICA_LAG = 2
    mark(link(), [STAMP], ONE)
    mark(link(), [STAMP], TWO)
    unmark(link(), [STAMP], ONE)
    deadlines = marks(redis_client.get(STAMP))
    assert set(deadlines) == {ONE, TWO}
    assert 57_000 <= deadlines[TWO] - deadlines[ONE] <= 58_000
    assert 59_000 < redis_client.pttl(STAMP) <= 60_000


def test_a_lost_mark_lingers_in_the_place_of_a_token(redis_client, settings):
    """The token a reader made goes even if what comes is only a lingering mark."""
    settings.REDIS_TOOLKIT_REPLICA_LAG = 2
    ensure(link(), [STAMP], 60)
    unmark(link(), [STAMP], ONE)
    assert set(marks(redis_client.get(STAMP))) == {ONE}


# Scripts and the server


@pytest.mark.parametrize("name", ["ensure", "mark", "unmark"])
def test_a_server_that_lost_the_scripts_gets_them_again(name, redis_client):
    """After SCRIPT FLUSH the call costs two round trips more, once, and its result is the same."""
    work = {
        "ensure": lambda: ensure(link(), [STAMP, OTHER], 60),
        "mark": lambda: mark(link(), [STAMP, OTHER], ONE),
        "unmark": lambda: unmark(link(), [STAMP, OTHER], ONE),
    }[name]
    redis_client.script_flush()
    assert trips(work) == 3
    assert trips(work) == 1
    assert redis_client.exists(STAMP, OTHER) == (0 if name == "unmark" else 2)


def test_all_scripts_come_back_together(redis_client):
    """The first call that misses its script loads every script."""
    redis_client.script_flush()
    assert trips(lambda: ensure(link(), [STAMP], 60)) == 3
    assert trips(lambda: mark(link(), [STAMP], ONE)) == 1
    assert trips(lambda: unmark(link(), [STAMP], ONE)) == 1


@pytest.mark.parametrize("name", ["ensure", "mark", "unmark"])
def test_a_list_in_the_place_of_a_stamp_is_replaced(name, redis_client):
    """What somebody else put there counts as missing: it is made, marked or taken away like a stamp."""
    redis_client.rpush(STAMP, "x")
    if name == "ensure":
        assert ensure(link(), [STAMP], 60) == [redis_client.get(STAMP)]
    elif name == "mark":
        mark(link(), [STAMP], ONE)
        assert set(marks(redis_client.get(STAMP))) == {ONE}
    else:
        unmark(link(), [STAMP], ONE)
        assert redis_client.get(STAMP) is None


@pytest.mark.parametrize("value", [b"m", b"m1", b"m" + b"1" * 20, b"m" + b"x" * 25, b"m" + b"x" * 60, b"", b"noise"])
def test_noise_in_the_place_of_a_mark_is_replaced(value, redis_client):
    """A mark that cannot be read holds nobody's place, and stops no writer."""
    redis_client.set(STAMP, value)
    mark(link(), [STAMP], ONE)
    assert set(marks(redis_client.get(STAMP))) == {ONE}
    redis_client.set(STAMP, value)
    unmark(link(), [STAMP], ONE)
    assert redis_client.get(STAMP) is None


def test_a_full_server_still_drops_stamps(valkey, redis_client):
    """Where there is no memory for a mark the write is told so, and what takes memory away goes through."""
    ensure(link(), [STAMP], 60)
    redis_client.config_set("maxmemory", 1)
    with pytest.raises(StoreUnavailable, match="OOM"):
        mark(link(), [STAMP], ONE)
    unmark(link(), [STAMP], ONE)
    assert redis_client.get(STAMP) is None


def test_ids_are_random():
    """A thousand transactions have a thousand ids of twelve bytes."""
    ids = {new_transaction_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(each) for each in ids} == {12}
