"""Fifty at once: the limit of tokens is kept exactly, one replacement wins, and who is revoked stays out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import TokenLimitReached
from redis_toolkit.tokens import authenticate, make_token, revoke, revoke_all, rotate, tokens_for

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

CROWD, LIMIT = 50, 10


class Everything:
    """A router: all of it to PostgreSQL."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "postgres"

    db_for_write = db_for_read


@pytest.fixture(params=["redis", "rows", "rows on postgres"], autouse=True)
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    """Where the tokens are."""
    name: str = request.param
    settings.REDIS_TOOLKIT_TOKEN_STORE = "redis" if name == "redis" else "db+redis"
    settings.REDIS_TOOLKIT_READ_TIMEOUT = 30
    if name == "rows on postgres":
        settings.DATABASE_ROUTERS = [Everything()]
    return name


@pytest.fixture
def ada(store: str) -> User:
    """A user."""
    return User.objects.create_user("ada")


def together(deed: Callable[[int], Any], crowd: int = CROWD) -> list[Any]:
    """What ``crowd`` threads get, who begin at once; an error is what one gets, too."""
    gate, found = threading.Barrier(crowd), []

    def come(number: int) -> None:
        try:
            gate.wait(30)
            found.append(deed(number))
        except Exception as error:  # noqa: BLE001 - the test looks at it
            found.append(error)
        finally:
            connections.close_all()
            link().close()

    threads = [threading.Thread(target=come, args=(number,)) for number in range(crowd)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_the_limit_is_exact(ada: User, settings: Any) -> None:
    """Pitfall 2: of fifty who make a token at once ten get one, and forty are told that there is no place."""
    settings.REDIS_TOOLKIT_TOKEN_LIMIT = LIMIT
    found = together(lambda _: make_token(ada))
    refused = [each for each in found if isinstance(each, TokenLimitReached)]
    made = [each for each in found if not isinstance(each, Exception)]
    assert (len(made), len(refused)) == (LIMIT, CROWD - LIMIT)
    assert {token.handle for token in tokens_for(ada)} == {each.token.handle for each in made}
    assert all(authenticate(each.text) for each in made)


def test_the_oldest_go_exactly(ada: User, settings: Any) -> None:
    """Where the oldest go all fifty get one, and ten of them are good."""
    settings.REDIS_TOOLKIT_TOKEN_LIMIT = LIMIT
    settings.REDIS_TOOLKIT_TOKEN_LIMIT_POLICY = "evict"
    made = together(lambda _: make_token(ada))
    assert not [each for each in made if isinstance(each, Exception)]
    good = {each.token.handle for each in made if authenticate(each.text)}
    assert len(good) == LIMIT
    assert good == {token.handle for token in tokens_for(ada)}


def test_one_replacement(ada: User) -> None:
    """Pitfall 3: of fifty who replace one token at once one does."""
    old = make_token(ada)
    found = together(lambda _: rotate(ada, old.token.handle, overlap=60))
    assert not [each for each in found if isinstance(each, Exception)]
    [new] = [each for each in found if each is not None]
    assert {token.handle for token in tokens_for(ada)} == {old.token.handle, new.token.handle}


@pytest.mark.parametrize("is_remembered", [False, True])
def test_pitfall_19_revoked_among_uses(ada: User, is_remembered: bool) -> None:
    """Pitfall 19: many use a token, again and again, while it is revoked: who comes after that does not get in."""
    for _ in range(10):
        made = make_token(ada)
        if is_remembered:
            assert authenticate(made.text)
        is_over = threading.Event()

        def deed(number: int, made: Any = made, is_over: threading.Event = is_over) -> int:
            if number == 0:
                assert revoke(ada, made.token.handle)
                is_over.set()
                return 0
            late = 0
            for _ in range(10):
                # (Looked at before it is asked: who asks before the end may be answered after it.)
                was_over = is_over.is_set()
                late += authenticate(made.text) is not None and was_over
            return late

        found = together(deed, 10)
        assert found == [0] * 10
        assert authenticate(made.text) is None


def test_pitfall_20_none_is_forgotten(ada: User) -> None:
    """Pitfall 20: all are revoked while others are made: what is good after that is listed, and ends the next time."""

    def deed(number: int) -> Any:
        return revoke_all(ada) if number % 10 == 0 else make_token(ada)

    found = together(deed)
    assert not [each for each in found if isinstance(each, Exception)]
    made = [each for each in found if not isinstance(each, int)]
    assert len(made) == CROWD - CROWD // 10
    good = {each.token.handle for each in made if authenticate(each.text)}
    assert good == {token.handle for token in tokens_for(ada)}
    assert revoke_all(ada) == len(good)
    assert [authenticate(each.text) for each in made] == [None] * len(made)
