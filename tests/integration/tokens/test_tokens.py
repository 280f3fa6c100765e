"""Tokens in both stores: made, known, listed, renewed, replaced, ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connections, router, transaction
from django.test.utils import CaptureQueriesContext

from redis_toolkit.core.clock import Frozen
from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import load
from redis_toolkit.exceptions import StoreUnavailable, TokenLimitReached
from redis_toolkit.models import Token as Row
from redis_toolkit.tokens import (
    aauthenticate,
    aauthenticate_user,
    amake_token,
    arevoke,
    arevoke_all,
    arotate,
    atokens_for,
    authenticate,
    authenticate_user,
    make_token,
    revoke,
    revoke_all,
    rotate,
    tokens_for,
)
from redis_toolkit.tokens.entries import Token
from redis_toolkit.tokens.texts import mint

pytestmark = pytest.mark.django_db(databases="__all__")

only_redis = pytest.mark.parametrize("store", ["redis"], indirect=True)
only_rows = pytest.mark.parametrize("store", ["rows", "rows on postgres"], indirect=True)


def cost(deed: Any) -> tuple[int, int]:
    """Round trips to Redis and queries."""
    load(link())
    trips = link().round_trips
    with CaptureQueriesContext(connections[router.db_for_write(Row)]) as queries:
        deed()
    return link().round_trips - trips, len(queries)


def test_made_and_known(ada: User, said: list[Any]) -> None:
    """What was made is what is known of it, and nothing else; a signal tells of it without its text."""
    made = make_token(ada, name="laptop", scopes=("read", "write"), ttl=timedelta(hours=1))
    token = authenticate(made.text)
    assert isinstance(token, Token)
    assert (token.user_id, token.name, token.scopes) == (str(ada.pk), "laptop", ("read", "write"))
    assert token.expires is not None
    assert token.expires - token.created == timedelta(hours=1)
    assert (token.handle, token.created) == (made.token.handle, made.token.created)
    assert authenticate_user(made.text) == ada
    assert said == [("made", str(ada.pk), token.handle, ("read", "write"))]


@pytest.mark.parametrize("wrong", ["typo", "", "rtk_live_x", None])
def test_typos_cost_nothing(ada: User, wrong: Any, said: list[Any]) -> None:
    """What is not written like a token is refused without asking Redis or the database."""
    text = make_token(ada).text
    slip = text[:20] + ("a" if text[20] != "a" else "b") + text[21:] if wrong == "typo" else wrong
    assert cost(lambda: authenticate(slip)) == (0, 0)
    assert authenticate(slip) is None
    assert said[1:] == [("refused", "malformed")] * 2


@only_redis
def test_one_round_trip(ada: User) -> None:
    """Redis alone: known, used, renewed in one round trip; unknown as well."""
    text = make_token(ada).text
    assert cost(lambda: authenticate(text)) == (1, 0)
    assert cost(lambda: authenticate(text)) == (1, 0)
    assert cost(lambda: authenticate(mint("rtk_live"))) == (1, 0)


@only_rows
def test_one_round_trip_and_no_query(ada: User) -> None:
    """Rows: the first use reads and writes the row (2 + 2); after that one round trip and no query.

    A row that Redis has forgotten costs one query; and one that is not there, too.
    """
    text = make_token(ada).text
    assert cost(lambda: authenticate(text)) == (2, 2)
    assert [cost(lambda: authenticate(text)) for _ in range(3)] == [(1, 0)] * 3
    [key] = [each for each in link().ask(b"KEYS rt:k:*\r\n") if b"{" not in each]
    link().ask(b"DEL %s\r\n" % key)
    assert cost(lambda: authenticate(text)) == (2, 1)
    assert cost(lambda: authenticate(mint("rtk_live"))) == (2, 1)


@only_redis
def test_the_list_of_a_user_holds_what_lives(ada: User, clock: Frozen, redis_client: Any) -> None:
    """Who makes short-lived tokens all day, and never looks at them, has a list as long as those that live."""
    for _ in range(10):
        make_token(ada, ttl=60)
        clock.move(25)
    [entries] = [redis_client.hlen(key) for key in redis_client.keys("*") if key.endswith(b":d")]
    assert entries == 3


def test_the_last_use_is_written_down_once_in_a_while(ada: User, clock: Frozen, settings: Any) -> None:
    """At the first use, and when the interval is over; nothing in between."""
    settings.REDIS_TOOLKIT_TOKEN_USE_INTERVAL = 60
    made = make_token(ada)
    assert made.token.last_used is None
    seen = []
    for _ in range(5):
        authenticate(made.text)
        [listed] = tokens_for(ada)
        assert listed.last_used is not None
        seen.append((listed.last_used - made.token.created).total_seconds())
        clock.move(25)
    assert seen == [0, 0, 0, 75, 75]


def test_renewed_by_use_up_to_an_age(ada: User, clock: Frozen, settings: Any) -> None:
    """A token of 100 s that is used every 50 s lives for 300 s, and not for one second more."""
    settings.REDIS_TOOLKIT_TOKEN_RENEW = True
    settings.REDIS_TOOLKIT_TOKEN_ABSOLUTE_AGE = 300
    text = make_token(ada, ttl=100).text
    for _ in range(5):
        clock.move(50)
        assert authenticate(text) is not None
    clock.move(49)
    assert authenticate(text) is not None
    [token] = tokens_for(ada)
    assert token.expires is not None
    assert token.expires - token.created == timedelta(seconds=300)
    clock.move(1)
    assert authenticate(text) is None
    assert tokens_for(ada) == []


def test_not_renewed_by_default(ada: User, clock: Frozen, said: list[Any]) -> None:
    """Use does not make it live for longer; in its last second it is known, and then it is not."""
    text = make_token(ada, ttl=100).text
    clock.move(99)
    assert authenticate(text) is not None
    clock.move(1)
    assert authenticate(text) is None
    assert said[-1] == ("refused", "expired")


def test_unused_it_ends(ada: User, clock: Frozen, settings: Any) -> None:
    """Renewed tokens end after their ttl without use."""
    settings.REDIS_TOOLKIT_TOKEN_RENEW = True
    text = make_token(ada, ttl=100).text
    clock.move(60)
    assert authenticate(text) is not None
    clock.move(101)
    assert authenticate(text) is None


def test_short_lives_are_renewed_too(ada: User, clock: Frozen, settings: Any) -> None:
    """A ttl far below the interval of last use is renewed all the same."""
    settings.REDIS_TOOLKIT_TOKEN_RENEW = True
    text = make_token(ada, ttl=10).text
    for _ in range(10):
        clock.move(6)
        assert authenticate(text) is not None


@only_rows
def test_for_ever(ada: User, clock: Frozen) -> None:
    """A row may have no end."""
    made = make_token(ada, ttl=None)
    assert made.token.expires is None
    clock.move(86_400 * 3650)
    assert authenticate(made.text) is not None


def test_listed_and_ended_by_handle(ada: User, said: list[Any]) -> None:
    """The oldest first; one is ended and the others are not; of another user's handle nothing is ended."""
    other = User.objects.create_user("bob")
    made = [make_token(ada, name=name) for name in "abc"]
    assert [token.name for token in tokens_for(ada)] == ["a", "b", "c"]
    assert not revoke(other, made[0].token.handle)
    assert not revoke(ada, "nothing")
    assert revoke(ada, made[1].token.handle)
    assert not revoke(ada, made[1].token.handle)
    assert [authenticate(each.text) is not None for each in made] == [True, False, True]
    assert [token.name for token in tokens_for(ada)] == ["a", "c"]
    assert said[3:] == [("revoked", str(ada.pk), (made[1].token.handle,)), ("refused", "revoked")]


def test_all_but_one(ada: User) -> None:
    """``revoke_all`` keeps one if asked, by its record or its handle, and nobody else's are touched."""
    bob = make_token(User.objects.create_user("bob"))
    made = [make_token(ada) for _ in range(4)]
    for each in made:
        assert authenticate(each.text)
    assert revoke_all(ada, keep=made[0].token) == 3
    assert [authenticate(each.text) is not None for each in made] == [True, False, False, False]
    assert revoke_all(ada, keep=made[0].token.handle) == 0
    assert revoke_all(ada) == 1
    assert authenticate(made[0].text) is None
    assert authenticate(bob.text) is not None


def test_the_limit_refuses(ada: User, settings: Any) -> None:
    """The fourth is refused; one that was ended, or has run out, makes room."""
    settings.REDIS_TOOLKIT_TOKEN_LIMIT = 3
    made = [make_token(ada) for _ in range(3)]
    with pytest.raises(TokenLimitReached):
        make_token(ada)
    make_token(User.objects.create_user("bob"))
    assert len(tokens_for(ada)) == 3
    revoke(ada, made[0].token.handle)
    make_token(ada)
    with pytest.raises(TokenLimitReached):
        make_token(ada)


def test_the_limit_does_not_count_what_has_ended(ada: User, settings: Any, clock: Frozen) -> None:
    """Also of tokens that might have been renewed for a year, and were not used."""
    settings.REDIS_TOOLKIT_TOKEN_LIMIT = 2
    settings.REDIS_TOOLKIT_TOKEN_RENEW = True
    made = [make_token(ada, ttl=100) for _ in range(2)]
    clock.move(60)
    assert authenticate(made[0].text)
    clock.move(60)
    fresh = make_token(ada)
    assert {token.handle for token in tokens_for(ada)} == {made[0].token.handle, fresh.token.handle}
    with pytest.raises(TokenLimitReached):
        make_token(ada)


def test_the_limit_lets_the_oldest_go(ada: User, settings: Any, said: list[Any], clock: Frozen) -> None:
    """Where that is the policy, the signal tells which; a lower limit takes effect with the next token."""
    settings.REDIS_TOOLKIT_TOKEN_LIMIT = 3
    settings.REDIS_TOOLKIT_TOKEN_LIMIT_POLICY = "evict"
    made = []
    for name in "abcd":
        made.append(make_token(ada, name=name))
        clock.move(1)
    assert [authenticate(each.text) is not None for each in made] == [False, True, True, True]
    assert ("revoked", str(ada.pk), (made[0].token.handle,)) in said
    settings.REDIS_TOOLKIT_TOKEN_LIMIT = 2
    made.append(make_token(ada, name="e"))
    assert [token.name for token in tokens_for(ada)] == ["d", "e"]
    assert [authenticate(each.text) is not None for each in made] == [False, False, False, True, True]


def test_replaced_with_an_overlap(ada: User, clock: Frozen) -> None:
    """Both are good for the overlap, then the new one alone, which has all that the old one had."""
    old = make_token(ada, name="laptop", scopes=("read",), ttl=1000)
    assert authenticate(old.text)
    clock.move(10)
    new = rotate(ada, old.token.handle, overlap=60)
    assert new is not None
    assert (new.token.name, new.token.scopes) == ("laptop", ("read",))
    assert new.token.expires is not None
    assert new.token.expires - new.token.created == timedelta(seconds=1000)
    assert new.token.handle != old.token.handle
    clock.move(59)
    assert [authenticate(each.text) is not None for each in (old, new)] == [True, True]
    assert len(tokens_for(ada)) == 2
    clock.move(1)
    assert [authenticate(each.text) is not None for each in (old, new)] == [False, True]
    assert [token.handle for token in tokens_for(ada)] == [new.token.handle]


def test_replaced_at_once(ada: User, said: list[Any]) -> None:
    """Without an overlap the old one ends; what is not there, or another's, cannot be replaced."""
    old = make_token(ada)
    assert authenticate(old.text)
    new = rotate(ada, old.token.handle)
    assert new is not None
    assert [authenticate(each.text) is not None for each in (old, new)] == [False, True]
    assert rotate(ada, old.token.handle) is None
    assert rotate(ada, "nothing") is None
    assert rotate(User.objects.create_user("bob"), new.token.handle) is None
    assert len(tokens_for(ada)) == 1
    with pytest.raises(ValueError, match="The overlap"):
        rotate(ada, new.token.handle, overlap=-1)


def test_replaced_once(ada: User) -> None:
    """A token that has been replaced is not replaced again: overlaps would let tokens multiply."""
    old = make_token(ada)
    assert rotate(ada, old.token.handle, overlap=60) is not None
    assert rotate(ada, old.token.handle, overlap=60) is None
    assert len(tokens_for(ada)) == 2


def test_an_overlap_never_gives_more_time(ada: User, clock: Frozen, settings: Any) -> None:
    """An overlap longer than what was left changes nothing; and use in the overlap renews nothing."""
    settings.REDIS_TOOLKIT_TOKEN_RENEW = True
    short, long = make_token(ada, ttl=100), make_token(ada, ttl=1000)
    rotate(ada, short.token.handle, overlap=500)
    rotate(ada, long.token.handle, overlap=80)
    clock.move(70)
    assert [authenticate(each.text) is not None for each in (short, long)] == [True, True]
    clock.move(29)
    assert [authenticate(each.text) is not None for each in (short, long)] == [True, False]
    clock.move(1)
    assert authenticate(short.text) is None


def test_at_the_limit_one_can_be_replaced(ada: User, settings: Any) -> None:
    """One more for the overlap, and no second one."""
    settings.REDIS_TOOLKIT_TOKEN_LIMIT = 2
    made = [make_token(ada) for _ in range(2)]
    assert rotate(ada, made[0].token.handle, overlap=60) is not None
    with pytest.raises(TokenLimitReached):
        rotate(ada, made[1].token.handle, overlap=60)
    assert all(authenticate(each.text) for each in made)
    assert len(tokens_for(ada)) == 3


def test_ended_in_its_overlap(ada: User) -> None:
    """``revoke_all`` ends both."""
    old = make_token(ada)
    new = rotate(ada, old.token.handle, overlap=60)
    assert new is not None
    assert revoke_all(ada) == 2
    assert [authenticate(each.text) for each in (old, new)] == [None, None]


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_for_coroutines(ada: User) -> None:
    """Each has its twin, and they say the same."""

    async def play() -> None:
        made = await amake_token(ada, name="laptop")
        token = await aauthenticate(made.text)
        assert token == authenticate_elsewhere(made.text, token)
        assert await aauthenticate("nothing") is None
        assert await aauthenticate(mint("rtk_live")) is None
        assert await aauthenticate_user(made.text) == ada
        assert [each.handle for each in await atokens_for(ada)] == [made.token.handle]
        new = await arotate(ada, made.token.handle)
        assert new is not None
        assert await aauthenticate(made.text) is None
        assert await aauthenticate_user(made.text) is None
        assert await arevoke(ada, new.token.handle)
        assert await arevoke_all(ada) == 0

    def authenticate_elsewhere(text: str, token: Any) -> Any:
        assert token is not None
        assert token.name == "laptop"
        return token

    async_to_sync(play)()


def test_a_dump_of_redis_has_no_text(ada: User, redis_client: Any) -> None:
    """Every key and every value there is, after all that can be done with tokens."""
    made = [make_token(ada) for _ in range(3)]
    for each in made:
        authenticate(each.text)
    new = rotate(ada, made[0].token.handle, overlap=60)
    assert new is not None
    revoke(ada, made[1].token.handle)
    found = b""
    for key in redis_client.scan_iter():
        found += key + (redis_client.dump(key) or b"") + repr(_content(redis_client, key)).encode()
    assert len(found) > 200
    for each in (*made, new):
        assert each.text.encode() not in found
        assert each.text[9:39].encode() not in found


def _content(client: Any, key: bytes) -> Any:
    if client.type(key) == b"hash":
        return client.hgetall(key)
    return client.zrange(key, 0, -1, withscores=True)


@only_redis
def test_an_index_entry_without_a_token_is_mended(ada: User, redis_client: Any, settings: Any) -> None:
    """Whatever became of a token (evicted, deleted by hand): the list drops it, and its place is free."""
    settings.REDIS_TOOLKIT_TOKEN_LIMIT = 2
    made = [make_token(ada) for _ in range(2)]
    for key in redis_client.scan_iter("rt:k:*"):
        if b"{" not in key and redis_client.hget(key, "h") == made[0].token.handle.encode():
            redis_client.delete(key)
    make_token(ada)
    assert len(tokens_for(ada)) == 2
    assert redis_client.hlen(f"rt:k:{{{ada.pk}}}:d") == 2


@only_redis
def test_keys_end_by_themselves(ada: User, redis_client: Any) -> None:
    """No key of tokens is without an end, and the index lives as long as its longest token."""
    make_token(ada, ttl=1000)
    make_token(ada, ttl=10)
    lives = {key: redis_client.pttl(key) for key in redis_client.scan_iter("rt:k:*")}
    assert len(lives) == 4
    assert sorted(round(life / 1000) for life in lives.values()) == [10, 1000, 1000, 1000]


@only_rows
def test_a_deletion_that_is_rolled_back(ada: User) -> None:
    """The row is the truth: it is there again, and so is the token."""
    made = make_token(ada)
    assert authenticate(made.text)

    class Undone(Exception):
        pass

    with pytest.raises(Undone), transaction.atomic(using=router.db_for_write(Row)):
        assert revoke(ada, made.token.handle)
        assert authenticate(made.text) is None
        raise Undone
    assert authenticate(made.text) is not None


@only_rows
def test_other_ways_to_a_row(ada: User) -> None:
    """The admin's ways (save, delete) are followed at once; a bulk update within TOKEN_CACHE_TTL."""
    made = [make_token(ada, name=name) for name in "ab"]
    for each in made:
        assert authenticate(each.text)
    row = Row.objects.get(handle=made[0].token.handle)
    row.name = "changed"
    row.save()
    token = authenticate(made[0].text)
    assert token is not None
    assert token.name == "changed"
    Row.objects.filter(handle=made[1].token.handle).delete()
    assert authenticate(made[1].text) is None


@only_rows
def test_a_copy_lives_for_its_time(ada: User, redis_client: Any, settings: Any, clock: Frozen) -> None:
    """Renewal and use give a copy no more time: what was done behind our back is noticed."""
    settings.REDIS_TOOLKIT_TOKEN_CACHE_TTL = 90
    settings.REDIS_TOOLKIT_TOKEN_RENEW = True
    text = make_token(ada, ttl=1000).text
    authenticate(text)
    [key] = [each for each in redis_client.scan_iter("rt:k:*") if b"{" not in each]
    redis_client.pexpire(key, 20_000)
    clock.move(61)
    authenticate(text)
    assert 0 < redis_client.pttl(key) <= 20_000
    Row.objects.all().update(name="changed")
    clock.move(28)
    assert [token.name for token in (authenticate(text),) if token] == [""]
    # (And if somebody gives its key more time.)
    redis_client.persist(key)
    clock.move(1)
    assert [token.name for token in (authenticate(text),) if token] == ["changed"]


@only_rows
def test_a_use_that_no_row_takes(ada: User, settings: Any, clock: Frozen) -> None:
    """A row that was changed behind our back is noticed when a use is due to be written, too."""
    settings.REDIS_TOOLKIT_TOKEN_CACHE_TTL = 300
    text = make_token(ada, ttl=1000).text
    authenticate(text)
    Row.objects.all().update(expires=1)
    clock.move(59)
    assert authenticate(text) is not None
    clock.move(1)
    assert authenticate(text) is None


def test_hostile_words_in_redis(ada: User, redis_client: Any, store: str) -> None:
    """A record that somebody else has written is nobody's token: 503 in Redis alone, and rows answer for themselves."""
    text = make_token(ada).text
    authenticate(text)
    [key] = [each for each in redis_client.scan_iter("rt:k:*") if b"{" not in each]

    def is_let_in() -> bool:
        try:
            return authenticate(text) is not None
        except StoreUnavailable:
            return False

    for word in ("x'y", "", "1e400", "nan"):
        redis_client.delete(key)
        redis_client.hset(key, mapping=dict.fromkeys("uhnsceltagm", word))
        assert is_let_in() == (store != "redis")
    redis_client.set(key, "a text")
    assert is_let_in() == (store != "redis")
    if store != "redis":
        # (And whatever is there, it is ended.)
        assert revoke_all(ada) == 1
        assert not is_let_in()
        assert redis_client.hgetall(key) == {b"x": b"1"}
