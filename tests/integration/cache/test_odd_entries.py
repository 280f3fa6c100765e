"""Entries that cannot be written or read, and the settings that decide where entries lie and for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import IntEnum
from typing import Any

import pytest
import redis
from django.db import models
from django.db.models import Min
from django.db.models.functions import Cast

from redis_toolkit.cache import CachedQuerySet
from tests.app.models import Lesson
from tests.integration.cache.term import Term

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

#: Length of an entry's head up to the number of its stamps.
COUNT_AT = 18

READS: dict[str, tuple[str, Callable[[Term], Any]]] = {
    "get": ("r", lambda term: [term.cached.get(pk=term.lessons[5].pk)]),
    "bulk": ("r", lambda term: list(term.cached.in_bulk([term.lessons[5].pk]).values())),
    "rows": ("q", lambda term: list(term.cached.filter(group=term.groups[5]))),
    "count": ("q", lambda term: [None] * term.cached.filter(group=term.groups[5]).count()),
}


@pytest.fixture
def alias() -> str:
    """What lies in Redis is the same for each database."""
    return "default"


@pytest.fixture(params=list(READS.values()), ids=list(READS))
def read(request: pytest.FixtureRequest, term: Term) -> Callable[[], Any]:
    """Asks one of four questions; each has one row for its answer."""
    _, ask = request.param
    return lambda: ask(term)


@pytest.fixture
def entry(read: Callable[[], Any], request: pytest.FixtureRequest, redis_client: redis.Redis) -> bytes:
    """The key of the entry of that answer."""
    room, _ = request.node.callspec.params["read"]
    read()
    keys: Any = redis_client.keys(f"rt:{room}:*")
    key: bytes
    (key,) = keys
    return key


def head_of(value: bytes) -> int:
    return COUNT_AT + 1 + 9 * value[COUNT_AT] + 16


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "random bytes": lambda _: bytes(range(256)),
    "nothing": lambda _: b"",
    "a letter": lambda _: b"x",
    "another layout": lambda value: b"\x03" + value[1:],
    "its head cut": lambda value: value[:12],
    "a payload that is no message": lambda value: value[: head_of(value)] + b"\xc1\xc1",
    "a compressed payload that is none": lambda value: value[:1] + b"\x01" + value[2 : head_of(value)] + b"\xc1\xc1",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_an_entry_that_cannot_be_read(read, entry, cost, redis_client, caplog, damage):
    """Damage is a miss with 1 warning and 1 signal; the entry is then stored anew and a hit."""
    redis_client.set(entry, damage(redis_client.get(entry)))
    with cost() as it:
        assert len(read()) == 1
    assert [outcome for _, outcome in it.outcomes] == ["miss"]
    assert [during for during, _ in it.failures] == ["read"]
    assert len(caplog.messages) == 1
    assert "tests.app.models.school.Lesson'> could not be read and is loaded again" in caplog.messages[0]
    with cost() as it:
        assert len(read()) == 1
    assert [outcome for _, outcome in it.outcomes] == ["hit"]


NO_LONGER: dict[str, Callable[[bytes], bytes]] = {
    "columns of other types": lambda value: value[:2] + b"columns." + value[10:],
    "another run of the server": lambda value: value[:10] + bytes(8) + value[18:],
    "other stamps": lambda value: value[:19] + b"tokennnnn" + value[28:],
    "more stamps": lambda value: value[:18] + b"\xff" + value[19:],
    "its times cut": lambda value: value[: head_of(value) - 4],
}


@pytest.mark.parametrize("change", NO_LONGER.values(), ids=NO_LONGER)
def test_an_entry_of_other_times(read, entry, cost, redis_client, change):
    """An entry built under anything else is a miss, whatever it says."""
    redis_client.set(entry, change(redis_client.get(entry)))
    with cost() as it:
        assert len(read()) == 1
        assert len(read()) == 1
    assert [outcome for _, outcome in it.outcomes] == ["miss", "hit"]
    assert it.failures == []


@pytest.mark.parametrize("rows", [b"\x90", b"\x93\xc0\xc0\xc0", b"\xc0", b"\x01", b""])
def test_a_payload_of_another_shape(term, cost, redis_client, rows):
    """A message that is no row of this model is a miss for get() and for a list."""
    for room, read in (READS["get"], READS["rows"]):
        read(term)
        (key,) = redis_client.keys(f"rt:{room}:*")
        value = redis_client.get(key)
        redis_client.set(key, value[: head_of(value)] + rows)
        assert read(term) in ([term.lessons[5]], [])


def test_a_list_at_the_entrys_key(read, entry, cost, redis_client):
    """Somebody else's list where the entry should lie is a miss, and then replaced."""
    redis_client.delete(entry)
    redis_client.rpush(entry, "a")
    with cost() as it:
        assert (len(read()), len(read())) == (1, 1)
    assert [outcome for _, outcome in it.outcomes] == ["miss", "hit"]


@pytest.mark.parametrize("garbage", ["a list", b"", b"x", b"t", b"m", b"m" * 40, bytes(range(256))])
def test_garbage_at_the_keys_of_stamps(read, entry, term, cost, redis_client, garbage):
    """Whatever lies where stamps should is never an error nor a hit; the next writes put it right."""
    for stamp in redis_client.keys("rt:s:*"):
        if garbage == "a list":
            redis_client.delete(stamp)
            redis_client.rpush(stamp, "a")
        else:
            redis_client.set(stamp, garbage)
    with cost() as it:
        assert len(read()) == 1
    assert [outcome for _, outcome in it.outcomes] in (["bypass"], ["miss"])
    with cost() as it:
        term.again(5).save()
        term.plain(Lesson).update(title="new")
        term.lesson(16).save()
        assert (len(read()), len(read())) == (1, 1)
    assert [outcome for _, outcome in it.outcomes] == ["miss", "hit"]
    assert it.failures == []


class Weekday(IntEnum):
    """A member is more than its number, so it would not come back the same."""

    MONDAY = 1


class WeekdayField(models.IntegerField):
    """Reads as a member."""

    def from_db_value(self, value: int, *_: Any) -> Weekday:
        return Weekday(value)


def test_a_value_that_cannot_be_encoded(term, cost, caplog):
    """An answer that cannot be stored without loss reaches the caller each time, with a warning and a signal."""
    first = Min(Cast("weekday", WeekdayField()), output_field=WeekdayField())
    with cost() as it:
        answers = [term.cached.aggregate(first=first) for _ in range(2)]
    assert [type(answer["first"]) for answer in answers] == [Weekday, Weekday]
    assert it.outcomes == [("aggregate", "miss")] * 2
    assert [during for during, _ in it.failures] == ["store", "store"]
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("An answer was not cached: A value of type")


def test_an_answer_that_is_too_large(read, entry, term, cost, redis_client, settings, caplog):
    """Above REDIS_TOOLKIT_MAX_ENTRY_BYTES an answer is given and not stored, with a warning; at the limit it is."""
    size = redis_client.strlen(entry)
    redis_client.delete(entry)
    settings.REDIS_TOOLKIT_MAX_ENTRY_BYTES = size - 1
    with cost() as it:
        assert (len(read()), len(read())) == (1, 1)
    assert [outcome for _, outcome in it.outcomes] == ["miss", "miss"]
    assert redis_client.exists(entry) == 0
    assert caplog.messages == [f"An answer of {size} bytes was not cached (REDIS_TOOLKIT_MAX_ENTRY_BYTES)."] * 2
    settings.REDIS_TOOLKIT_MAX_ENTRY_BYTES = size
    with cost() as it:
        assert (len(read()), len(read())) == (1, 1)
    assert [outcome for _, outcome in it.outcomes] == ["miss", "hit"]


# Settings


def test_switched_off(read, entry, term, cost, settings):
    """Off, the database answers each time; writes still mark, so on again no old answer is given."""
    settings.REDIS_TOOLKIT_ENABLED = False
    with cost() as it:
        assert (len(read()), len(read())) == (1, 1)
    assert [outcome for _, outcome in it.outcomes] == ["bypass", "bypass"]
    assert it.queries == 2
    term.again(5).save()
    settings.REDIS_TOOLKIT_ENABLED = True
    with cost() as it:
        assert (len(read()), len(read())) == (1, 1)
    assert [outcome for _, outcome in it.outcomes] == ["miss", "hit"]


def test_compression(term, cost, redis_client, settings):
    """Above REDIS_TOOLKIT_COMPRESS_ABOVE payloads are smaller, and the same answers; those stored before stay hits."""
    term.plain(Lesson).update(title="x" * 100)
    sizes = []
    for above in (None, 100):
        settings.REDIS_TOOLKIT_COMPRESS_ABOVE = above
        answer = list(term.cached.refresh().order_by("pk"))
        (key,) = redis_client.keys("rt:q:*")
        sizes.append(redis_client.strlen(key))
        for reading in (100, None):
            settings.REDIS_TOOLKIT_COMPRESS_ABOVE = reading
            with cost() as it:
                assert [each.title for each in term.cached.order_by("pk")] == [each.title for each in answer]
            assert it.outcomes == [("rows", "hit")]
    assert sizes[1] < sizes[0] / 3


def test_another_prefix(read, entry, term, cost, redis_client, settings):
    """Under another prefix everything lies elsewhere: a miss; under the first one the entry is a hit still."""
    settings.REDIS_TOOLKIT_PREFIX = "other"
    with cost() as it:
        assert (len(read()), len(read())) == (1, 1)
    assert [outcome for _, outcome in it.outcomes] == ["miss", "hit"]
    assert {key.split(b":")[0] for key in redis_client.keys("*")} == {b"rt", b"other"}
    settings.REDIS_TOOLKIT_PREFIX = "rt"
    with cost() as it:
        read()
    assert [outcome for _, outcome in it.outcomes] == ["hit"]


class Tenants:
    """Says whose data is asked for."""

    current = "one"


def current_tenant(alias: str) -> str:
    return f"{Tenants.current}:{alias}"


@pytest.fixture
def tenants(settings: Any) -> Iterator[type[Tenants]]:
    """Several tenants under one alias."""
    settings.REDIS_TOOLKIT_TENANT = f"{__name__}.current_tenant"
    yield Tenants
    Tenants.current = "one"


def test_tenants_are_apart(tenants, read, term, cost):
    """What is cached for one tenant is a miss for another, and a write of one ends nothing of the other's."""
    outcomes = []
    with cost() as it:
        for tenant in ("one", "two", "one", "two"):
            tenants.current = tenant
            assert len(read()) == 1
    outcomes += [outcome for _, outcome in it.outcomes]
    assert outcomes == ["miss", "miss", "hit", "hit"]
    tenants.current = "two"
    term.again(5).save()
    with cost() as it:
        read()
        tenants.current = "one"
        read()
    assert [outcome for _, outcome in it.outcomes] == ["miss", "hit"]


# Lives


def life(client: redis.Redis, pattern: str) -> int:
    (key,) = client.keys(pattern)
    left = client.pttl(key)
    client.delete(key)
    return left


@pytest.mark.parametrize(("ttl", "seconds"), [(None, 600), (5, 5), (2.5, 2.5), (timedelta(hours=3), 10_800)], ids=str)
def test_how_long_an_answer_lives(term, redis_client, settings, ttl, seconds):
    """cache(ttl=) bounds the life of an entry, else the manager's; its stamps live twice as long, or longer."""
    settings.REDIS_TOOLKIT_TTL_JITTER = 0
    list(term.cached.all().cache(ttl=ttl))
    assert seconds * 1000 - 2000 < life(redis_client, "rt:q:*") <= seconds * 1000
    stamps = [redis_client.pttl(key) for key in redis_client.keys("rt:s:*")]
    assert min(stamps) > 2000 * max(seconds, 3600) - 2000


def test_lives_are_shortened_at_random(term, redis_client, settings):
    """With a jitter of 0.5 lives lie between half and the whole ttl, and not all at one place."""
    settings.REDIS_TOOLKIT_TTL_JITTER = 0.5
    lives = []
    for at in range(30):
        list(term.cached.filter(period=at))
        lives.append(life(redis_client, "rt:q:*"))
    assert min(lives) > 298_000
    assert max(lives) <= 600_000
    assert max(lives) - min(lives) > 30_000


def test_the_settings_ttl_where_nobody_says(term, redis_client, settings):
    """Without a manager's ttl REDIS_TOOLKIT_CACHE_TTL counts."""
    settings.REDIS_TOOLKIT_TTL_JITTER = 0
    settings.REDIS_TOOLKIT_CACHE_TTL = 50
    list(CachedQuerySet(model=Lesson, using=term.alias))
    assert 48_000 < life(redis_client, "rt:q:*") <= 50_000


@pytest.mark.parametrize(("null_ttl", "seconds"), [(7, 7), (1000, 600)])
def test_how_long_nothing_lives(term, redis_client, settings, null_ttl, seconds):
    """That there is no such row is remembered for REDIS_TOOLKIT_NULL_TTL, or the manager's ttl if that is shorter."""
    settings.REDIS_TOOLKIT_TTL_JITTER = 0
    settings.REDIS_TOOLKIT_NULL_TTL = null_ttl
    with pytest.raises(Lesson.DoesNotExist):
        term.cached.get(pk=10**6)
    assert seconds * 1000 - 2000 < life(redis_client, "rt:r:*") <= seconds * 1000
    assert term.cached.in_bulk([10**6]) == {}
    assert seconds * 1000 - 2000 < life(redis_client, "rt:r:*") <= seconds * 1000


@pytest.mark.parametrize("ttl", [0, -1, timedelta()])
def test_a_life_must_be_positive(term, ttl):
    """A ttl of nothing is refused at once."""
    with pytest.raises(ValueError, match="A ttl is a positive number of seconds or a timedelta"):
        term.cached.all().cache(ttl=ttl)


def test_nocache(term, cost, redis_client):
    """nocache() asks the database each time, reads no entry and stores none; cache() takes that back."""
    lessons = term.cached.filter(group=term.groups[5])
    with cost() as it:
        assert [lessons.nocache().count(), len(lessons.nocache()), lessons.nocache().exists()] == [1, 1, True]
    assert (it.outcomes, it.queries) == ([], 3)
    assert redis_client.keys("rt:q:*") == []
    with cost() as it:
        assert [lessons.nocache().cache().count() for _ in range(2)] == [1, 1]
    assert it.outcomes == [("count", "miss"), ("count", "hit")]


def test_refresh(term, cost):
    """refresh() asks the database each time, and stores what later reads then get."""
    lessons = term.cached.filter(group=term.groups[5])
    with cost() as it:
        for queryset in (lessons, lessons.refresh(), lessons.refresh(), lessons):
            assert queryset.count() == 1
    assert it.outcomes == [("count", "miss")] * 3 + [("count", "hit")]
    assert it.queries == 3
