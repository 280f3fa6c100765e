"""What the tests of sessions share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from redis_toolkit.core.clock import Frozen, freeze
from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import load
from redis_toolkit.sessions import SessionStore, current
from redis_toolkit.signals import session_ended


@pytest.fixture(autouse=True)
def engine(settings: Any) -> Iterator[None]:
    """The project's sessions are ours, and no request is being served."""
    settings.SESSION_ENGINE = "redis_toolkit.sessions"
    current.forget()
    yield
    current.forget()


@pytest.fixture
def trips(redis_client: Any) -> Callable[[Callable[[], Any]], int]:
    """How many round trips something takes, on a server that has the scripts."""

    def count(deed: Callable[[], Any]) -> int:
        load(link())
        before = link().total_round_trips
        deed()
        return link().total_round_trips - before

    return count


@pytest.fixture
def ended() -> Iterator[list[tuple[Any, ...]]]:
    """What is said of sessions that have ended: user, handle, reason."""
    told: list[tuple[Any, ...]] = []

    def listen(*, user: Any, handle: str, reason: str, **_: Any) -> None:
        told.append((user, handle, reason))

    session_ended.connect(listen)
    yield told
    session_ended.disconnect(listen)


@pytest.fixture
def clock() -> Iterator[Frozen]:
    """Time stands still, until it is moved."""
    with freeze() as frozen:
        yield frozen


@pytest.fixture
def begin() -> Callable[..., SessionStore]:
    """Begin a session that holds what is given, and save it."""

    def start(**given: Any) -> SessionStore:
        store = SessionStore()
        store.update(given)
        store.save()
        return store

    return start
