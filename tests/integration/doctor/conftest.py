"""What the tests of the doctor share: servers that are configured as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Any
from weakref import WeakSet

import pytest
import redis

from redis_toolkit.doctor import reach
from redis_toolkit.otp import codes
from redis_toolkit.testing import ValkeyServer
from tests import servers

#: What a cache's server should be like.
SOUND = {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}
#: The same of what must last.
LASTING = {"appendonly": True, "maxmemory-policy": "noeviction"}

Start = Callable[..., ValkeyServer]


@pytest.fixture(autouse=True)
def as_in_a_new_project(monkeypatch: pytest.MonkeyPatch, usual_time_outs: None) -> None:
    """No code is declared but those that a test declares, and Redis is given the usual time."""
    monkeypatch.setattr(codes, "_declared", WeakSet())


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """How fast a busy machine answers is nobody's fault here."""
    monkeypatch.setattr(reach, "_SLOW", inf)


@pytest.fixture
def start(settings: Any) -> Iterator[Start]:
    """Start a server with these directives behind an alias of CACHES."""
    running = []

    def begin(config: dict[str, Any], *, alias: str = "default", tcp: bool = False, user: str = "") -> ValkeyServer:
        server = servers.new_valkey(config=config, tcp=tcp)
        running.append(server)
        server.start()
        behind(settings, alias, server.url, user=user)
        return server

    yield begin
    for server in running:
        server.stop()


def behind(settings: Any, alias: str, url: str, *, user: str = "", **more: Any) -> None:
    """Let ``alias`` of CACHES lead to ``url``; ``user``: a name and a password, "name password"."""
    options = dict(zip(("username", "password"), user.split(" "), strict=True)) if user else {}
    cache = {
        **settings.CACHES["default"],
        "LOCATION": url,
        "OPTIONS": {"CONNECTION_POOL_KWARGS": options},
        "KEY_PREFIX": "",
        **more,
    }
    settings.CACHES = {**settings.CACHES, alias: cache}


@pytest.fixture
def client_of() -> Iterator[Callable[..., redis.Redis]]:
    """A raw client of a server."""
    opened = []

    def connect(server: ValkeyServer, **options: Any) -> redis.Redis:
        client = redis.Redis.from_url(server.url, **options)
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.close()
