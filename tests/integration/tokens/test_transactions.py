"""Rows that are not committed, and requests that take long: nothing of them gets into Redis, nobody waits for them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections, router, transaction

from redis_toolkit.core.connections import link
from redis_toolkit.models import Token as Row
from redis_toolkit.tokens import Made, authenticate, make_token, revoke_all, rotate, rows, tokens_for
from redis_toolkit.tokens import records as kept

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

only_redis = pytest.mark.parametrize("store", ["redis"], indirect=True)
only_rows = pytest.mark.parametrize("store", ["rows", "rows on postgres"], indirect=True)
on_postgres = pytest.mark.parametrize("store", ["rows on postgres"], indirect=True)


class Undone(Exception):
    """What a transaction is rolled back by."""


def inside() -> Any:
    return transaction.atomic(using=router.db_for_write(Row))


def copies(client: Any) -> list[bytes]:
    return [key for key in client.scan_iter("rt:k:*") if client.hexists(key, "u")]


@only_rows
@pytest.mark.parametrize("is_nested", [False, True])
def test_made_and_used_in_what_is_rolled_back(ada: User, redis_client: Any, is_nested: bool) -> None:
    """It works in its transaction, and leaves no copy that would work after it; to a savepoint as well."""
    made: list[Made] = []

    def attempt() -> None:
        with inside():
            made.append(make_token(ada))
            assert authenticate(made[0].text) is not None
            assert authenticate(made[0].text) is not None
            raise Undone

    if is_nested:
        with inside():
            with suppress(Undone):
                attempt()
            assert copies(redis_client) == []
            assert authenticate(made[0].text) is None
    else:
        with suppress(Undone):
            attempt()
    assert copies(redis_client) == []
    assert authenticate(made[0].text) is None


@only_rows
def test_rotated_and_changed_in_what_is_rolled_back(ada: User, redis_client: Any) -> None:
    """The new token is none, the old one is as good as before, and has the scopes that are committed."""
    old = make_token(ada, scopes=("read",))
    assert authenticate(old.text) is not None
    new: list[Made] = []
    with suppress(Undone), inside():
        row = Row.objects.get()
        row.scopes = "read admin"
        row.save()
        found = authenticate(old.text)
        assert found is not None
        assert found.scopes == ("read", "admin")
        rotated = rotate(ada, old.token.handle)
        assert rotated is not None
        new.append(rotated)
        assert authenticate(rotated.text) is not None
        raise Undone
    assert copies(redis_client) == []
    assert authenticate(new[0].text) is None
    found = authenticate(old.text)
    assert found is not None
    assert found.scopes == ("read",)


@only_rows
def test_copies_are_made_after_the_commit(ada: User, redis_client: Any) -> None:
    """In a transaction that changes other rows they are made, and of a new row once it is committed."""
    with inside():
        made = make_token(ada)
        assert authenticate(made.text) is not None
        assert copies(redis_client) == []
    with inside():
        assert authenticate(made.text) is not None
        assert len(copies(redis_client)) == 1
    before = link().round_trips
    assert authenticate(made.text) is not None
    assert link().round_trips == before + 1


@only_rows
@pytest.mark.django_db(databases="__all__")
def test_copies_in_a_projects_tests(ada: User, redis_client: Any, django_capture_on_commit_callbacks: Any) -> None:
    """Where a test's transaction never ends, what it runs as if committed is taken for committed."""
    with inside():
        with django_capture_on_commit_callbacks(using=router.db_for_write(Row), execute=True):
            made = make_token(ada)
        assert authenticate(made.text) is not None
        assert len(copies(redis_client)) == 1


@on_postgres
def test_nobody_waits_for_a_slow_request(ada: User, settings: Any, redis_client: Any) -> None:
    """A use that was written in a transaction still open locks its row: others come in all the same, unwritten."""
    made = make_token(ada)
    used, is_over = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with inside():
                assert authenticate(made.text) is not None
                used.set()
                is_over.wait(30)
        finally:
            connections.close_all()
            link().close()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(slow)
        try:
            assert used.wait(30)
            # (As when the copy has run out.)
            redis_client.flushdb()
            with connections["postgres"].cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            assert authenticate(made.text) is not None
            with inside():
                assert authenticate(made.text) is not None
        finally:
            is_over.set()
            # (This connection lives on, and the next test may have to wait for longer.)
            with connections["postgres"].cursor() as cursor:
                cursor.execute("RESET lock_timeout")
        done.result()
    assert Row.objects.get().last_used is not None


@only_rows
def test_all_ends_what_is_rotated_meanwhile(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the reading of the rows and their deletion one is replaced: the new one ends, too."""
    old = make_token(ada)
    assert authenticate(old.text)
    new: list[Any] = []
    delete = rows.delete

    def late(*words: Any) -> int:
        if not new:
            new.append(None)
            new.append(rotate(ada, old.token.handle, overlap=60))
        return delete(*words)

    monkeypatch.setattr(rows, "delete", late)
    assert revoke_all(ada) == 2
    assert new[1] is not None
    assert [authenticate(each.text) for each in (old, new[1])] == [None, None]


@only_redis
def test_all_ends_what_is_rotated_meanwhile_in_redis(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where Redis alone has the tokens."""
    old, kept_one = make_token(ada), make_token(ada)
    new: list[Any] = []
    end = kept._end

    def late(*words: Any) -> None:
        if not new:
            new.append(rotate(ada, old.token.handle, overlap=60))
        end(*words)

    monkeypatch.setattr(kept, "_end", late)
    assert revoke_all(ada, keep=kept_one.token) == 2
    assert [authenticate(each.text) is not None for each in (old, new[0], kept_one)] == [False, False, True]
    assert [token.handle for token in tokens_for(ada)] == [kept_one.token.handle]
