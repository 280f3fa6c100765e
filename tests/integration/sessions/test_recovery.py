"""A server that writes down what it holds (``appendonly yes``) is killed in the middle, and comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from redis_toolkit.core.connections import link, reset
from redis_toolkit.sessions import SessionStore, revoke, sessions_for
from redis_toolkit.signals import breaker_changed
from redis_toolkit.testing import ValkeyServer
from tests.servers import new_valkey

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def project(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.integration.sessions.views"
    settings.MIDDLEWARE = [
        "redis_toolkit.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 0.01
    # (A disk may need its time to write a command down. What is killed is known without waiting.)
    settings.REDIS_TOOLKIT_READ_TIMEOUT = 30


@pytest.fixture
def durable(settings: Any) -> Iterator[ValkeyServer]:
    """A server of the sessions' own that writes each command down before it answers."""
    with new_valkey(config={"appendonly": True, "appendfsync": "always"}) as server:
        settings.CACHES = {**settings.CACHES, "doors": {**settings.CACHES["default"], "LOCATION": server.url}}
        settings.REDIS_TOOLKIT_DURABLE_ALIAS = "doors"
        yield server


@pytest.fixture
def trusted() -> Iterator[threading.Event]:
    """Set when a breaker closes."""
    event = threading.Event()

    def listen(state: str, **_: Any) -> None:
        if state == "closed":
            event.set()

    breaker_changed.connect(listen)
    yield event
    breaker_changed.disconnect(listen)


@pytest.fixture
def doubted() -> Iterator[threading.Event]:
    """Set when a breaker opens."""
    event = threading.Event()

    def listen(state: str, **_: Any) -> None:
        if state == "open":
            event.set()

    breaker_changed.connect(listen)
    yield event
    breaker_changed.disconnect(listen)


def browsers(*logged_in: str) -> dict[str, Client]:
    """One for each name; the users are there already."""
    found = {name: Client(raise_request_exception=False) for name in logged_in}
    for name, client in found.items():
        client.force_login(User.objects.get(username=name))
        client.get(f"/write/?a={name}")
    return found


def test_killed_in_the_middle(durable: ValkeyServer, trusted: threading.Event) -> None:
    """Nobody is logged out by it, nobody who logged out comes back; meanwhile 503, and no word about the cookie."""
    for name in ("ada", "bob", "cid", "dan", "eve"):
        User.objects.create_user(name, password="pw")
    clients = browsers("ada", "bob", "cid", "dan", "eve")
    ids = {name: client.cookies["sessionid"].value for name, client in clients.items()}
    clients["dan"].get("/leave/")
    [device] = sessions_for(User.objects.get(username="eve"))
    assert revoke(User.objects.get(username="eve"), device.handle)
    clients["bob"].get("/write/?a=last")
    durable.kill()
    for name in ("ada", "bob", "cid"):
        for page in ("who", "write", "read", "greet", "leave", "enter", "awrite"):
            response = clients[name].get(f"/{page}/")
            assert (name, page, response.status_code) == (name, page, 503)
            assert "sessionid" not in response.cookies
            assert b"AnonymousUser" not in response.content
        assert clients[name].cookies["sessionid"].value == ids[name]
    for client in (clients["dan"], clients["eve"]):
        client.cookies["sessionid"] = ids["dan" if client is clients["dan"] else "eve"]
        assert client.get("/who/").status_code == 503
    trusted.clear()
    durable.start()
    assert trusted.wait(30)
    assert [clients[name].get("/who/").content for name in clients] == [
        b"ada", b"bob", b"cid", b"AnonymousUser", b"AnonymousUser",
    ]  # fmt: skip
    assert [clients[name].get("/read/").content for name in ("ada", "bob", "cid")] == [b"ada", b"last", b"cid"]
    assert [len(sessions_for(user)) for user in User.objects.order_by("username")] == [1, 1, 1, 0, 0]
    assert not any(SessionStore().exists(ids[name]) for name in ("dan", "eve"))


def test_a_crowd_while_it_is_killed_twice(
    durable: ValkeyServer, trusted: threading.Event, doubted: threading.Event
) -> None:
    """Requests under way at any moment of it: each sees who it is or 503, never nobody, and keeps its cookie."""
    names = ("ada", "bob", "cid", "dan")
    for name in names:
        User.objects.create_user(name, password="pw")
    clients = browsers(*names)
    before = {name: client.cookies["sessionid"].value for name, client in clients.items()}
    is_over = threading.Event()
    found: dict[str, set[Any]] = {name: set() for name in names}
    seen = {name: threading.Event() for name in names}

    def come(name: str) -> None:
        try:
            while not is_over.is_set():
                for page in ("who", "greet"):
                    response = clients[name].get(f"/{page}/")
                    told = response.content if response.status_code == 200 else b""
                    found[name].add((response.status_code, told, "sessionid" in response.cookies))
                    if response.status_code == 503:
                        seen[name].set()
        finally:
            connections.close_all()
            link("doors").close()

    with ThreadPoolExecutor(len(names)) as pool:
        crowd = [pool.submit(come, name) for name in names]
        try:
            for _ in range(2):
                for each in seen.values():
                    each.clear()
                doubted.clear()
                durable.kill()
                assert all(each.wait(30) for each in seen.values())
                # (What they see may be the end of the outage before.)
                assert doubted.wait(30)
                trusted.clear()
                durable.start()
                assert trusted.wait(30)
        finally:
            is_over.set()
        for visits in crowd:
            visits.result()
    for name in names:
        mine = name.encode()
        assert found[name] <= {(200, mine, False), (200, b"Hello " + mine, False), (503, b"", False)}
        assert clients[name].cookies["sessionid"].value == before[name]
        assert clients[name].get("/who/").content == mine
    reset()
