"""Sealed sessions: nobody makes them up, moves them or reads them; secrets may change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from redis_toolkit.sessions import SessionStore, names

Begin = Callable[..., Any]


@pytest.fixture(autouse=True, params=["signed", "encrypted"])
def kind(request: pytest.FixtureRequest, settings: Any) -> str:
    settings.REDIS_TOOLKIT_SESSION_SEAL = request.param
    return request.param


def key_of(store: Any) -> str:
    return names.record_key(store.session_key, names.digest(store.session_key))


def held(store: Any) -> dict[str, Any]:
    return dict(SessionStore(store.session_key).items())


def test_sealed_sessions_work(begin: Begin, kind: str, redis_client: Any) -> None:
    """What is stored is not what is meant, or not that alone; unchanged is unchanged."""
    store = begin(a="secret", b=1)
    stored = redis_client.hgetall(key_of(store))
    assert (b"secret" in stored[b"a"]) == (kind == "signed")
    again = SessionStore(store.session_key)
    again["b"] = 2
    again.save()
    assert redis_client.hget(key_of(store), "a") == stored[b"a"]
    assert held(store) == {"a": "secret", "b": 2}


def test_what_is_made_up_or_moved_opens_nothing(begin: Begin, redis_client: Any, caplog: Any) -> None:
    """A value in the clear, another field's, another session's, or a whole other record."""
    store, other = begin(_auth_user_id="1", a="2"), begin(_auth_user_id="9", a="3")
    good = redis_client.hgetall(key_of(store))
    for forged in (
        {b"_auth_user_id": b'"9"'},
        {b"_auth_user_id": good[b"a"]},
        {b"_auth_user_id": redis_client.hget(key_of(other), "_auth_user_id")},
        redis_client.hgetall(key_of(other)),
    ):
        redis_client.hset(key_of(store), mapping=forged)
        assert held(store) == {}
        redis_client.hset(key_of(store), mapping=good)
    assert caplog.text.count("Session data corrupted") == 4
    assert held(store) == {"_auth_user_id": "1", "a": "2"}


def test_what_cannot_be_read_is_replaced(begin: Begin, redis_client: Any) -> None:
    """By what is written next, and the id is kept."""
    store = begin(a=1)
    redis_client.hset(key_of(store), "b", "made up")
    again = SessionStore(store.session_key)
    again["c"] = 3
    again.save()
    assert again.session_key == store.session_key
    assert held(store) == {"c": 3}


def test_secrets_change(begin: Begin, settings: Any, redis_client: Any) -> None:
    """What the old one has sealed opens, and is sealed with the new one when it is saved; then the old one can go."""
    settings.REDIS_TOOLKIT_SESSION_KEYS = ["old"]
    store = begin(a=1, b=2)
    settings.REDIS_TOOLKIT_SESSION_KEYS = ["new", "old"]
    one, two = SessionStore(store.session_key), SessionStore(store.session_key)
    one["c"] = 3
    two["a"] = 11
    two.save()
    one.save()
    settings.REDIS_TOOLKIT_SESSION_KEYS = ["new"]
    assert held(store) == {"a": 11, "b": 2, "c": 3}
    settings.REDIS_TOOLKIT_SESSION_KEYS = ["third"]
    assert held(store) == {}


def test_secrets_are_djangos_if_none_are_given(begin: Begin, settings: Any) -> None:
    """``SECRET_KEY``, and those it replaces."""
    store = begin(a=1)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert held(store) == {"a": 1}
    settings.SECRET_KEY_FALLBACKS = []
    assert held(store) == {}


def test_a_new_id(begin: Begin) -> None:
    """What others have written meanwhile, and what is changed here and not saved yet, is all there."""
    store = begin(a=1, b=2, d=4)
    one, two = SessionStore(store.session_key), SessionStore(store.session_key)
    one["a"] = 11
    del one["d"]
    two["b"] = 22
    two["c"] = 3
    two.save()
    one.cycle_key()
    one.save()
    assert held(one) == {"a": 11, "b": 22, "c": 3}
    assert not one.exists(store.session_key)
    two.cycle_key()
    assert two.session_key not in (store.session_key, one.session_key)
