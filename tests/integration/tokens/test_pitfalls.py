"""Defects that others had, by the numbers of our research; and outages."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import router, transaction

from redis_toolkit.core.clock import Frozen
from redis_toolkit.core.connections import link, reset
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.models import Token as Row
from redis_toolkit.tokens import (
    authenticate,
    authenticate_user,
    make_token,
    revoke,
    revoke_all,
    rotate,
    rows,
    tokens_for,
    user_of,
)
from redis_toolkit.tokens.texts import mint
from tests.integration.tokens.conftest import elsewhere

pytestmark = pytest.mark.django_db(databases="__all__")

only_redis = pytest.mark.parametrize("store", ["redis"], indirect=True)
only_rows = pytest.mark.parametrize("store", ["rows", "rows on postgres"], indirect=True)


@pytest.fixture
def away(settings: Any) -> Iterator[None]:
    """Redis does not answer from now on."""
    before = settings.CACHES
    settings.CACHES = {**before, "default": {**before["default"], "LOCATION": "unix:///nowhere/at/all"}}
    reset()
    yield
    settings.CACHES = before
    reset()


def test_pitfall_17_unknown_tokens_leave_nothing_behind(ada: User, redis_client: Any) -> None:
    """Pitfall 17: a hundred well-formed tokens that nobody made: no key is left of them."""
    assert [authenticate(mint("rtk_live")) for _ in range(100)] == [None] * 100
    assert list(redis_client.scan_iter("rt:k:*")) == []


@only_redis
def test_pitfall_18_away_is_not_unknown(ada: User, request: pytest.FixtureRequest, said: list[Any]) -> None:
    """Pitfall 18: Redis alone: an outage lets nobody in, and calls no token bad; a typo is a typo all the same."""
    made = make_token(ada)
    request.getfixturevalue("away")
    del said[:]
    for deed in (
        lambda: authenticate(made.text),
        lambda: authenticate_user(made.text),
        lambda: make_token(ada),
        lambda: rotate(ada, made.token.handle),
        lambda: revoke(ada, made.token.handle),
        lambda: revoke_all(ada),
        lambda: tokens_for(ada),
    ):
        with pytest.raises(StoreUnavailable):
            deed()
    assert said == []
    assert authenticate(made.text[:-1]) is None


@only_rows
def test_rows_answer_while_redis_is_away(
    ada: User, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """The row is the truth: known, listed, made, replaced and ended without Redis; the log says what that may mean."""
    made = make_token(ada)
    request.getfixturevalue("away")
    assert authenticate(made.text) is not None
    other = make_token(ada)
    new = rotate(ada, other.token.handle)
    assert new is not None
    assert [authenticate(each.text) is not None for each in (made, other, new)] == [True, False, True]
    with caplog.at_level(logging.ERROR, "redis_toolkit.tokens"):
        assert revoke(ada, made.token.handle)
    assert "may take them for what they were for 60 seconds" in caplog.text
    assert made.text not in caplog.text
    assert authenticate(made.text) is None
    assert [token.handle for token in tokens_for(ada)] == [new.token.handle]


@only_rows
def test_pitfall_19_a_revoked_token_does_not_come_back(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pitfall 19: revoked between the reading of its row and the filling of Redis: the fill is refused."""
    made = make_token(ada)
    fill, filled = rows._fill, []

    def late(*words: Any) -> None:
        if not filled:
            filled.append(1)
            revoke(ada, made.token.handle)
        fill(*words)

    monkeypatch.setattr(rows, "_fill", late)
    # (This one asked before it was revoked.)
    assert authenticate(made.text) is not None
    assert filled == [1]
    assert [authenticate(made.text) for _ in range(3)] == [None] * 3


@only_redis
def test_pitfall_20_what_was_let_go_is_ended_by_who_comes_next(ada: User, redis_client: Any) -> None:
    """Pitfall 20: who lets the oldest go and dies before it is gone: the next list ends it, it is not forgotten."""
    made = [make_token(ada, name=name) for name in "ab"]
    redis_client.zrem(f"rt:k:{{{ada.pk}}}:n", made[0].token.handle)
    assert [token.name for token in tokens_for(ada)] == ["b"]
    assert [authenticate(each.text) is not None for each in made] == [False, True]


@only_redis
def test_pitfall_20_all_means_all(ada: User, redis_client: Any) -> None:
    """Pitfall 20: also those that the sorted set has lost."""
    made = [make_token(ada) for _ in range(3)]
    redis_client.delete(f"rt:k:{{{ada.pk}}}:n")
    revoke_all(ada)
    assert [authenticate(each.text) for each in made] == [None] * 3


def test_pitfall_21_lists_have_handles_and_no_keys(ada: User, redis_client: Any) -> None:
    """Pitfall 21: what a page can show of a token is no key, no digest, and opens nothing."""
    made = make_token(ada)
    authenticate(made.text)
    [token] = tokens_for(ada)
    assert authenticate(token.handle) is None
    digests = {key.decode().rpartition(":")[2] for key in redis_client.scan_iter("rt:k:*") if b"{" not in key}
    assert len(digests) == 1
    assert not [digest for digest in digests if digest[:8] in repr(token)]


def test_pitfall_24_a_flush(ada: User, store: str) -> None:
    """Pitfall 24: ``cache.clear()`` empties a whole database: rows survive it, what Redis alone has does not."""
    made = make_token(ada)
    assert authenticate(made.text)
    cache.clear()
    assert (authenticate(made.text) is not None) == (store != "redis")
    assert (len(tokens_for(ada)) == 1) == (store != "redis")


def test_pitfall_25_no_pickle(ada: User, redis_client: Any) -> None:
    """Pitfall 25: all that is kept is printable text."""
    made = make_token(ada, name="laptop", scopes=("read",))
    authenticate(made.text)
    for key in redis_client.scan_iter("rt:k:*"):
        if redis_client.type(key) == b"hash":
            for name, value in redis_client.hgetall(key).items():
                assert (name + value).decode("ascii").isprintable()


def test_pitfall_26_who_may_not_log_in_is_refused_on_every_use(ada: User, said: list[Any]) -> None:
    """Pitfall 26: also if ``QuerySet.update()`` did it, of which nobody is told; and who is not there any more."""
    made = make_token(ada)
    assert authenticate_user(made.text) == ada
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert authenticate_user(made.text) is None
    assert said[-1] == ("refused", "inactive")
    User.objects.filter(pk=ada.pk).update(is_active=True)
    assert authenticate_user(made.text) == ada
    token = authenticate(made.text)
    assert token is not None
    User.objects.filter(pk=ada.pk)._raw_delete(User.objects.db)
    assert user_of(token) is None


def test_pitfall_26_deactivation_revokes(ada: User) -> None:
    """Pitfall 26: who is activated again has no tokens; neither has who gets the primary key of somebody deleted."""
    made = make_token(ada)
    bob = make_token(User.objects.create_user("bob"))
    assert authenticate(made.text)
    ada.is_active = False
    ada.save()
    ada.is_active = True
    ada.save()
    assert authenticate(made.text) is None
    assert tokens_for(ada) == []
    made = make_token(ada)
    key = ada.pk
    ada.delete()
    User.objects.create_user("eve", id=key)
    assert authenticate(made.text) is None
    assert authenticate_user(bob.text) is not None


@only_redis
def test_an_account_is_closed_though_redis_is_away(
    ada: User, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """The log tells of tokens that could not be ended; each use of them asks for is_active."""
    make_token(ada)
    request.getfixturevalue("away")
    ada.is_active = False
    with caplog.at_level(logging.ERROR, "redis_toolkit.tokens"):
        ada.save()
    assert "could not be revoked" in caplog.text
    assert not User.objects.get(pk=ada.pk).is_active


@only_rows
def test_pitfall_27_a_late_use_does_not_undo_a_revocation(
    ada: User, monkeypatch: pytest.MonkeyPatch, clock: Frozen
) -> None:
    """Pitfall 27: revoked between the reading of its row and the writing of its use: no row comes back, none is in."""
    made = make_token(ada)
    write, done = rows._write_use, []

    def late(*words: Any) -> bool:
        if not done:
            done.append(1)
            assert revoke(ada, made.token.handle)
        return write(*words)

    monkeypatch.setattr(rows, "_write_use", late)
    assert authenticate(made.text) is None
    assert Row.objects.count() == 0


@only_rows
@pytest.mark.parametrize("is_warm", [False, True])
def test_pitfall_27_a_late_renewal_does_not_undo_a_replacement(
    ada: User, monkeypatch: pytest.MonkeyPatch, clock: Frozen, settings: Any, is_warm: bool
) -> None:
    """Pitfall 27: replaced between the reading of its row and its renewal: it ends with the overlap all the same."""
    settings.REDIS_TOOLKIT_TOKEN_RENEW = True
    made = make_token(ada, ttl=1000)
    if is_warm:
        authenticate(made.text)
    clock.move(200)
    write, done = rows._write_use, []

    def late(*words: Any) -> bool:
        if not done:
            done.append(1)
            assert rotate(ada, made.token.handle, overlap=50)
        return write(*words)

    monkeypatch.setattr(rows, "_write_use", late)
    assert authenticate(made.text) is not None
    assert done == [1]
    clock.move(50)
    assert authenticate(made.text) is None


@only_rows
def test_pitfall_27_a_use_changes_two_columns_alone(ada: User, clock: Frozen) -> None:
    """Pitfall 27: whatever else was changed meanwhile by hand stays so."""
    made = make_token(ada, name="old")
    authenticate(made.text)
    Row.objects.update(name="new", scopes="less")
    clock.move(61)
    authenticate(made.text)
    row = Row.objects.get()
    assert (row.name, row.scopes) == ("new", "less")
    assert row.last_used is not None
    assert row.last_used - row.created == 61_000_000


@only_rows
def test_pitfall_27_of_two_uses_one_is_written(ada: User, monkeypatch: pytest.MonkeyPatch, clock: Frozen) -> None:
    """Pitfall 27: two read the same row a second apart, both find their use due: the first writes, both come in."""
    made = make_token(ada)
    write, done = rows._write_use, []

    def late(*words: Any) -> bool:
        if not done:
            done.append(1)
            clock.move(-1)
            assert authenticate(made.text) is not None
        return write(*words)

    clock.move(1)
    monkeypatch.setattr(rows, "_write_use", late)
    assert authenticate(made.text) is not None
    row = Row.objects.get()
    assert row.last_used == row.created


@only_rows
@pytest.mark.django_db(databases="__all__", transaction=True)
def test_pitfall_19_in_a_long_transaction(ada: User, redis_client: Any) -> None:
    """Pitfall 19: revoked in a transaction longer than it is known for: its commit drops copies made meanwhile."""
    made = make_token(ada)
    assert authenticate(made.text) is not None
    [key] = [each for each in redis_client.scan_iter("rt:k:*") if b"{" not in each]
    with transaction.atomic(using=router.db_for_write(Row)):
        assert revoke(ada, made.token.handle)
        assert redis_client.hgetall(key) == {b"x": b"1"}
        # What time does to it; and another asks, for whom the row is there till the commit.
        redis_client.delete(key)
        assert elsewhere(lambda: authenticate(made.text)) is not None
        assert redis_client.hget(key, "h") == made.token.handle.encode()
    assert authenticate(made.text) is None


@only_redis
def test_scripts_that_a_server_has_lost(ada: User) -> None:
    """They are loaded again, and nothing is done twice."""
    link().ask(b"SCRIPT FLUSH\r\n")
    made = make_token(ada)
    link().ask(b"SCRIPT FLUSH\r\n")
    assert authenticate(made.text) is not None
    assert len(tokens_for(ada)) == 1
