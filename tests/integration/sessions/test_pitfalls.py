"""Defects that other session engines had, by the numbers of our research (17 to 27; the others are of codes alone)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore as RowStore
from django.core.cache import cache
from django.test import AsyncClient, Client

from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.sessions import SessionStore, names, passwords, revoke, sessions_for
from redis_toolkit.sessions import moving as engine_of_moving
from redis_toolkit.sessions.sealing import seal
from redis_toolkit.testing import ValkeyServer
from tests.servers import new_valkey

Begin = Callable[..., Any]
OURS = "redis_toolkit.sessions.middleware.SessionMiddleware"
DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"

both = pytest.mark.parametrize("middleware", [OURS, DJANGOS])


@pytest.fixture(autouse=True)
def project(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.integration.sessions.views"
    settings.MIDDLEWARE = [OURS, AUTH]


@pytest.fixture
def durable(settings: Any) -> Iterator[redis.Redis]:
    """A server of the sessions' own, beside that of the cache."""
    with new_valkey() as server, redis.Redis.from_url(server.url) as client:
        settings.CACHES = {**settings.CACHES, "doors": {**settings.CACHES["default"], "LOCATION": server.url}}
        settings.REDIS_TOOLKIT_DURABLE_ALIAS = "doors"
        yield client


def again(store: Any) -> Any:
    other = SessionStore(store.session_key)
    other._get_session()
    return other


def key_of(store: Any) -> str:
    return names.record_key(store.session_key, names.digest(store.session_key))


def entries(client: Any, user: Any) -> list[bytes]:
    return client.zrange(names.index_key(names.user_digest(str(user))), 0, -1)


@both
def test_pitfall_17_unknown_ids_do_not_fill_the_store(
    middleware: str, settings: Any, redis_client: redis.Redis
) -> None:
    """A hundred cookies with ids that nobody gave out, where every request saves its session: no key is left of them."""
    settings.MIDDLEWARE = [middleware, AUTH]
    settings.SESSION_SAVE_EVERY_REQUEST = True
    for at in range(100):
        client = Client()
        client.cookies["sessionid"] = f"{at:032d}"
        assert client.get("/plain/").status_code == 200
    assert redis_client.dbsize() == 0


@both
def test_pitfall_18_an_error_is_not_no_session(middleware: str, valkey: ValkeyServer, settings: Any) -> None:
    """Load, save, exists, new id, end: each raises; and no cookie is deleted, whichever middleware it is."""
    settings.MIDDLEWARE = [middleware, AUTH]
    client = Client(raise_request_exception=False)
    client.get("/write/")
    store = SessionStore(client.cookies["sessionid"].value)
    store["b"] = 1
    valkey.kill()
    other = SessionStore(store.session_key)
    for deed in (
        other.load,
        store.save,
        store.cycle_key,
        store.flush,
        store.delete,
        lambda: store.exists(store.session_key),
        lambda: asyncio.run(other.aload()),
        lambda: asyncio.run(other.aexists(store.session_key)),
        lambda: asyncio.run(other.adelete()),
    ):
        with pytest.raises(StoreUnavailable):
            deed()
    assert other.session_key == store.session_key
    response = client.get("/read/")
    assert (response.status_code, "sessionid" in response.cookies) == (503 if middleware == OURS else 500, False)


def test_pitfall_19_what_was_logged_out_does_not_return(begin: Begin, redis_client: redis.Redis) -> None:
    """By none of the ways in which a request under way writes, and not in coroutines either."""

    async def save(late: Any) -> None:
        await late.aset("b", 1)
        await late.asave()

    async def name_anew(late: Any) -> None:
        await late.acycle_key()
        await late.asave()

    def replace(late: Any) -> None:
        late.clear()
        late["c"] = 1
        late.save()

    def rename(late: Any) -> None:
        late.cycle_key()
        late.save()

    for deed in (
        lambda late: (late.update({"b": 1}), late.save()),
        replace,
        rename,
        lambda late: asyncio.run(save(late)),
        lambda late: asyncio.run(name_anew(late)),
    ):
        store = begin(_auth_user_id="1", a=1)
        late = again(store)
        store.flush()
        with pytest.raises(UpdateError):
            deed(late)
        assert redis_client.keys("*") == []
        assert sessions_for(1) == []


def test_pitfall_20_the_list_is_written_with_the_session(begin: Begin, redis_client: redis.Redis) -> None:
    """At each moment it has those that are there: begun, saved, named anew, another's, ended, and ended from outside."""
    store = begin(_auth_user_id="1")
    for deed in (store.save, store.cycle_key, store.save):
        deed()
        [entry] = entries(redis_client, 1)
        assert names.told_of(entry)[2] == key_of(store)
    redis_client.unlink(key_of(store))
    assert sessions_for(1) == []
    assert entries(redis_client, 1) == []
    lost = begin(_auth_user_id="1", a=1)
    redis_client.unlink(names.index_key(names.user_digest("1")))
    again(lost).cycle_key()
    assert len(sessions_for(1)) == 1


@pytest.mark.django_db
def test_pitfall_21_lists_have_handles_and_no_ids(settings: Any, redis_client: redis.Redis) -> None:
    """What is told of a session opens nothing and finds no record: neither by itself nor as a cookie."""
    user = User.objects.create_user("ada", password="pw")
    client = Client()
    client.get("/enter/")
    session_id = client.cookies["sessionid"].value
    [device] = sessions_for(user)
    told = repr(device)
    assert session_id not in told
    assert names.digest(session_id) not in told
    thief = Client()
    thief.cookies["sessionid"] = device.handle
    assert thief.get("/who/").content == b"AnonymousUser"
    assert redis_client.keys(f"*{device.handle}*") == []
    assert revoke("another", device.handle) is False


@both
@pytest.mark.parametrize("every", [False, True])
def test_pitfall_22_answers_vary_with_the_cookie(every: bool, middleware: str, settings: Any) -> None:
    """Wherever the session was read, written, saved without being looked at, or missing (CVE-2026-35192)."""
    settings.MIDDLEWARE = [middleware, AUTH]
    settings.SESSION_SAVE_EVERY_REQUEST = every
    client = Client()
    client.get("/write/")
    for page in ("read", "write", "who"):
        assert client.get(f"/{page}/")["Vary"] == "Cookie"
    assert client.get("/plain/").get("Vary") == ("Cookie" if every else None)
    client.cookies["sessionid"] = "a" * 32
    assert client.get("/read/")["Vary"] == "Cookie"


def test_pitfall_22_in_async_projects(settings: Any) -> None:
    """The same."""
    settings.SESSION_SAVE_EVERY_REQUEST = True

    async def act() -> list[str | None]:
        client = AsyncClient()
        return [(await client.get(f"/{page}/")).get("Vary") for page in ("awrite", "aread", "plain")]

    assert asyncio.run(act()) == ["Cookie"] * 3


def test_pitfall_22_answers_of_an_outage_are_not_stored(valkey: ValkeyServer) -> None:
    """By nobody: the next has another cookie, or Redis is back."""
    valkey.kill()
    client = Client(raise_request_exception=False)
    client.cookies["sessionid"] = "a" * 32
    response = client.get("/read/")
    assert (response["Vary"], response["Cache-Control"]) == ("Cookie", "no-store")


@pytest.mark.parametrize("kind", ["signed", "encrypted"])
def test_pitfall_23_parts_are_not_run_together(kind: str, settings: Any) -> None:
    """A value does not open where record, field and value are the same letters, parted elsewhere."""
    settings.REDIS_TOOLKIT_SESSION_SEAL = kind
    way = seal()
    stored = way.close("ab", b"cd", b"ef")
    assert way.open("ab", b"cd", stored) == (b"ef", True)
    for record, field in (("abc", b"d"), ("a", b"bcd"), ("", b"abcd"), ("abcd", b""), ("ab", b"cde")):
        with pytest.raises(Exception, match="not sealed"):
            way.open(record, field, stored)


@pytest.mark.django_db
def test_pitfall_24_emptying_the_cache_logs_nobody_out(durable: redis.Redis, redis_client: redis.Redis) -> None:
    """Sessions and lists are on a server of their own, and nothing of them is on the cache's."""
    user = User.objects.create_user("ada", password="pw")
    client = Client()
    client.get("/enter/")
    assert redis_client.dbsize() == 0
    assert durable.dbsize() == 2
    cache.clear()
    assert client.get("/who/").content == b"ada"
    assert len(sessions_for(user)) == 1


def test_pitfall_25_nothing_is_unpickled(begin: Begin, redis_client: Any, caplog: Any) -> None:
    """Who can write to Redis runs nothing here: a pickle is no JSON, and none is written."""
    store = begin(a=1, deep={"b": [1, None]})
    for value in redis_client.hgetall(key_of(store)).values():
        assert not value.startswith(b"\x80")
    redis_client.hset(key_of(store), "a", b"cbuiltins\nprint\n(S'pwned'\ntR.")
    assert dict(again(store).items()) == {}
    assert "Session data corrupted" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_pitfall_26_who_is_shut_out_is_out(ended: list[Any]) -> None:
    """With his next request, and his sessions end at once; he does not come back by them when he may again."""
    passwords.connect()
    user = User.objects.create_user("ada", password="pw")
    client = Client()
    client.get("/enter/")
    user.is_active = False
    user.save()
    assert [reason for _, _, reason in ended] == ["password"]
    user.is_active = True
    user.save()
    assert client.get("/who/").content == b"AnonymousUser"


def test_pitfall_27_a_save_of_all_undoes_no_revocation(begin: Begin, redis_client: redis.Redis) -> None:
    """1. a request has the whole session  2. it is revoked, by handle  3. whatever of it is written: it stays revoked."""
    store = begin(_auth_user_id="1", a=1)
    late, later = again(store), again(store)
    [device] = sessions_for(1)
    assert revoke(1, device.handle)
    late._replaces = True
    for each in (late, later):
        each["a"] = 2
        with pytest.raises(UpdateError):
            each.save()
    assert redis_client.keys("*") == []


@pytest.mark.django_db
def test_pitfall_27_nor_does_its_row(settings: Any, redis_client: redis.Redis) -> None:
    """With the engine of moving: the row that is there still brings back nothing that was revoked here."""
    settings.SESSION_ENGINE = "redis_toolkit.sessions.moving"
    row = RowStore()
    row["_auth_user_id"] = "1"
    row.save()
    moved = engine_of_moving.SessionStore(row.session_key)
    assert moved["_auth_user_id"] == "1"
    [device] = sessions_for(1)
    assert revoke(1, device.handle)
    row.save()
    assert engine_of_moving.SessionStore(row.session_key).load() == {}


@pytest.mark.django_db
def test_pitfall_27_nor_does_it_begin_its_life_anew(settings: Any, redis_client: redis.Redis) -> None:
    """What has ended by its absolute age is not taken over from its row for another such age."""
    settings.REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE = 3600
    row = RowStore()
    row["a"] = 1
    row.save()
    moved = engine_of_moving.SessionStore(row.session_key)
    assert moved["a"] == 1
    assert redis_client.pttl(key_of(moved)) <= 3_600_000
    redis_client.pexpire(key_of(moved), 0)
    assert engine_of_moving.SessionStore(row.session_key).load() == {}
