"""What somebody who may write to Redis gains by it: nothing but what was there, and that things are gone."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User

from redis_toolkit.core.clock import Frozen
from redis_toolkit.models import Token as Row
from redis_toolkit.tokens import Made, aauthenticate, authenticate, make_token, revoke, revoke_all, rotate, tokens_for
from redis_toolkit.tokens.entries import draft
from redis_toolkit.tokens.seals import FIELDS, seal
from redis_toolkit.tokens.texts import digest, mint

pytestmark = pytest.mark.django_db(databases="__all__")

only_redis = pytest.mark.parametrize("store", ["redis"], indirect=True)
only_rows = pytest.mark.parametrize("store", ["rows", "rows on postgres"], indirect=True)
NAMES = [name.encode() for name in FIELDS]


@pytest.fixture
def root(ada: User) -> User:
    """Somebody whose tokens are worth more."""
    return User.objects.create_superuser("root")


def key_of(text: str) -> str:
    return f"rt:k:{digest(text)}"


def remembered(owner: User, **words: Any) -> Made:
    """A token that Redis has, or has a copy of."""
    made = make_token(owner, **words)
    assert authenticate(made.text) is not None
    return made


def test_pitfall_1_the_whole_text_counts(ada: User, redis_client: Any) -> None:
    """Pitfall 1: neither a handle nor a digest nor a key nor a text with the right beginning opens anything."""
    made = remembered(ada)
    other = mint("rtk_live")
    begins = made.text[:30] + other[30:]
    for wrong in (made.token.handle, digest(made.text), key_of(made.text), other, begins, made.text.upper()):
        assert authenticate(wrong) is None


def test_a_record_written_by_hand(
    ada: User, root: User, redis_client: Any, caplog: Any, said: list[Any], store: str
) -> None:
    """Of a text that nobody made, for a user who has tokens: refused, and the log says so without the text."""
    genuine = remembered(root, scopes=("admin",))
    fields = redis_client.hgetall(key_of(genuine.text))
    forged = mint("rtk_live")
    with caplog.at_level(logging.ERROR, "redis_toolkit.tokens"):
        for change in ({}, {b"g": b"0"}, {b"g": b"9" * 16}, {b"m": b""}, {b"m": b"0" * 32}):
            redis_client.delete(key_of(forged))
            redis_client.hset(key_of(forged), mapping={**fields, **change})
            assert authenticate(forged) is None
            assert async_to_sync(aauthenticate)(forged) is None
    assert ("refused", "forged" if store == "redis" else "unknown") in said
    assert "is not believed" in caplog.text
    assert forged not in caplog.text
    assert authenticate(genuine.text) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"u": "root"}, {"h": "0" * 16}, {"n": "other"}, {"s": "read admin"}, {"c": "5"}, {"t": "0"}, {"a": "9" * 16},
        {"s": "re\0ad"}, {"n": "\0", "s": ""},
    ],
)  # fmt: skip
def test_pitfall_23_each_field_is_sealed(
    ada: User, root: User, redis_client: Any, store: str, change: dict[str, str]
) -> None:
    """Pitfall 23: no field can be changed, nor moved into its neighbour; with rows the row answers."""
    made = remembered(ada, name="mine", scopes=("read",))
    change = {name: str(root.pk) if value == "root" else value for name, value in change.items()}
    redis_client.hset(key_of(made.text), mapping=change)
    found = authenticate(made.text)
    if store == "redis":
        assert found is None
    else:
        assert found is not None
        assert (found.user_id, found.name, found.scopes) == (str(ada.pk), "mine", ("read",))


def test_another_records_seal(ada: User, root: User, redis_client: Any, store: str) -> None:
    """A whole record is good under its own digest alone."""
    mine, theirs = remembered(ada), remembered(root)
    redis_client.delete(key_of(mine.text))
    redis_client.hset(key_of(mine.text), mapping=redis_client.hgetall(key_of(theirs.text)))
    found = authenticate(mine.text)
    assert (found and found.user_id) == (None if store == "redis" else str(ada.pk))


@only_redis
def test_an_end_that_was_moved(ada: User, redis_client: Any, clock: Frozen, settings: Any) -> None:
    """The end is written by scripts, and believed up to the ttl, or the absolute age of what is renewed."""
    made = remembered(ada, ttl=100)
    for later in (b"0", b"%d" % (int(redis_client.hget(key_of(made.text), "e")) + 1), b"9" * 15, b"1e15", b"+5e9"):
        redis_client.hset(key_of(made.text), "e", later)
        assert authenticate(made.text) is None
        assert tokens_for(ada) == []
    settings.REDIS_TOOLKIT_TOKEN_RENEW = True
    settings.REDIS_TOOLKIT_TOKEN_ABSOLUTE_AGE = 300
    made = remembered(ada, ttl=100)
    made_at = int(redis_client.hget(key_of(made.text), "c"))
    redis_client.hset(key_of(made.text), "e", made_at + 300_000_000)
    assert authenticate(made.text) is not None
    redis_client.hset(key_of(made.text), "e", made_at + 300_000_001)
    assert authenticate(made.text) is None


@only_rows
def test_a_copy_that_is_put_back(ada: User, redis_client: Any, clock: Frozen, settings: Any) -> None:
    """Of a revoked token: good for what was left of TOKEN_CACHE_TTL, however long its key is kept, and not renewed."""
    settings.REDIS_TOOLKIT_TOKEN_CACHE_TTL = 50
    made = remembered(ada)
    fields = redis_client.hgetall(key_of(made.text))
    assert revoke(ada, made.token.handle)
    clock.move(49)
    redis_client.delete(key_of(made.text))
    redis_client.hset(key_of(made.text), mapping=fields)
    assert authenticate(made.text) is not None
    clock.move(1)
    assert authenticate(made.text) is None


@only_redis
def test_scopes_that_are_written_and_rotated(ada: User, root: User, redis_client: Any) -> None:
    """A record that is not sealed is not replaced by one that is; nor is another's that was put into one's index."""
    mine, theirs = make_token(ada, scopes=("read",)), make_token(root, scopes=("admin",))
    redis_client.hset(key_of(mine.text), "s", "admin")
    assert rotate(ada, mine.token.handle) is None
    assert tokens_for(ada) == []
    index = f"rt:k:{{{ada.pk}}}"
    for handle in (theirs.token.handle, "0" * 16):
        redis_client.hset(f"{index}:d", handle, f"{digest(theirs.text)} 1")
        redis_client.zadd(f"{index}:n", {handle: 9e15})
        assert rotate(ada, handle) is None
    assert tokens_for(ada) == []
    assert authenticate(theirs.text) is not None
    redis_client.hset(key_of(mine.text), "s", "read")
    assert [token.handle for token in tokens_for(ada)] == [mine.token.handle]


def test_a_new_secret_key(ada: User, settings: Any, store: str) -> None:
    """What is sealed by a key of SECRET_KEY_FALLBACKS is good; without it rows answer, and Redis alone has none."""
    made = remembered(ada)
    settings.SECRET_KEY = "another"
    settings.SECRET_KEY_FALLBACKS = ["only for tests"]
    assert authenticate(made.text) is not None
    assert len(tokens_for(ada)) == 1
    settings.SECRET_KEY_FALLBACKS = []
    assert (authenticate(made.text) is not None) == (store != "redis")
    assert len(tokens_for(ada)) == (store != "redis")
    # Another process may know the key: nothing is ended because we do not.
    settings.SECRET_KEY_FALLBACKS = ["only for tests"]
    assert authenticate(made.text) is not None
    settings.SECRET_KEY_FALLBACKS = []
    assert revoke_all(ada) == (store != "redis")
    settings.SECRET_KEY_FALLBACKS = ["only for tests"]
    assert authenticate(made.text) is None


@only_rows
def test_a_record_of_the_other_store(ada: User, redis_client: Any) -> None:
    """What Redis alone kept is no copy of a row, when the store is changed."""
    text = mint("rtk_live")
    plan = draft(text, str(ada.pk), "", (), None)
    fields = [plan.user_id, plan.handle, "", "", "5", "4" * 16, "4" * 16, "4" * 16, "0", "0"]
    redis_client.hset(key_of(text), mapping=dict(zip(FIELDS, [*fields, seal(digest(text), fields)], strict=True)))
    assert authenticate(text) is None
    assert Row.objects.count() == 0
