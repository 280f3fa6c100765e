"""The list of a user's sessions is true, whoever wrote it; sessions are ended by it; as many as may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.contrib.auth import alogin, alogout, login, logout
from django.contrib.auth.models import User
from django.test import RequestFactory
from rest_framework.request import Request

from redis_toolkit.core.clock import Frozen
from redis_toolkit.exceptions import SessionLimitReached
from redis_toolkit.sessions import (
    SessionStore,
    arevoke,
    arevoke_all,
    asessions_for,
    names,
    revoke,
    revoke_all,
    sessions_for,
)

Begin = Callable[..., Any]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def entries(client: Any, user: Any) -> list[bytes]:
    return client.zrange(names.index_key(names.user_digest(str(user))), 0, -1)


def request_of(session: Any, **meta: Any) -> Any:
    request = RequestFactory().get("/", **meta)
    request.session = session
    session.begun_by(request)
    return request


def test_a_user_sees_his_own(begin: Begin, clock: Frozen) -> None:
    """The last begun first, which is the one in use, and nobody else's; told by handles that open nothing."""
    first = begin(_auth_user_id="1")
    clock.move(60)
    second = begin(_auth_user_id="1")
    begin(_auth_user_id="2")
    begin(cart=[1])
    devices = sessions_for(1, request_of(second))
    assert [device.is_current for device in devices] == [True, False]
    assert (devices[0].created - devices[1].created).total_seconds() == 60
    assert 1_209_000 < (devices[0].expires - devices[0].last_seen).total_seconds() < 1_209_800
    assert {len(device.handle) for device in devices} == {names.HANDLE_SIZE}
    assert not SessionStore().exists(devices[0].handle)
    assert [device.handle for device in asyncio.run(asessions_for(1))] == [device.handle for device in devices]
    first.flush()
    assert [device.handle for device in sessions_for("1")] == [devices[0].handle]
    assert sessions_for(3) == []


def test_handles_stay(begin: Begin) -> None:
    """Another id, another save: the same handle, and one entry."""
    store = begin(_auth_user_id="1")
    [before] = sessions_for(1)
    store.cycle_key()
    store["a"] = 1
    store.save()
    [after] = sessions_for(1, request_of(store))
    assert (after.handle, after.is_current) == (before.handle, True)


def test_revoking(begin: Begin, ended: list[Any]) -> None:
    """One, all but one, all; of this user only. Who was revoked is gone at once, and watchers are told."""
    stores = [begin(_auth_user_id="1") for _ in range(4)]
    stranger = begin(_auth_user_id="2")
    handle = next(d.handle for d in sessions_for(1, request_of(stores[0])) if d.is_current)
    assert revoke(2, handle) is False
    assert revoke(1, handle) is True
    assert revoke(1, handle) is False
    assert not stores[0].exists(stores[0].session_key)
    assert ended == [("1", handle, "revoked")]
    assert revoke_all(1, keep=request_of(stores[1])) == 2
    assert [stores[1].exists(each.session_key) for each in stores] == [False, True, False, False]
    assert revoke_all(1, keep=stores[1]) == 0
    assert revoke_all("1") == 1
    assert sessions_for(1) == []
    assert stranger.exists(stranger.session_key)
    assert len(ended) == 4


def test_kept_by_a_request_of_rest_framework(begin: Begin) -> None:
    """Which is none of Django's, and has one."""
    mine, _ = begin(_auth_user_id="1"), begin(_auth_user_id="1")
    request = Request(request_of(mine))
    assert [device.is_current for device in sessions_for(1, request)].count(True) == 1
    assert revoke_all(1, keep=request) == 1
    assert mine.exists(mine.session_key)


def test_revoking_in_coroutines(begin: Begin, ended: list[Any]) -> None:
    """The same."""
    stores = [begin(_auth_user_id="1") for _ in range(3)]

    async def act() -> list[Any]:
        first = next(each for each in await asessions_for("1", request_of(stores[0])) if not each.is_current)
        return [await arevoke(1, first.handle), await arevoke_all(1, keep=stores[0]), await arevoke_all(1)]

    assert asyncio.run(act()) == [True, 1, 1]
    assert {reason for _, _, reason in ended} == {"revoked"}


@pytest.mark.django_db
def test_logging_in_and_out(redis_client: redis.Redis, ended: list[Any]) -> None:
    """By Django's own functions, both ways: one entry while it lasts."""
    user = User.objects.create_user("ada", password="pw")
    user.backend = "django.contrib.auth.backends.ModelBackend"
    request = request_of(SessionStore())
    login(request, user)
    request.session.save()
    assert len(entries(redis_client, user.pk)) == len(sessions_for(user)) == 1
    logout(request)
    assert entries(redis_client, user.pk) == []
    assert [(name, reason) for name, _, reason in ended] == [(str(user.pk), "logout")]


@pytest.mark.django_db(transaction=True)
def test_logging_in_and_out_in_coroutines(redis_client: redis.Redis, ended: list[Any]) -> None:
    """The user is known of an asynchronous log-in too (of other engines he is not)."""
    user = User.objects.create_user("ada", password="pw")
    user.backend = "django.contrib.auth.backends.ModelBackend"

    async def act() -> tuple[int, int]:
        request = request_of(SessionStore())
        await alogin(request, user)
        await request.session.asave()
        during = len(await asessions_for(user, request))
        await alogout(request)
        return during, len(await asessions_for(user))

    assert asyncio.run(act()) == (1, 0)
    assert [(name, reason) for name, _, reason in ended] == [(str(user.pk), "logout")]


def test_the_list_is_put_right(begin: Begin, redis_client: redis.Redis) -> None:
    """What is gone without a word is taken off when somebody looks; what is there still comes back."""
    store, gone = begin(_auth_user_id="1"), begin(_auth_user_id="1")
    redis_client.delete(names.record_key(gone.session_key, names.digest(gone.session_key)))
    assert len(entries(redis_client, 1)) == 2
    assert len(sessions_for(1)) == 1
    assert len(entries(redis_client, 1)) == 1
    redis_client.delete(names.index_key(names.user_digest("1")))
    store["a"] = 1
    store.save()
    assert len(sessions_for(1)) == 1


def test_the_list_outlives_what_is_on_it(begin: Begin, redis_client: redis.Redis, settings: Any) -> None:
    """And no longer than that."""
    settings.SESSION_COOKIE_AGE = 1000
    store = begin(_auth_user_id="1")
    short = begin(_auth_user_id="1")
    short.set_expiry(10)
    short.save()
    index = names.index_key(names.user_digest("1"))
    record = names.record_key(store.session_key, names.digest(store.session_key))
    # (One of them is asked a moment later than the other, as one was written.)
    assert redis_client.pttl(record) - 1000 <= redis_client.pttl(index) <= 1_000_000


def test_another_user_in_the_same_session(begin: Begin) -> None:
    """Is on his own list, and the other's no more."""
    store = begin(_auth_user_id="1")
    store["_auth_user_id"] = "2"
    store.save()
    assert (len(sessions_for(1)), len(sessions_for(2))) == (0, 1)
    del store["_auth_user_id"]
    store.save()
    assert sessions_for(2) == []
    assert store.exists(store.session_key)


def test_who_was_logged_in_meanwhile(begin: Begin, redis_client: redis.Redis) -> None:
    """One logs in, under the same id, and another that knows nothing of it saves: he is on the list for as long."""
    store = begin(a=1)
    late = SessionStore(store.session_key)
    late.set_expiry(100_000_000)
    store["_auth_user_id"] = "1"
    store.save()
    late.save()
    assert len(sessions_for(1)) == 1
    record = names.record_key(store.session_key, names.digest(store.session_key))
    assert redis_client.pttl(names.index_key(names.user_digest("1"))) >= redis_client.pttl(record) - 1000


def test_the_oldest_goes(begin: Begin, clock: Frozen, settings: Any, ended: list[Any]) -> None:
    """Of three where two may be: the one that logged in first, however much it is used."""
    settings.REDIS_TOOLKIT_SESSION_LIMIT = 2
    stores = []
    for _ in range(3):
        stores.append(begin(_auth_user_id="1"))
        clock.move(1)
        stores[0]["a"] = len(stores)
        if len(stores) < 3:
            stores[0].save()
    assert [stores[0].exists(each.session_key) for each in stores] == [False, True, True]
    assert [(user, reason) for user, _, reason in ended] == [("1", "evicted")]
    settings.REDIS_TOOLKIT_SESSION_LIMIT = 1
    begin(_auth_user_id="1")
    assert len(sessions_for(1)) == 1


def test_no_more_than_may_be(begin: Begin, redis_client: redis.Redis, settings: Any) -> None:
    """The third is refused and is nobody's; those there are go on; one that is gone makes place, though on the list."""
    settings.REDIS_TOOLKIT_SESSION_LIMIT = 2
    settings.REDIS_TOOLKIT_SESSION_LIMIT_POLICY = "refuse"
    first, _ = begin(_auth_user_id="1"), begin(_auth_user_id="1")
    third = SessionStore()
    third["_auth_user_id"] = "1"
    with pytest.raises(SessionLimitReached):
        third.save()
    assert third.session_key is None
    first["a"] = 1
    first.save()
    first.cycle_key()
    assert len(sessions_for(1)) == 2
    redis_client.delete(names.record_key(first.session_key, names.digest(first.session_key)))
    begin(_auth_user_id="1")
    with pytest.raises(SessionLimitReached):
        begin(_auth_user_id="1")
    assert len(sessions_for(1)) == 2


@pytest.mark.parametrize(
    ("address", "network"), [("203.0.113.77", "203.0.113.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48")]
)
def test_devices(address: str, network: str, settings: Any, redis_client: redis.Redis) -> None:
    """Only if asked for, only of who logs in, and only so much."""

    def start() -> Any:
        store = SessionStore()
        request = request_of(store, HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR=address)
        request.session["_auth_user_id"] = "1"
        store.save()
        [device] = sessions_for(1)
        store.cycle_key()
        assert sessions_for(1)[0].browser == device.browser
        revoke_all(1)
        return device

    assert start().browser == ""
    settings.REDIS_TOOLKIT_SESSION_DEVICES = True
    for seal in (None, "signed", "encrypted"):
        settings.REDIS_TOOLKIT_SESSION_SEAL = seal
        device = start()
        assert (device.browser, device.network) == ("Firefox on Linux", network)


def test_the_list_does_not_grow(begin: Begin, redis_client: redis.Redis, clock: Frozen) -> None:
    """Who logs in and out leaves nothing; what runs out goes when the next begins."""
    for _ in range(20):
        begin(_auth_user_id="1").flush()
    assert redis_client.dbsize() == 0
    begin(_auth_user_id="1")
    for _ in range(20):
        begin(_auth_user_id="1", _session_expiry=10)
    assert len(entries(redis_client, 1)) == 21
    clock.move(11)
    begin(_auth_user_id="1")
    assert len(entries(redis_client, 1)) == 2


def test_round_trips_do_not_grow(begin: Begin, trips: Callable[[Callable[[], Any]], int]) -> None:
    """A hundred are listed in two, and ended in two."""
    for _ in range(100):
        begin(_auth_user_id="1")
    assert trips(lambda: sessions_for(1)) == 2
    assert trips(lambda: revoke_all(1)) == 2
    assert sessions_for(1) == []
