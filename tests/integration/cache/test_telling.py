"""What watchers are told of each read: why it was no hit, what ended it, what it took."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from django.db import connections, transaction
from django.http import HttpResponse
from django.template import engines
from django.test import RequestFactory

from redis_toolkit.cache import CachedPages, cached, cached_view, prefetch_cached, refreshing, trust
from redis_toolkit.cache.freshness import Terms
from redis_toolkit.cache.stamps import mark, new_transaction_id, subject_of, unmark_all
from redis_toolkit.cache.tables import tables
from redis_toolkit.core.clock import travel
from redis_toolkit.core.connections import link
from redis_toolkit.signals import cache_read
from redis_toolkit.testing import ValkeyServer
from tests.app.models import Cafe, Lesson, Room
from tests.integration.cache.term import Term

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

ARGUMENTS = {
    "sender", "kind", "outcome", "alias", "seconds", "name", "key", "count", "reason", "stamp", "pins", "loaded", "size",
}  # fmt: skip


class Told(list[dict[str, Any]]):
    """What was told, in this order."""

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        """These arguments of each; and nothing is left of what was told."""
        found = [tuple(each[name] for name in names) for each in self]
        self.clear()
        return found


@pytest.fixture
def told(term: Term) -> Iterator[Told]:
    """What is told of the reads of a test, with all that was promised."""
    found = Told()

    def hear(signal: Any, **arguments: Any) -> None:
        found.append(arguments)

    cache_read.connect(hear)
    yield found
    cache_read.disconnect(hear)
    assert all(set(each) == ARGUMENTS for each in found)


def get(term: Term) -> Any:
    """The read of all tests of a reason."""
    return term.cached.get(pk=term.lessons[5].pk)


def entry_of(told: Told) -> str:
    key: str = told[-1]["key"]
    told.clear()
    return key


def spoilt(at: int) -> Callable[[Term, Told, Any], None]:
    """Changes one byte of the entry."""

    def spoil(term: Term, told: Told, client: Any) -> None:
        get(term)
        key = entry_of(told)
        entry = bytearray(client.get(key))
        entry[at] ^= 255
        client.set(key, bytes(entry))

    return spoil


def empty(term: Term, told: Told, client: Any) -> None:
    assert client.keys("rt:r:*") == []


def ended(term: Term, told: Told, client: Any) -> None:
    get(term)
    term.plain(Lesson).filter(pk=term.lessons[5].pk).update(period=50)
    told.clear()


def evicted_stamp(term: Term, told: Told, client: Any) -> None:
    get(term)
    assert client.delete(*client.keys("rt:s:*")) == 3
    told.clear()


MISSES: dict[str, tuple[str, Callable[[Term, Told, Any], None]]] = {
    "nothing is there": ("empty", empty),
    "a write": ("ended", ended),
    "its stamps are gone": ("ended", evicted_stamp),
    "other columns": ("columns", spoilt(2)),
    "another run": ("run", spoilt(10)),
    "another layout": ("unreadable", spoilt(0)),
}


@pytest.mark.parametrize(("reason", "prepare"), MISSES.values(), ids=MISSES)
def test_why_it_is_a_miss(term, told, redis_client, reason, prepare):
    """Each reason for which an answer is loaded and stored, once; the next read is a hit and has no reason."""
    prepare(term, told, redis_client)
    get(term)
    get(term)
    outcomes = [(each["outcome"], each["reason"]) for each in told]
    assert outcomes == [("miss", reason), ("hit", "")]
    miss, hit = told
    assert (miss["key"], miss["count"], miss["pins"], miss["name"]) == (hit["key"], 1, ("id",), "")
    assert hit["pins"] == ()
    assert hit["size"] == miss["size"] == redis_client.strlen(hit["key"]) > 0
    # (Four bytes tell how long the load took.)
    assert hit["loaded"] == pytest.approx(miss["loaded"], rel=1e-6)
    assert 0 < miss["loaded"] < miss["seconds"]


def test_a_refresh_that_is_asked_for(term, told):
    """`refresh()` loads though a valid answer is there: a miss that was asked for."""
    asked = term.cached.filter(group=term.groups[5])
    list(asked), list(asked.refresh())
    assert told.of("outcome", "reason", "pins") == [("miss", "empty", ("group",)), ("miss", "asked", ("group",))]


def test_a_miss_that_is_early(term, told, settings):
    """With the dice loaded each read finds its answer nearly over, and makes it anew."""
    settings.REDIS_TOOLKIT_EARLY_EXPIRY = 1e12
    get(term), get(term)
    assert told.of("outcome", "reason") == [("miss", "empty"), ("miss", "due")]


def test_a_refresh_in_the_background(term, told, monkeypatch):
    """Past its `fresh`: given as a hit, and made anew for nobody, with the reason."""
    monkeypatch.setattr(Lesson._meta.managers_map["cached"], "terms", Terms(fresh=60.0))
    get(term)
    with travel(61):
        get(term)
        refreshing.wait()
    found = told.of("outcome", "reason", "key")
    assert {each[:2] for each in found} == {("miss", "empty"), ("hit", ""), ("refresh", "due")}
    assert len({key for _, _, key in found}) == 1


def test_an_answer_that_is_allowed_to_be_old(term, told, monkeypatch):
    """Within its `stale`: a read and its refresh both say which write has ended the answer, and what it took."""
    monkeypatch.setattr(Lesson._meta.managers_map["cached"], "terms", Terms(stale=3600.0))
    # (Found valid by this process, which may then give it for a while.)
    get(term), get(term)
    row = tables(term.alias).by_name["app_lesson"].stamps(term.alias, [f"id={term.lessons[5].pk}"])
    # (What this process has written itself is not given any more.)
    unmark_all(link(), [(row[0], new_transaction_id())])
    get(term)
    refreshing.wait()
    miss, _, stale, renewed = told
    assert [(each["outcome"], each["reason"]) for each in told] == [
        ("miss", "empty"), ("hit", ""), ("stale", "ended"), ("refresh", "ended"),
    ]  # fmt: skip
    assert subject_of(stale["stamp"]) == subject_of(renewed["stamp"]) == ("app.Lesson", "row")
    assert (stale["size"], stale["loaded"]) == (miss["size"], pytest.approx(miss["loaded"], rel=1e-6))


# Bypasses


def stamps_of(term: Term) -> list[str]:
    return list(tables(term.alias).by_name["app_lesson"].whole(term.alias))


@pytest.fixture
def read_bypassed(term: Term, told: Told) -> Callable[[str], None]:
    """Reads once, and sees that it was a bypass for this reason."""

    def check(reason: str) -> None:
        told.clear()
        get(term)
        (it,) = told
        assert (it["outcome"], it["reason"], it["stamp"], it["size"]) == ("bypass", reason, "", None)
        assert 0 < it["loaded"] <= it["seconds"]
        term.cached.in_bulk([each.pk for each in term.lessons[:3]])
        assert [(each["outcome"], each["reason"], each["count"]) for each in told[1:]] == [("bypass", reason, 3)]

    return check


def test_bypass_off(read_bypassed, settings):
    """The cache is switched off."""
    settings.REDIS_TOOLKIT_ENABLED = False
    read_bypassed("off")


def test_bypass_transaction(term, read_bypassed):
    """The transaction around the read has written the table."""
    with transaction.atomic(using=term.alias):
        term.plain(Lesson).filter(pk=term.lessons[0].pk).update(period=50)
        read_bypassed("transaction")


def test_bypass_writing(term, read_bypassed):
    """Somebody else is writing: the table is marked."""
    mark(link(), stamps_of(term), new_transaction_id())
    read_bypassed("writing")


def test_bypass_snapshot(term, read_bypassed):
    """What the connection sees may be old: SQLite in any transaction, PostgreSQL above READ COMMITTED."""
    with transaction.atomic(using=term.alias):
        if connections[term.alias].vendor == "postgresql":
            with connections[term.alias].cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        read_bypassed("snapshot")
    # That its level was set is remembered as long as it is open: what the next test reads in a transaction is not stored.
    connections[term.alias].close()


def test_bypass_untrusted(term, read_bypassed):
    """Redis is back, and not everybody may have noticed yet."""
    trust.regained()
    read_bypassed("untrusted")


def test_bypass_outage_and_breaker(term, told, valkey: ValkeyServer):
    """Redis is gone: the reads that find out say so, three, and then the breaker is open."""
    valkey.kill()
    for _ in range(5):
        get(term)
    assert told.of("outcome", "reason") == [("bypass", "outage")] * 3 + [("bypass", "breaker")] * 2


UNCACHEABLE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a random order": ("rows", lambda asked: list(asked.order_by("?"))),
    "a count": ("count", lambda asked: asked.extra(where=["1 = 1"]).count()),
    "whether there is one": ("exists", lambda asked: asked.extra(where=["1 = 1"]).exists()),
}


@pytest.mark.parametrize(("kind", "ask"), UNCACHEABLE.values(), ids=UNCACHEABLE)
def test_bypass_uncacheable(term, told, cost, kind, ask):
    """What is never cached is one bypass and one query, each time; Redis is not asked."""
    before = link().round_trips
    with cost() as it:
        ask(term.cached.all())
    assert (it.queries, link().round_trips - before) == (1, 0)
    assert told.of("sender", "kind", "outcome", "reason", "key", "alias") == [
        (Lesson, kind, "bypass", "uncacheable", "", term.alias)
    ]


def test_what_asks_for_the_database_is_not_told_of(term, told):
    """`nocache()`, `iterator()`, `refresh_from_db()`, locks, and what is empty without a question: no signal."""
    list(term.cached.nocache())
    list(term.cached.iterator())
    get(term).refresh_from_db()
    list(term.cached.none())
    term.cached.filter(pk__in=[]).count()
    with transaction.atomic(using=term.alias):
        list(term.cached.select_for_update())
    assert told.of("kind", "outcome") == [("get", "miss")]


# What ended it


def list_all(term: Term) -> Any:
    return list(term.cached.all())


def list_group(term: Term) -> Any:
    return list(term.cached.filter(group=term.groups[5]))


def list_place(term: Term) -> Any:
    return list(term.cached.filter(room=term.rooms[1], weekday=term.lessons[5].weekday))


def list_period(term: Term) -> Any:
    return list(term.cached.filter(period=5, title="Lesson 5"))


ENDS: dict[str, tuple[Callable[[Term], Any], str, tuple[str, ...]]] = {
    "the row": (get, "row", ("id",)),
    "all rows": (list_all, "*", ()),
    "a declared value": (list_group, "group", ("group",)),
    "a declared pair": (list_place, "room,weekday", ("room", "weekday")),
    "columns that nobody declares": (list_period, "*", ("title", "period")),
}


@pytest.mark.parametrize(("ask", "what", "pins"), ENDS.values(), ids=ENDS)
def test_what_ended_it(term, told, ask, what, pins):
    """A write to one row ends answers of five sorts, and each says by which stamp, and what its query pins."""
    ask(term)
    lesson = term.again(5)
    lesson.title += "!"
    lesson.save()
    told.clear()
    ask(term)
    (it,) = told
    assert (it["reason"], subject_of(it["stamp"]), it["pins"]) == ("ended", ("app.Lesson", what), pins)


@pytest.mark.parametrize("ending", ["count", "exists"])
def test_a_query_that_is_asked_twice(term, told, ending):
    """What is found out for watchers leaves the query as it was: it can be counted, and then its rows are wanted."""
    asked = term.cached.order_by("period")
    getattr(asked, ending)()
    assert len(asked) == len(term.lessons)
    assert told.of("kind", "pins") == [(ending, ()), ("rows", ())]


def test_what_ended_it_in_another_table(term, told):
    """A query that reads two tables tells which of them was written."""
    asked = term.cached.filter(room__code="r1")
    list(asked)
    term.plain(Room).filter(pk=term.rooms[0].pk).update(code="other")
    told.clear()
    list(asked.all())
    assert [subject_of(each["stamp"]) for each in told] == [("app.Room", "*")]


def test_a_row_that_was_not_there(term, told):
    """*There is no such row* is ended by the row that is added."""
    gone = term.lessons[-1].pk + 1
    for _ in range(2):
        with pytest.raises(Lesson.DoesNotExist):
            term.cached.get(pk=gone)
    term.lesson(10, period=99).save(using=term.alias)
    assert told.of("outcome") == [("miss",), ("hit",)]
    assert term.cached.get(pk=gone).period == 99
    assert [subject_of(each["stamp"]) for each in told] == [("app.Lesson", "new")]


def test_subjects(term, settings):
    """A stamp's key says of which table and columns it is; a column by the name of its field; other keys nothing."""
    table = tables(term.alias).by_name["app_lesson"]
    names = ("", "*", "new", "id=7", "group_id=5", "room_id=1,weekday=4", "slug=~abc")
    found = [subject_of(stamp) for stamp in table.stamps(term.alias, names)]
    assert {model for model, _ in found} == {"app.Lesson"}
    assert [what for _, what in found] == ["*", "*", "new", "row", "group", "room,weekday", "slug"]
    (cafe,) = tables(term.alias).by_name[Cafe._meta.db_table].stamps(term.alias, ["place_ptr_id=1"])
    assert subject_of(cafe) == ("app.Cafe", "row")
    for strange in ("", "rt", "rt:s", "rt:s:default", "rt:s:default:no_table:*", "rt:q:default:app_lesson", "x:s:y:z"):
        assert subject_of(strange) == ("", "")
    settings.REDIS_TOOLKIT_PREFIX = "another"
    assert subject_of(table.whole(term.alias)[0]) == ("app.Lesson", "*")


# Many rows


def test_many_rows(term, told, redis_client):
    """Of four rows one is there, one was ended, two were never stored: three signals, one of them with the load."""
    keys = [each.pk for each in term.lessons[:4]]
    term.cached.in_bulk(keys[:2])
    (first,) = told
    assert (first["kind"], first["outcome"], first["reason"], first["count"], first["key"]) == (
        "bulk", "miss", "empty", 2, "",
    )  # fmt: skip
    # (Of two rows one may be a byte longer: 128 is longer than 127.)
    sizes = [redis_client.strlen(f"rt:r:{term.alias}:app.lesson:id={key}") for key in keys[:2]]
    assert first["size"] == sum(sizes) > sizes[0] > 0
    term.plain(Lesson).filter(pk=keys[1]).update(period=50)
    told.clear()
    term.cached.in_bulk(keys)
    hit, dead, missing = told
    assert [(each["outcome"], each["reason"], each["count"]) for each in told] == [
        ("hit", "", 1), ("miss", "ended", 1), ("miss", "empty", 2),
    ]  # fmt: skip
    assert subject_of(dead["stamp"]) == ("app.Lesson", "row")
    assert [each["pins"] for each in told] == [("id",)] * 3
    assert (hit["size"], hit["loaded"]) == (sizes[0], pytest.approx(first["loaded"], rel=1e-6))
    assert dead["loaded"] > 0
    assert missing["loaded"] is None
    assert missing["seconds"] == pytest.approx(2 * dead["seconds"])
    told.clear()
    term.cached.in_bulk(keys)
    assert told.of("outcome", "count", "reason", "stamp") == [("hit", 4, "", "")]


def test_rows_of_relations_and_pages(term, told):
    """What fetches many rows by key tells of all of them: ten lessons of two rooms, and pages of four."""
    lessons = list(term.plain(Lesson).all())
    prefetch_cached(lessons, "room")
    assert told.of("sender", "kind", "outcome", "count") == [(Room, "bulk", "miss", 2)]
    CachedPages(term.cached.order_by("pk"), size=4).page()
    assert told.of("sender", "kind", "outcome", "count") == [
        (Lesson, "rows", "miss", 1), (Lesson, "bulk", "miss", 4),
    ]  # fmt: skip


# What is known by a name


@cached(depends_on=[Lesson])
def number(group: Any) -> int:
    return 7


@cached(depends_on=[Lesson], key="tests.awaited")
async def awaited(group: Any) -> int:
    return 7


@cached_view(depends_on=[Lesson])
def page(request: Any) -> Any:
    return HttpResponse("x")


@cache
def sidebar() -> Any:
    text = '{% load redis_toolkit %}{% cached 600 sidebar who depends_on="app.Lesson" %}x{% endcached %}'
    return engines["django"].from_string(text)


def fragment(asked: Any) -> Any:
    return sidebar().render({"who": asked})


def view(asked: Any) -> Any:
    return page(RequestFactory().get("/", headers={} if asked == 1 else {"authorization": "x"}))


NAMED: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "a function": ("value", f"{__name__}.number", number),
    "a function that is awaited": ("value", "tests.awaited", lambda asked: asyncio.run(awaited(asked))),
    "a fragment": ("fragment", "sidebar", fragment),
    "a view": ("view", f"{__name__}.page", view),
}


@pytest.mark.parametrize("alias", ["default"], indirect=True)
@pytest.mark.parametrize(("kind", "name", "ask"), NAMED.values(), ids=NAMED)
def test_names(term, told, kind, name, ask):
    """A miss, a hit, a miss after a write that says what it was, and a bypass for what no key can tell."""
    ask(1), ask(1)
    term.plain(Lesson).filter(pk=term.lessons[5].pk).update(period=50)
    ask(1), ask(object())
    assert {(each["sender"], each["kind"], each["name"], each["alias"]) for each in told} == {
        (None, kind, name, "default")
    }
    miss, hit, dead, bypass = told
    assert [(each["outcome"], each["reason"]) for each in told] == [
        ("miss", "empty"), ("hit", ""), ("miss", "ended"), ("bypass", "uncacheable"),
    ]  # fmt: skip
    assert subject_of(dead["stamp"]) == ("app.Lesson", "*")
    assert miss["key"] == hit["key"] == dead["key"] != ""
    assert (bypass["key"], bypass["size"]) == ("", None)
    assert hit["size"] == miss["size"] > 0


def test_nothing_is_asked_for_it(term, told):
    """With somebody who listens a miss is the three round trips that it is without, and a hit the one."""
    before = link().round_trips
    get(term)
    assert link().round_trips - before == 3
    get(term)
    assert link().round_trips - before == 4
