"""Entries that are not what they should be: a miss and a warning, never an error to the caller."""

from __future__ import annotations

import logging
import zlib

import pytest
from django.db.models import CharField, Value
from django.db.models.expressions import Func
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redis_toolkit.cache import cached
from redis_toolkit.cache.stamps import TOKEN_SIZE
from tests.app.models import Event, Lesson

ENTRIES, STAMPS = "rt:[qrf]:*", "rt:s:*"
#: Where the payload begins, less the tokens: layout, flags, fingerprint, run, number, times.
HEAD = 1 + 1 + 8 + 8 + 1 + 8 + 4 + 4


@cached(depends_on=[Lesson])
def titles():
    """The titles of all lessons of the default database."""
    return list(Lesson.objects.order_by("pk").values_list("title", flat=True))


ASKS = {
    "get": lambda s: s.lessons.get(pk=s.list[0].pk).title,
    "in bulk": lambda s: s.lessons.in_bulk([s.list[0].pk])[s.list[0].pk].title,
    "rows": lambda s: [row.title for row in s.lessons.filter(group=s.groups[0]).order_by("pk")],
    "joined": lambda s: [row.room and row.room.code for row in s.lessons.select_related("room").order_by("pk")],
    "values": lambda s: list(s.lessons.filter(group=s.groups[0]).order_by("pk").values_list("title", flat=True)),
    "count": lambda s: s.lessons.filter(group=s.groups[0]).count(),
    "exists": lambda s: s.lessons.filter(group=s.groups[0]).exists(),
    "function": lambda _: titles(),
}
#: What is stored as one plain value.
PLAIN = [ASKS[name] for name in ("count", "exists", "function")]
#: What may lie at an entry's key instead of it; ``None`` for what is no string to Redis.
GARBAGE = {
    "empty": lambda entry, at: b"",
    "text": lambda entry, at: b"hello",
    "zeros": lambda entry, at: bytes(200),
    "ones": lambda entry, at: b"\xff" * 200,
    "another layout": lambda entry, at: b"\x63" + entry[1:],
    "another fingerprint": lambda entry, at: entry[:2] + b"12345678" + entry[10:],
    "another run": lambda entry, at: entry[:10] + b"12345678" + entry[18:],
    "another token": lambda entry, at: entry[:19] + b"t12345678" + entry[28:],
    "too many stamps": lambda entry, at: entry[:18] + b"\xff" + entry[19:],
    "head alone": lambda entry, at: entry[:18],
    "cut in the times": lambda entry, at: entry[: at - 1],
    "no payload": lambda entry, at: entry[:at],
    "half the payload": lambda entry, at: entry[: at + (len(entry) - at) // 2],
    "another payload": lambda entry, at: entry[:at] + b"\xc1\xc1\xc1",
    "rows without columns": lambda entry, at: entry[:at] + b"\x91\x90",
    "two rows without columns": lambda entry, at: entry[:at] + b"\x92\x90\x90",
    "payload and more": lambda entry, at: entry + b"more",
    "compressed, but is not": lambda entry, at: entry[:1] + b"\x01" + entry[2:],
    "unknown flags": lambda entry, at: entry[:1] + b"\xf1" + entry[2:],
    "a bomb": lambda entry, at: entry[:1] + b"\x01" + entry[2:at] + zlib.compress(bytes(100 * 1024 * 1024), 1),
    "a list": None,
}


@pytest.fixture
def warnings(caplog):
    """The cache's warnings so far."""
    caplog.set_level(logging.WARNING, "redis_toolkit.cache")
    return lambda: [record.getMessage() for record in caplog.records]


def payload_at(entry):
    return HEAD + TOKEN_SIZE * entry[18]


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_garbage_at_the_entry(school, redis_client, cost, ask):
    """Whatever lies at an entry's key, the database answers, and the entry is written anew."""
    ours = school.as_cached()
    wanted = ask(ours)
    (key,) = redis_client.keys(ENTRIES)
    whole = redis_client.get(key)
    for name, garbage in GARBAGE.items():
        if "without columns" in name and ask in PLAIN:
            continue  # a list of nothing, and well written
        redis_client.delete(key)
        if garbage is None:
            redis_client.rpush(key, "a", "b")
        else:
            redis_client.set(key, garbage(whole, payload_at(whole)))
        with cost() as it:
            assert ask(ours) == wanted, name
        assert (it.queries, it.outcomes[0][1]) == (1, "miss"), name
        with cost() as it:
            assert ask(ours) == wanted, name
        assert it.queries == 0, name


@pytest.mark.parametrize("ask", [ASKS["get"], ASKS["in bulk"]], ids=["get", "in bulk"])
def test_an_entry_of_no_row(school, redis_client, cost, ask):
    """An entry of one row that holds none, or two, is loaded again."""
    ours = school.as_cached()
    wanted = ask(ours)
    (key,) = redis_client.keys(ENTRIES)
    whole = redis_client.get(key)
    at = payload_at(whole)
    row = whole[at + 1 :]
    for payload in (b"\x90", b"\x92" + row + row):
        redis_client.set(key, whole[:at] + payload)
        with cost() as it:
            assert ask(ours) == wanted
        assert it.queries == 1


def test_unreadable_entries_are_told_of(school, redis_client, cost, warnings):
    """An entry that cannot be read gives a warning and the signal; one of other times or code is a plain miss."""
    ours = school.as_cached()
    ASKS["rows"](ours)
    (key,) = redis_client.keys(ENTRIES)
    whole = redis_client.get(key)
    for name, told in (
        ("another payload", 1),
        ("half the payload", 1),
        ("a bomb", 1),
        ("zeros", 1),
        ("another layout", 1),
        ("another run", 0),
        ("another fingerprint", 0),
        ("another token", 0),
    ):
        before = len(warnings())
        redis_client.set(key, GARBAGE[name](whole, payload_at(whole)))
        with cost() as it:
            ASKS["rows"](ours)
        assert (len(warnings()) - before, len(it.failures)) == (told, told), name
    assert all("could not be read and is loaded again" in line for line in warnings())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_damage(school, redis_client, data):
    """An entry changed, cut or added to anywhere before its payload: never an error, and never another answer."""
    ours = school.as_cached()
    wanted = ASKS["rows"](ours)
    (key,) = redis_client.keys(ENTRIES)
    entry = bytearray(redis_client.get(key))
    at = data.draw(st.integers(0, payload_at(entry) - 13), label="at")
    match data.draw(st.sampled_from(["change", "cut", "add"]), label="damage"):
        case "change":
            entry[at] ^= data.draw(st.integers(1, 255), label="by")
        case "cut":
            del entry[at:]
        case _:
            entry[at:at] = data.draw(st.binary(min_size=1, max_size=20), label="added")
    redis_client.set(key, bytes(entry))
    assert ASKS["rows"](ours) == wanted
    redis_client.delete(key)


class Odd(Func):
    """An expression that makes of a value what its SQL does not tell."""

    template = "%(expressions)s"
    output_field = CharField()

    def convert_value(self, value, expression, connection):
        return object()


def test_a_value_that_cannot_be_stored(school, cost, redis_client):
    """What no codec can keep without loss is answered by the database each time."""
    asked = Event.cached.db_manager(school.alias).annotate(x=Odd(Value("x"))).order_by("pk")
    for _ in range(2):
        with cost() as it:
            assert {type(row.x) for row in asked.all()} == {object}
        assert it.queries == 1
    assert redis_client.keys(ENTRIES) == []
