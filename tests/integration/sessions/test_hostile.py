"""Cookies that nobody made for us, values of all kinds, clocks that are wrong: nothing breaks, nothing is given away."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedStore
from django.contrib.sessions.serializers import JSONSerializer
from django.test import Client
from django.utils.safestring import mark_safe

from redis_toolkit.core.clock import travel
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.sessions import SessionStore, names, sessions_for

Begin = Callable[..., Any]


def again(store: Any) -> Any:
    other = SessionStore(store.session_key)
    other._get_session()
    return other


def key_of(store: Any) -> str:
    return names.record_key(store.session_key, names.digest(store.session_key))


class Exhausted(JSONSerializer):
    """A serializer for which there is no memory left."""

    def loads(self, data: bytes) -> Any:
        raise MemoryError


def signed_cookie() -> str:
    """What is in the browser of a project that had its sessions in cookies."""
    store = SignedStore()
    store["_auth_user_id"] = "1"
    store.save()
    return str(store.session_key)


@pytest.mark.django_db
@pytest.mark.parametrize("engine_name", ["redis_toolkit.sessions", "redis_toolkit.sessions.moving"])
@pytest.mark.parametrize("every", [False, True])
def test_cookies_of_any_shape(every: bool, engine_name: str, settings: Any, redis_client: redis.Redis) -> None:
    """Are nobody's: keys of Redis, what names a session elsewhere, patterns, long, odd, of another engine."""
    settings.ROOT_URLCONF = "tests.integration.sessions.views"
    settings.MIDDLEWARE = [
        "redis_toolkit.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    settings.SESSION_ENGINE = engine_name
    settings.SESSION_SAVE_EVERY_REQUEST = every
    User.objects.create_user("ada", password="pw")
    owner = Client()
    owner.get("/enter/")
    session_id = owner.cookies["sessionid"].value
    [device] = sessions_for(User.objects.get())
    key = names.record_key(session_id, names.digest(session_id))
    index = names.index_key(names.user_digest(str(User.objects.get().pk)))
    shapes = [
        key, key.rpartition(":")[2], index, names.digest(session_id), names.member(device.handle, session_id),
        device.handle, names.place_for(names.member(device.handle, session_id)), session_id.upper(), session_id + "\0",
        session_id + " x", session_id[:-1], session_id[:3] + "*" * 29, "{" + session_id[:3] + "}" * 8, "..%2F" * 8,
        "\0" * 40, "\r\nFLUSHALL\r\n" * 3, "*1\r\n$8\r\nFLUSHALL\r\n", "ü" * 40, "🦄".encode().decode("latin-1") * 40, "a" * 60_000, "a" * 8, "a",
        "' OR 1=1 --" * 3, signed_cookie(),
    ]  # fmt: skip
    before = {each: redis_client.dump(each) for each in redis_client.keys("*")}
    for shape in shapes:
        client = Client()
        client.cookies["sessionid"] = shape
        response = client.get("/who/")
        assert (shape, response.status_code, response.content) == (shape, 200, b"AnonymousUser")
        assert "sessionid" not in response.cookies
    assert {each: redis_client.dump(each) for each in redis_client.keys("*")} == before
    assert owner.get("/who/").content == b"ada"


def test_an_id_that_a_client_came_up_with_is_never_taken(begin: Begin, redis_client: redis.Redis) -> None:
    """Not even where its session is written, saved at once, or named anew: no part of it is in the new one."""
    for deed in (SessionStore.save, SessionStore.create, SessionStore.cycle_key):
        store: Any = SessionStore("zzz" + "a" * 29)
        store["a"] = 1
        deed(store)
        store.save()
        assert store.session_key[3:] != "a" * 29
        assert again(store)["a"] == 1
        assert not store.exists("zzz" + "a" * 29)
    assert redis_client.dbsize() == 3


def test_values_of_all_kinds(begin: Begin) -> None:
    """As JSON has them, and they are what they were when they are saved again; what is nested is seen to change."""
    given = {
        "none": None, "yes": True, "big": 2**200, "small": -(10**40), "float": 1e308, "text": "\0ü🦄\ud800", "empty": "",
        "safe": mark_safe("<b>"), "list": [[], {}, [None]], "deep": {"a": {"b": [{"c": 1}]}}, "keys": {"1": 1, "": 2},
    }  # fmt: skip
    store = begin(**given)
    assert dict(again(store).items()) == given
    other = again(store)
    other["deep"]["a"]["b"][0]["c"] = 2
    other.save()
    assert again(store)["deep"] == {"a": {"b": [{"c": 2}]}}


def test_keys_of_all_kinds(begin: Begin) -> None:
    """What is no text becomes what JSON makes of it, and is deleted by that."""
    store: Any = SessionStore()
    for key in (None, True, 7, 2.5, mark_safe("safe"), "\ud800"):
        store[key] = str(key)
    store.save()
    found = again(store)
    assert {key: found[key] for key in list(found.keys())} == {
        "null": "None", "true": "True", "7": "7", "2.5": "2.5", "safe": "safe", "\ud800": "\ud800",
    }  # fmt: skip
    for key in list(found.keys()):
        del found[key]
    found.save()
    assert dict(again(store).items()) == {}
    assert store.exists(store.session_key)


def test_what_cannot_be_written_changes_nothing(begin: Begin, redis_client: redis.Redis) -> None:
    """Bytes are none of JSON's: neither is half of it saved, nor a session begun."""
    store = begin(a=1)
    other = again(store)
    other["a"] = 2
    other["b"] = b"bytes"
    with pytest.raises(TypeError):
        other.save()
    assert dict(again(store).items()) == {"a": 1}
    fresh = SessionStore()
    fresh["b"] = b"bytes"
    with pytest.raises(TypeError):
        fresh.save()
    assert fresh.session_key is None
    assert redis_client.dbsize() == 1


@pytest.mark.parametrize("age", [10**13, 10**20])
def test_a_life_that_no_clock_can_tell(age: int, begin: Begin, redis_client: redis.Redis) -> None:
    """Is a hundred years: it is not refused, and ends."""
    store = begin(a=1, _session_expiry=age, _auth_user_id="1")
    again(store).save()
    century = 100 * 365 * 24 * 3600 * 1000
    assert century - 60_000 < redis_client.pttl(key_of(store)) <= century
    assert len(sessions_for(1)) == 1


@pytest.mark.parametrize("wrong", [-30 * 24 * 3600, 30 * 24 * 3600])
def test_a_host_whose_clock_is_wrong(wrong: int, begin: Begin, redis_client: redis.Redis, settings: Any) -> None:
    """By a month: sessions of other hosts are neither over nor longer, and its own last as long as any."""
    settings.REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE = 7 * 24 * 3600
    store = begin(a=1, _auth_user_id="1")
    before = redis_client.pttl(key_of(store))
    with travel(wrong):
        other = again(store)
        other["a"] = 2
        other.save()
        mine = begin(a=3, _auth_user_id="1")
        assert len(sessions_for(1)) == 2
    assert again(store)["a"] == 2
    assert again(mine)["a"] == 3
    for each in (store, mine):
        assert before - 60_000 < redis_client.pttl(key_of(each)) < before + 60_000


def test_the_test_cookie(begin: Begin) -> None:
    """Django's way to see whether a browser takes cookies."""
    store = SessionStore()
    store.set_test_cookie()
    store.save()
    other = again(store)
    assert other.test_cookie_worked()
    other.delete_test_cookie()
    other.save()
    assert not again(store).test_cookie_worked()


def test_clearing_what_has_expired(begin: Begin, redis_client: redis.Redis) -> None:
    """Is nothing to do, and takes nothing away."""
    store = begin(a=1)
    SessionStore.clear_expired()
    assert again(store)["a"] == 1


def test_a_seal_that_this_process_cannot_open(
    begin: Begin, settings: Any, monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
) -> None:
    """For want of its package: an error, and not a session in which nothing is, that the next save would write."""
    settings.REDIS_TOOLKIT_SESSION_SEAL = "encrypted"
    store = begin(a=1)
    settings.REDIS_TOOLKIT_SESSION_SEAL = None
    settings.REDIS_TOOLKIT_SESSION_SEAL = "encrypted"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "cryptography.fernet", None)
        with pytest.raises(Misconfigured):
            again(store)
    assert again(store)["a"] == 1


def test_no_memory(begin: Begin, settings: Any) -> None:
    """Is no reason to take a session for one that is broken."""
    store = begin(a=1)
    settings.SESSION_SERIALIZER = f"{__name__}.Exhausted"
    with pytest.raises(MemoryError):
        again(store)


def test_a_server_that_is_full(begin: Begin, redis_client: Any, settings: Any) -> None:
    """It refuses to write (noeviction): sessions are read, a save is a 503 that changes nothing, and one can log out."""
    settings.ROOT_URLCONF = "tests.integration.sessions.views"
    settings.MIDDLEWARE = ["redis_toolkit.sessions.middleware.SessionMiddleware"]
    client = Client(raise_request_exception=False)
    client.get("/write/?a=1")
    before = redis_client.config_get("maxmemory")["maxmemory"]
    redis_client.config_set("maxmemory", 1)
    try:
        response = client.get("/write/?a=2")
        assert (response.status_code, "sessionid" in response.cookies) == (503, False)
        assert client.get("/read/").content == b"1"
        store = SessionStore(client.cookies["sessionid"].value)
        store.flush()
    finally:
        redis_client.config_set("maxmemory", before)
    assert redis_client.keys("*") == []
