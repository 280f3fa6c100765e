"""What the tests of tokens share: the stores, a user, what the signals say, a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from redis_toolkit.core.clock import Frozen, freeze
from redis_toolkit.core.connections import link
from redis_toolkit.signals import token_made, token_refused, token_revoked

#: Tests that show something of the store say so by this fixture's parameter; all others are shown for each.
STORES = ("redis", "rows", "rows on postgres")


class Everything:
    """A router: all of it to one database."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return self.alias

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return self.alias


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    """Where the tokens are."""
    name: str = request.param
    settings.REDIS_TOOLKIT_TOKEN_STORE = "redis" if name == "redis" else "db+redis"
    if name == "rows on postgres":
        settings.DATABASE_ROUTERS = [Everything("postgres")]
    return name


@pytest.fixture
def ada(store: str, db: None) -> User:
    """A user."""
    return User.objects.create_user("ada", "ada@example.com")


def depth() -> int:
    """How many transactions are open, one within another."""
    every = connections.all(initialized_only=True)
    return sum(connection.in_atomic_block + len(connection.savepoint_ids) for connection in every)


@pytest.fixture(autouse=True)
def commits(db: None) -> Iterator[None]:
    """A new token is taken for committed, as it would be outside of a test's transaction. Not in one of the test's own.

    What was not committed has no copy in Redis.
    """
    before = depth()

    def settle(**_: object) -> None:
        if depth() > before:
            return
        for connection in connections.all(initialized_only=True):
            for _sids, deed, *_rest in connection.run_on_commit:
                deed()
            connection.run_on_commit.clear()

    token_made.connect(settle)
    yield
    token_made.disconnect(settle)


@pytest.fixture
def clock() -> Iterator[Frozen]:
    """Time stands still till it is moved."""
    with freeze() as frozen:
        yield frozen


@pytest.fixture
def said() -> Iterator[list[tuple[Any, ...]]]:
    """What the signals say: their name, and what comes with them."""
    heard: list[tuple[Any, ...]] = []

    def on_made(**words: Any) -> None:
        heard.append(("made", words["user"], words["handle"], words["scopes"]))

    def on_refused(**words: Any) -> None:
        heard.append(("refused", words["reason"]))

    def on_revoked(**words: Any) -> None:
        heard.append(("revoked", words["user"], words["handles"]))

    token_made.connect(on_made)
    token_refused.connect(on_refused)
    token_revoked.connect(on_revoked)
    yield heard
    token_made.disconnect(on_made)
    token_refused.disconnect(on_refused)
    token_revoked.disconnect(on_revoked)


def elsewhere(ask: Callable[[], Any]) -> Any:
    """The answer in another thread, with connections of its own."""

    def closing() -> Any:
        try:
            return ask()
        finally:
            connections.close_all()
            link().close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(closing).result()
