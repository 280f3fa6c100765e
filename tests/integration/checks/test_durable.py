"""What the system checks say of the server of sessions, codes and tokens, and of the alias that names it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name

from redis_toolkit.checks import check_server, check_settings
from redis_toolkit.core.aliases import place_of
from redis_toolkit.core.connections import reset
from redis_toolkit.otp import OneTimeCode
from tests import servers

LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
DURABLE = ("redis_toolkit.W090", "redis_toolkit.W095")
Start = Callable[..., list[CheckMessage]]


def told() -> list[CheckMessage]:
    return [each for each in check_server(None) if each.id in DURABLE]


@pytest.fixture(autouse=True)
def only_sessions(settings: Any) -> None:
    """Sessions are ours."""
    settings.SESSION_ENGINE = "redis_toolkit.sessions"


@pytest.fixture
def durable(settings: Any) -> Iterator[Start]:
    """Start a server with these directives for what must last; the messages of the checks about it."""
    running = []

    def start(**config: Any) -> list[CheckMessage]:
        server = servers.new_valkey(config={name.replace("_", "-"): value for name, value in config.items()})
        running.append(server)
        server.start()
        settings.CACHES = {**settings.CACHES, "durable": {**settings.CACHES["default"], "LOCATION": server.url}}
        settings.REDIS_TOOLKIT_DURABLE_ALIAS = "durable"
        reset()
        return told()

    yield start
    for server in running:
        server.stop()


@pytest.mark.parametrize(
    ("cache", "reason"),
    [
        (None, "which is not in CACHES"),
        ({"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}, "which is not a django-redis cache"),
        ({"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://h:port/0"}, "is no address"),
    ],
)
def test_e090(settings, cache, reason):
    """An alias of what must last that is missing, of another backend, or without an address."""
    settings.CACHES = settings.CACHES | ({} if cache is None else {"durable": cache})
    settings.REDIS_TOOLKIT_DURABLE_ALIAS = "durable"
    [found] = [each for each in check_settings(None) if each.id.endswith("E090")]
    assert (found.id, type(found)) == ("redis_toolkit.E090", Error)
    assert reason in found.msg
    assert found.msg.startswith("REDIS_TOOLKIT_DURABLE_ALIAS is 'durable', which ")


def test_a_server_of_its_own(durable):
    """One that evicts nothing and keeps a log is what is wanted."""
    assert durable(appendonly=True) == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "volatile-random"])
def test_w090_of_eviction(durable: Start, policy):
    """Any policy but noeviction may forget a session, for each of them has a time to live."""
    [found] = durable(appendonly=True, maxmemory_policy=policy)
    assert (found.id, type(found)) == ("redis_toolkit.W090", Warning)
    assert f"('durable' in CACHES) may evict what it holds (maxmemory-policy {policy})." in found.msg
    assert "logged out" in found.msg


def test_w090_of_clearing(durable, settings):
    """The cache's own database, by no alias, by its alias, and by another cache's address; not another database."""
    durable(appendonly=True)
    url = settings.CACHES["durable"]["LOCATION"]
    settings.REDIS_TOOLKIT_ALIAS = "durable"
    for alias in (None, "durable"):
        settings.REDIS_TOOLKIT_DURABLE_ALIAS = alias
        [found] = told()
        assert found.id == "redis_toolkit.W090"
        assert "is emptied by clear() of 'durable' in CACHES." in found.msg
    settings.REDIS_TOOLKIT_ALIAS, settings.REDIS_TOOLKIT_DURABLE_ALIAS = "default", "durable"
    same = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}
    elsewhere = {**same, "LOCATION": url.replace("db=0", "db=1")}
    plain = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": [url, "redis://h/0"]}
    broken = {**plain, "LOCATION": "nowhere"}
    settings.CACHES = {**settings.CACHES, "elsewhere": elsewhere, "broken": broken, "local": LOCAL}
    assert told() == []
    settings.CACHES = {**settings.CACHES, "pages": same, "plain": plain}
    [found] = told()
    assert "is emptied by clear() of 'pages' and 'plain' in CACHES." in found.msg


def test_w090_of_one_host_by_two_names(durable, settings):
    """``localhost`` and 127.0.0.1 are one server, with the port that Redis has by default."""
    durable(appendonly=True)
    settings.CACHES = {
        **settings.CACHES,
        "a": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://localhost/2"},
        "b": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:6379/2"},
    }
    assert place_of("a") == place_of("b") == ("127.0.0.1", 6379, 2)


def test_w095(durable):
    """Without a log what was ended since the last snapshot is back after a restart."""
    [found] = durable()
    assert (found.id, type(found)) == ("redis_toolkit.W095", Warning)
    assert found.hint.startswith("Set appendonly yes in its configuration; and appendfsync always where")


def test_w006_of_another_server(durable, settings):
    """One for what must last that does not answer is told of, beside that of the cache, which does."""
    assert durable(appendonly=True) == []
    nowhere = {**settings.CACHES["durable"], "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {**settings.CACHES, "durable": nowhere}
    [found] = [each for each in check_server(None) if each.id.endswith("W006")]
    assert "'durable'" in found.msg


def test_a_server_that_does_not_answer_is_passed_over(settings, valkey):
    """What cannot be asked is not told."""
    valkey.kill()
    reset()
    assert told() == []


def test_nobody_minds_where_nothing_is_kept(durable, settings):
    """Another session engine, no codes, and tokens that have rows."""
    assert durable(maxmemory_policy="allkeys-lru") != []
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert told() == []


def test_it_says_what_is_at_stake(durable, settings):
    """Codes that are declared and tokens that are in Redis alone are named beside sessions, or without them."""
    code = OneTimeCode("stake")
    settings.REDIS_TOOLKIT_TOKEN_STORE = "redis"
    evicting, forgetting = durable(maxmemory_policy="allkeys-lru")
    assert evicting.msg == (
        "The server of sessions and codes and tokens ('durable' in CACHES) may evict what it holds (maxmemory-policy"
        " allkeys-lru). Who was logged in is logged out; codes that were sent are refused, and can be guessed at again;"
        " API tokens are refused."
    )
    assert forgetting.id == "redis_toolkit.W095"
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    del code
    gc.collect()
    assert [each.msg.partition(" (")[0] for each in told()] == ["The server of tokens"] * 2
