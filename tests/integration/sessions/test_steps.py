"""What happens between two commands of one deed: each order that another may come in is played by hand."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
import redis

from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import run
from redis_toolkit.exceptions import SessionLimitReached
from redis_toolkit.sessions import SessionStore, names, revoke_all, sessions_for
from redis_toolkit.sessions.index import revoking

Begin = Callable[..., Any]
Steps = Generator[list[bytes], list[Any], Any]


def loaded(store: Any) -> Any:
    other = SessionStore(store.session_key)
    other._get_session()
    return other


def slowly(steps: Steps, meanwhile: dict[int, Callable[[], Any]]) -> Any:
    """Do the steps, each command by itself, and before that of a number (the first is 0) what is given."""
    answers: list[Any] | None = None
    at = 0
    try:
        while True:
            calls = next(steps) if answers is None else steps.send(answers)
            answers = []
            for call in calls:
                meanwhile.pop(at, lambda: None)()
                answers += run(link(), [call])
                at += 1
    except StopIteration as end:
        assert meanwhile == {}
        return end.value


def beginning(user: str) -> tuple[Any, Steps]:
    """A session that is about to begin, and the steps."""
    store = SessionStore()
    store["_auth_user_id"] = user
    store._begin()
    return store, store._saving(creates=True)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_as_many_as_may_be_whoever_comes_between(at: int, begin: Begin, settings: Any) -> None:
    """1. A is noted  2. B begins, one too many, and ends A's, which is not there yet  3. A's begins: one of them stays."""
    settings.REDIS_TOOLKIT_SESSION_LIMIT = 1
    others: list[Any] = []
    store, steps = beginning("1")
    slowly(steps, {at: lambda: others.append(begin(_auth_user_id="1"))})
    assert sum(each.exists(each.session_key) for each in (store, *others)) == len(sessions_for(1)) == 1


def test_a_place_is_kept_when_all_are_ended(begin: Begin, settings: Any) -> None:
    """1. A has the last place  2. the user ends all he has  3. B comes  4. A's session begins: B was one too many."""
    settings.REDIS_TOOLKIT_SESSION_LIMIT = 1
    settings.REDIS_TOOLKIT_SESSION_LIMIT_POLICY = "refuse"

    def come_between() -> None:
        assert revoke_all(1) == 0
        with pytest.raises(SessionLimitReached):
            begin(_auth_user_id="1")

    store, steps = beginning("1")
    slowly(steps, {1: come_between})
    assert store.exists(store.session_key)
    assert len(sessions_for(1)) == 1


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("age", [1000, 10_000_000])
def test_ending_all_while_one_gets_a_new_id(
    age: int, at: int, begin: Begin, redis_client: redis.Redis, settings: Any
) -> None:
    """The new id is on the list with the old one, in either order; the record is moved while both are ended."""
    store = begin(_auth_user_id="1")
    other = loaded(store)
    settings.SESSION_COOKIE_AGE = age
    cycling = other._cycling()
    noting, moving, *rest = next(cycling)
    answers = run(link(), [noting])
    slowly(revoking("1", []), {at: lambda: answers.extend(run(link(), [moving]))})
    answers += run(link(), rest)
    with pytest.raises(StopIteration):
        # (It hears that there is nothing of that name any more only when that was before.)
        while True:
            answers = run(link(), cycling.send(answers))
    assert not other.exists(other.session_key)
    assert [key for key in redis_client.keys("*") if b":d:" in key] == []
    assert sessions_for(1) == []


def test_logging_out_of_what_has_a_new_id_meanwhile(begin: Begin, redis_client: redis.Redis, ended: list[Any]) -> None:
    """1. A loads it  2. B gives it another id  3. A logs out: it is the same session, and nobody goes on by B's cookie."""
    store, other_device = begin(_auth_user_id="1"), begin(_auth_user_id="1")
    one, two = loaded(store), loaded(store)
    two.cycle_key()
    one.is_log_out = True
    one.flush()
    assert not two.exists(two.session_key)
    assert [reason for _, _, reason in ended] == ["logout"]
    assert other_device.exists(other_device.session_key)
    assert redis_client.zcard(names.index_key(names.user_digest("1"))) == 1
