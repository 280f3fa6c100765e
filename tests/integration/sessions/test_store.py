"""What the store does beside Django's contract: deltas, ends, names, sizes; in as few round trips as can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.base import CreateError, UpdateError

from redis_toolkit.core.async_links import async_link
from redis_toolkit.core.clock import Frozen, travel
from redis_toolkit.core.connections import link, pack
from redis_toolkit.exceptions import SessionConflict, SessionTooLarge
from redis_toolkit.sessions import SessionStore, names

Begin = Callable[..., Any]
Trips = Callable[[Callable[[], Any]], int]


def again(store: Any) -> Any:
    """The session as another request has it."""
    other = SessionStore(store.session_key)
    other._get_session()
    return other


def key_of(store: Any) -> str:
    return names.record_key(store.session_key, names.digest(store.session_key))


def test_round_trips(begin: Begin, trips: Trips) -> None:
    """One to load, one to save, none where nothing has changed; one for a new session, one to end it."""
    store = begin(a=1)
    other = SessionStore(store.session_key)
    assert trips(lambda: other.get("a")) == 1
    other["b"] = 2
    assert trips(other.save) == 1
    other.modified = True
    assert trips(other.save) == 0
    fresh = SessionStore()
    fresh["a"] = 1
    assert trips(fresh.save) == 1
    assert trips(fresh.cycle_key) == 1
    assert trips(fresh.flush) == 1


def test_a_log_in_takes_three(begin: Begin, trips: Trips) -> None:
    """Load, new id, save; and the log-out one, the list of the user's sessions included."""
    before = begin(cart=[1])
    store = SessionStore(before.session_key)

    def log_in() -> None:
        store.get("_auth_user_id")
        store.cycle_key()
        store.update({"_auth_user_id": "7", "_auth_user_backend": "b", "_auth_user_hash": "h"})
        store.save()

    assert trips(log_in) == 3
    assert trips(store.flush) == 1


def test_round_trips_of_coroutines(begin: Begin, trips: Trips) -> None:
    """As many, over the loop's own link: read one, write one more, unchanged none, log in three, log out one."""
    store = begin(cart=[1])
    trips(lambda: None)

    async def act() -> list[int]:
        way = async_link()
        await way.ask_many(pack(("PING",)), 1)
        seen = [way.round_trips]
        other = SessionStore(store.session_key)
        await other.aget("cart")
        seen.append(way.round_trips)
        await other.aset("b", 2)
        await other.asave()
        seen.append(way.round_trips)
        await other.asave()
        seen.append(way.round_trips)
        user = SessionStore(store.session_key)
        await user.aget("_auth_user_id")
        await user.acycle_key()
        await user.aupdate({"_auth_user_id": "7", "_auth_user_backend": "b", "_auth_user_hash": "h"})
        await user.asave()
        seen.append(way.round_trips)
        await user.aflush()
        seen.append(way.round_trips)
        return [after - before for before, after in pairwise(seen)]

    assert asyncio.run(act()) == [1, 1, 0, 3, 1]


def test_both_are_heard(begin: Begin) -> None:
    """Two requests that change different keys; of one that both change the last; what is nested counts."""
    store = begin(a=1, b={"x": [1]}, c=1)
    one, two = again(store), again(store)
    one["a"] = 2
    two["b"]["x"].append(2)
    two["c"] = 3
    one.pop("c")
    one.save()
    two.save()
    assert dict(again(store).items()) == {"a": 2, "b": {"x": [1, 2]}, "c": 3}


def test_what_is_cleared_is_gone(begin: Begin) -> None:
    """All of it, what others have written meanwhile included."""
    store = begin(a=1)
    one, two = again(store), again(store)
    two["b"] = 2
    two.save()
    one.clear()
    one["c"] = 3
    one.save()
    assert dict(again(store).items()) == {"c": 3}


def test_a_log_in_is_one_thing(begin: Begin) -> None:
    """Of two that overlap, the user of one and the hash of the other are not mixed."""
    store = begin(_auth_user_id="1", _auth_user_backend="b", _auth_user_hash="h1")
    one, two = again(store), again(store)
    one.update({"_auth_user_id": "2", "_auth_user_hash": "h2"})
    two.update({"_auth_user_hash": "h1b"})
    one.save()
    two.save()
    assert dict(again(store).items()) == {"_auth_user_id": "1", "_auth_user_backend": "b", "_auth_user_hash": "h1b"}


def test_what_has_ended_stays_ended(begin: Begin, redis_client: redis.Redis) -> None:
    """Neither a save nor a new id brings it back; nobody's session goes on under another id."""
    store = begin(_auth_user_id="1", a=1)
    late, later = again(store), again(store)
    store.flush()
    late["b"] = 1
    with pytest.raises(UpdateError):
        late.save()
    before = later.session_key
    later.cycle_key()
    assert later.session_key == before
    with pytest.raises(UpdateError):
        later.save()
    assert redis_client.keys("*") == []
    anonymous = begin(cart=[1])
    last = again(anonymous)
    anonymous.flush()
    last.cycle_key()
    assert again(last)["cart"] == [1]


def test_a_new_id_takes_along_what_others_write(begin: Begin) -> None:
    """What was written between the load and the new id; the old id is nothing."""
    store = begin(a=1)
    one, two = again(store), again(store)
    two["b"] = 2
    two.save()
    one.cycle_key()
    one["c"] = 3
    one.save()
    assert dict(again(one).items()) == {"a": 1, "b": 2, "c": 3}
    assert not one.exists(store.session_key)
    assert one.session_key[:3] == store.session_key[:3]
    assert one.session_key[3:] != store.session_key[3:]


def test_an_id_that_is_taken(begin: Begin) -> None:
    """Is not taken again."""
    store = begin(a=1)
    with pytest.raises(CreateError):
        SessionStore(store.session_key).save(must_create=True)
    assert again(store)["a"] == 1


def test_ids_are_nowhere(begin: Begin, redis_client: redis.Redis) -> None:
    """In no key and no value; nor is the user's primary key, outside of the session itself."""
    store = begin(_auth_user_id="ada@example.com", a=1)
    store.cycle_key()
    store.save()
    seen = 0
    for key in redis_client.scan_iter("*"):
        value = redis_client.hgetall(key) if redis_client.type(key) == b"hash" else redis_client.zrange(key, 0, -1)
        told = repr((key, value))
        seen += 1
        assert store.session_key not in told
        if isinstance(value, dict):
            value.pop(b"_auth_user_id")
        assert "ada@example.com" not in repr((key, value))
    assert seen == 2


def test_keys_of_one_session_share_a_slot(begin: Begin) -> None:
    """So the new id is given by one RENAME on a Cluster too."""
    store = begin(a=1)
    before = key_of(store)
    store.cycle_key()
    assert before != key_of(store)
    assert before.split("{")[1].split("}")[0] == key_of(store).split("{")[1].split("}")[0] == store.session_key[:3]


def test_lives(begin: Begin, redis_client: redis.Redis, settings: Any) -> None:
    """As Django says: the cookie's age, or what was set; what is over is not stored."""
    settings.SESSION_COOKIE_AGE = 1000
    store = begin(a=1)
    assert 990_000 < redis_client.pttl(key_of(store)) <= 1_000_000
    store.set_expiry(50)
    store.save()
    assert 40_000 < redis_client.pttl(key_of(store)) <= 50_000
    store.set_expiry(-1)
    store.save()
    assert redis_client.keys("*") == []
    with pytest.raises(UpdateError):
        store.save()


def test_it_lasts_longer_when_a_share_of_it_has_gone(
    begin: Begin, trips: Trips, redis_client: redis.Redis, settings: Any
) -> None:
    """Unchanged: nothing is written before; then its life only; and it is seen to have ended."""
    settings.SESSION_COOKIE_AGE = 1000
    settings.REDIS_TOOLKIT_SESSION_RENEW_SHARE = 0.1
    store = begin(a=1)
    redis_client.pexpire(key_of(store), 901_000)
    assert trips(again(store).save) == 0
    assert redis_client.pttl(key_of(store)) <= 901_000
    redis_client.pexpire(key_of(store), 899_000)
    assert trips(again(store).save) == 1
    assert redis_client.pttl(key_of(store)) > 990_000
    settings.SESSION_COOKIE_AGE = 100
    again(store).save()
    assert redis_client.pttl(key_of(store)) <= 100_000
    old = again(store)
    store.flush()
    with travel(11), pytest.raises(UpdateError):
        old.save()


def test_absolute_age(begin: Begin, clock: Frozen, settings: Any) -> None:
    """However much it is used, an hour after it began; a log-in begins it anew, a new id does not."""
    settings.REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE = 3600
    store = begin(a=0)
    for each in range(1, 4):
        clock.move(1100)
        store = again(store)
        store["a"] = each
        store.save()
        store.cycle_key()
    clock.move(299)
    assert again(store)["a"] == 3
    other = again(store)
    other["_auth_user_id"] = "1"
    other.save()
    clock.move(3599)
    assert again(other)["a"] == 3
    late = again(other)
    clock.move(1)
    assert dict(again(other).items()) == {}
    late["a"] = 9
    late.save()
    assert not late.exists(late.session_key)


def test_absolute_age_is_the_servers(begin: Begin, redis_client: redis.Redis, settings: Any) -> None:
    """The record itself ends then."""
    settings.REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE = 60
    store = begin(a=1)
    assert 55_000 < redis_client.pttl(key_of(store)) <= 60_000


def test_size(begin: Begin, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What is too large is not saved, whoever has written the rest; what grows past half is told once; less is always more."""
    settings.REDIS_TOOLKIT_SESSION_MAX_BYTES = 1000
    store = begin(a="x" * 400)
    one, two = again(store), again(store)
    one["b"] = "x" * 400
    one.save()
    assert caplog.text.count("more than half") == 1
    two["c"] = "x" * 400
    with pytest.raises(SessionTooLarge, match="1209"):
        two.save()
    assert sorted(again(store).keys()) == ["a", "b"]
    settings.REDIS_TOOLKIT_SESSION_MAX_BYTES = 100
    less = again(store)
    less["a"] = "x"
    less.save()
    assert len(again(store)["a"]) == 1
    with pytest.raises(SessionTooLarge):
        begin(a="x" * 100)


def test_strict_keys(begin: Begin, settings: Any) -> None:
    """Of two who have read the same, the second must read again; what is not strict is not looked at."""
    settings.REDIS_TOOLKIT_SESSION_STRICT = ["cart"]
    store = begin(cart=[1], seen=1)
    one, two, three = again(store), again(store), again(store)
    one["cart"].append(2)
    one.modified = True
    one.save()
    two["seen"] = 2
    two.save()
    three["cart"].append(3)
    three["seen"] = 3
    with pytest.raises(SessionConflict, match="'cart'"):
        three.save()
    assert dict(again(store).items()) == {"cart": [1, 2], "seen": 2}
    one["cart"].append(4)
    one.save()
    gone = again(store)
    del gone["cart"]
    gone.save()
    with pytest.raises(SessionConflict):
        one["cart"].append(5)
        one.save()


def test_odd_keys(begin: Begin, settings: Any) -> None:
    """Keys that are no text, or look like the record's own, come back as the serializer has them."""
    store = SessionStore()
    odd: dict[Any, str] = {1: "a", "\0u": "b", "ü": "c", "": "d", 1.5: "e", "\0k": "f"}
    for key, value in odd.items():
        store[key] = value
    store.save()
    assert dict(again(store).items()) == {"1": "a", "\0u": "b", "ü": "c", "": "d", "1.5": "e", "\0k": "f"}


def test_what_is_set_by_one_is_saved_by_the_other(begin: Begin) -> None:
    """Loaded by a coroutine and saved in a thread (Django's middleware does), and the other way round."""
    store = begin(a=1)

    async def load() -> SessionStore:
        other = SessionStore(store.session_key)
        await other.aset("b", 2)
        return other

    asyncio.run(load()).save()
    other = again(store)
    other["c"] = 3
    async_to_sync(other.asave)()
    assert dict(again(store).items()) == {"a": 1, "b": 2, "c": 3}


def test_coroutines_ask_redis_themselves(begin: Begin) -> None:
    """Load, save, create, new id, end: no thread's link is used."""
    store = begin(a=1)
    before = link().total_round_trips

    async def act() -> list[Any]:
        other = SessionStore(store.session_key)
        await other.aset("b", 2)
        await other.asave()
        await other.acycle_key()
        found = [await SessionStore(other.session_key).aget("b"), await other.aexists(other.session_key)]
        await other.aflush()
        await other.aset("c", 3)
        await other.asave()
        return [*found, await other.aexists(store.session_key), await other.aexists(other.session_key)]

    assert asyncio.run(act()) == [2, True, False, True]
    assert link().total_round_trips == before


def test_an_unknown_id_creates_nothing(redis_client: redis.Redis, settings: Any) -> None:
    """Neither looked at nor saved with every request; by no spelling."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    for unknown in ("a" * 32, "{x}:y" * 5, "ü" * 200, "x" * 5000, "\ud800" * 10):
        store = SessionStore(unknown)
        assert store.is_empty()
        assert (store.session_key, store.accessed) == (None, False)
        assert not SessionStore().exists(unknown)
    assert redis_client.keys("*") == []


def test_dates(begin: Begin, redis_client: redis.Redis) -> None:
    """A session that ends at a certain time is not made longer, nor written again and again."""
    store = begin(a=1)
    store.set_expiry(timedelta(seconds=500))
    store.save()
    assert 490_000 < redis_client.pttl(key_of(store)) <= 500_000
