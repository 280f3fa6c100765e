"""Rows by key: ``get`` and ``in_bulk`` in every spelling, and what Django says to odd ones."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal

import pytest

from tests.app.models import (
    Author,
    Badge,
    Cafe,
    Chair,
    City,
    Country,
    EarlyLesson,
    Event,
    Glass,
    Group,
    Lesson,
    Place,
    Poem,
    Room,
    Student,
    Teacher,
    Topic,
    Ware,
    Witness,
)
from tests.portraits import outcome, same

GET = {
    "pk": lambda s: s.lessons.get(pk=s.list[0].pk),
    "id": lambda s: s.lessons.get(id=s.list[0].pk),
    "pk as text": lambda s: s.lessons.get(pk=str(s.list[0].pk)),
    "pk as a float": lambda s: s.lessons.get(pk=float(s.list[0].pk)),
    "pk exactly": lambda s: s.lessons.get(pk__exact=s.list[0].pk),
    "unique": lambda s: s.lessons.get(slug="lesson-3"),
    "unique in other letters": lambda s: s.lessons.get(slug="LESSON-3"),
    "unique, empty": lambda s: s.lessons.get(slug=""),
    "unique, odd letters": lambda s: s.lessons.get(slug="lésson:{3}*\n%41"),
    "unique, very long": lambda s: s.lessons.get(slug="x" * 5000),
    "constraint": lambda s: s.lessons.get(teacher=s.teachers[0], weekday=1, period=0),
    "constraint in another order": lambda s: s.lessons.get(period=0, weekday=1, teacher=s.teachers[0].pk),
    "constraint by columns": lambda s: s.lessons.get(weekday=1, teacher_id=s.teachers[0].pk, period=0),
    "constraint of none": lambda s: s.lessons.get(teacher=s.teachers[0], weekday=1, period=99),
    "constraint by text": lambda s: s.lessons.get(teacher=s.teachers[0], weekday="1", period="0"),
    "two conditions": lambda s: s.lessons.get(pk=s.list[0].pk, weekday=1),
    "two conditions, one wrong": lambda s: s.lessons.get(pk=s.list[0].pk, weekday=2),
    "pk and unique": lambda s: s.lessons.get(pk=s.list[0].pk, slug="lesson-0"),
    "pk twice": lambda s: s.lessons.get(pk=s.list[0].pk, id=s.list[1].pk),
    "across": lambda s: s.lessons.get(teacher__name="Ada", group__code="g1", weekday=1),
    "of a list": lambda s: s.lessons.filter(group=s.groups[0]).get(slug="lesson-2"),
    "of another list": lambda s: s.lessons.filter(group=s.groups[1]).get(slug="lesson-2"),
    "of a partial row": lambda s: s.lessons.only("title").get(pk=s.list[0].pk),
    "uuid": lambda s: s(Badge).get(pk=s.badges[0].pk),
    "uuid as text": lambda s: s(Badge).get(pk=str(s.badges[0].pk)),
    "uuid as hex": lambda s: s(Badge).get(pk=s.badges[0].pk.hex.upper()),
    "uuid of none": lambda s: s(Badge).get(pk=uuid.UUID(int=99)),
    "one to one": lambda s: s(Badge).get(owner=s.students[0]),
    "one to one by column": lambda s: s(Badge).get(owner_id=s.students[0].pk),
    "one to one backwards": lambda s: s(Student).get(badge=s.badges[0]),
    "child": lambda s: s(Cafe).get(pk=s.cafes[0].pk),
    "child by its parent": lambda s: s(Cafe).get(place_ptr=s.cafes[0].place_ptr),
    "child by itself": lambda s: s(Cafe).get(place_ptr=s.cafes[0]),
    "child by its parent's key": lambda s: s(Cafe).get(id=s.cafes[0].pk),
    "no child": lambda s: s(Cafe).get(pk=s.places[0].pk),
    "parent of a child": lambda s: s(Place).get(pk=s.cafes[0].pk),
    "proxy": lambda s: s(EarlyLesson).get(pk=s.list[0].pk),
    "key of a key": lambda s: s(Author).get(pk=s.students[1].pk),
    "key of a key by instance": lambda s: s(Author).get(student=s.students[1]),
    "to a key of a key": lambda s: s(Poem).get(cover=s.authors[1]),
    "to a key of a key by column": lambda s: s(Poem).get(cover_id=s.authors[1].pk),
    "together, to a code": lambda s: s(City).get(country="it", name="Udine"),
    "together, to an instance by code": lambda s: s(City).get(name="Udine", country=s.cities[0].country),
    "text key": lambda s: s(Country).get(code="it"),
    "two columns": lambda s: s(Chair).get(pk=(1, 1)),
    "two columns apart": lambda s: s(Chair).get(hall=2, number=1),
    "two columns of none": lambda s: s(Chair).get(pk=(1, 99)),
    "two columns as text": lambda s: s(Chair).get(pk=("1", "0")),
    "two columns in a list": lambda s: s(Chair).filter(pk__in=[(1, 0), (2, 1), (9, 9)]).order_by("pk"),
    "two columns in order": lambda s: s(Chair).order_by("-pk"),
    "two columns as a value": lambda s: s(Chair).order_by("pk").values_list("pk", "holder"),
    "half the key": lambda s: s(Chair).filter(hall=1).order_by("number"),
    "generic": lambda s: s(Topic).filter(tags__text="t0").get(),
    "generated": lambda s: s(Ware).get(loud="A"),
    "no manager": lambda s: s(Room).get(pk=s.rooms[0].pk),
    "own construction": lambda s: s(Witness).get(pk=s.witnesses[0].pk),
    "own descriptor": lambda s: s(Glass).get(pk=s.glasses[0].pk),
    "every kind of field": lambda s: s(Event).get(pk=s.events[1].pk),
    "none there": lambda s: s.lessons.get(pk=10**6),
    "many there": lambda s: s.lessons.get(weekday=1),
    "too many there": lambda s: s.lessons.filter(students__pk__gt=0).get(),
    "all": lambda s: s.lessons.get(),
    "json": lambda s: s.lessons.get(notes={"a": "1", "tags": ["x"]}, period=2),
}
#: What Django refuses before it asks the database.
REFUSED = {
    "no number": lambda s: s.lessons.get(pk="x"),
    "pk as an instance": lambda s: s.lessons.get(pk=s.list[0]),
    "in bulk of instances": lambda s: s.lessons.in_bulk(s.list[:2]),
    "empty text": lambda s: s.lessons.get(pk=""),
    "a list": lambda s: s.lessons.get(pk=[1]),
    "a tuple": lambda s: s.lessons.get(pk=(1, 2)),
    "a dictionary": lambda s: s.lessons.get(pk={}),
    "one column of two": lambda s: s(Chair).get(pk=1),
    "three columns of two": lambda s: s(Chair).get(pk=(1, 2, 3)),
    "no number of two": lambda s: s(Chair).get(pk=("x", 1)),
    "a decimal": lambda s: s.lessons.get(pk=Decimal("NaN")),
    "no such field": lambda s: s.lessons.get(nothing=1),
    "no such lookup": lambda s: s.lessons.get(pk__nothing=1),
    "no uuid": lambda s: s(Badge).get(pk="x"),
    "a number for a uuid": lambda s: s(Badge).get(pk=[]),
    "another model": lambda s: s.lessons.get(group=s.rooms[0]),
    "another model in a set": lambda s: s.lessons.get(teacher=s.rooms[0], weekday=1, period=0),
    "unsaved": lambda s: s.lessons.get(group=Group()),
    "unsaved in a set": lambda s: s.lessons.get(teacher=Teacher(), weekday=1, period=0),
    "unsaved key of a key": lambda s: s(Poem).get(cover=Author()),
    "no date": lambda s: s.lessons.get(held="x"),
    "a query of two columns": lambda s: s.lessons.get(pk__in=s(Group).values("pk", "code")),
    "in bulk, no number": lambda s: s.lessons.in_bulk(["x"]),
    "in bulk, a list": lambda s: s.lessons.in_bulk([[1]]),
    "in bulk, no iterable": lambda s: s.lessons.in_bulk(5),
    "in bulk, no unique field": lambda s: s.lessons.in_bulk([1], field_name="weekday"),
    "in bulk, no field": lambda s: s.lessons.in_bulk([1], field_name="nothing"),
    "in bulk of a slice": lambda s: s.lessons.order_by("pk")[:2].in_bulk(),
    "filter after a slice": lambda s: s.lessons.order_by("pk")[:2].filter(weekday=1),
    "order after a slice": lambda s: s.lessons.all()[:2].order_by("pk"),
    "distinct after a slice": lambda s: s.lessons.all()[:2].distinct(),
    "negative index": lambda s: s.lessons.order_by("pk")[-1],
    "negative slice": lambda s: s.lessons.order_by("pk")[-2:],
    "index of text": lambda s: s.lessons.order_by("pk")["x"],
    "order by nothing there": lambda s: s.lessons.order_by("nothing"),
    "join nothing there": lambda s: list(s.lessons.select_related("nothing")),
    "join no relation": lambda s: list(s.lessons.select_related("title")),
    "values of nothing there": lambda s: s.lessons.values("nothing"),
    "only nothing there": lambda s: list(s.lessons.only("nothing")),
    "latest by nothing": lambda s: s.lessons.latest(),
    "aggregate of nothing there": lambda s: s.lessons.aggregate(x="title"),
    "annotate over a field": lambda s: s.lessons.annotate(title=1),
    "contains unsaved": lambda s: s.lessons.contains(Lesson()),
    "contains no model": lambda s: s.lessons.contains(1),
    "joined after values": lambda s: s.lessons.values("pk").select_related("room"),
    "unequal union": lambda s: s.lessons.filter(pk=1).union(s.lessons.all()).filter(pk=1),
    "keyword twice": lambda s: s.lessons.filter(room__in=3),
    "is null of no boolean": lambda s: s.lessons.filter(room__isnull="x"),
    "unknown in exclude": lambda s: s.lessons.exclude(nothing=1),
    "moment for a date": lambda s: s.lessons.filter(held=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)).values(
        "nope"
    ),
    "none of a related model": lambda s: s.lessons.filter(group=None).get(),
    "null key": lambda s: s.lessons.get(pk=None),
    "beyond the column": lambda s: s.lessons.get(pk=2**70),
    "below the column": lambda s: s.lessons.get(pk=-(2**70)),
    "beyond a column of a set": lambda s: s.lessons.get(teacher=s.teachers[0], weekday=2**40, period=0),
}

#: What Django answers on one database and refuses on another, or answers without asking.
ODD = {
    "contains another model": lambda s: s.lessons.contains(s.rooms[0]),
    "in bulk, beyond the column": lambda s: s.lessons.in_bulk([2**70, s.list[0].pk]),
}

BULK = {
    "some": lambda s: s.lessons.in_bulk([each.pk for each in s.list[:5]]),
    "with gaps": lambda s: s.lessons.in_bulk([s.list[0].pk, 10**6, s.list[1].pk, -1]),
    "gaps only": lambda s: s.lessons.in_bulk([10**6]),
    "twice the same": lambda s: s.lessons.in_bulk([s.list[0].pk, s.list[0].pk]),
    "as text": lambda s: s.lessons.in_bulk([str(s.list[0].pk)]),
    "as text and number": lambda s: s.lessons.in_bulk([str(s.list[0].pk), s.list[0].pk]),
    "of a set": lambda s: s.lessons.in_bulk({s.list[0].pk, s.list[1].pk}),
    "of a generator": lambda s: s.lessons.in_bulk(each.pk for each in s.list[:2]),
    "of keys": lambda s: s.lessons.in_bulk(dict.fromkeys([s.list[0].pk])),
    "by field": lambda s: s.lessons.in_bulk(["lesson-1", "lesson-2"], field_name="slug"),
    "by pk": lambda s: s.lessons.in_bulk([s.list[0].pk], field_name="pk"),
    "by id": lambda s: s.lessons.in_bulk([s.list[0].pk], field_name="id"),
    "all": lambda s: s.lessons.in_bulk(),
    "all by field": lambda s: s.lessons.in_bulk(field_name="slug"),
    "with null": lambda s: s.lessons.in_bulk([None, s.list[0].pk]),
    "true is one": lambda s: s.lessons.in_bulk([True]),
    "uuids": lambda s: s(Badge).in_bulk([each.pk for each in s.badges]),
    "two columns": lambda s: s(Chair).in_bulk([(1, 0), (2, 1), (9, 9)]),
    "uuids as text": lambda s: s(Badge).in_bulk([str(each.pk) for each in s.badges]),
    "children": lambda s: s(Cafe).in_bulk([each.pk for each in s.cafes]),
    "parents": lambda s: s(Place).in_bulk([each.pk for each in (*s.cafes, *s.places)]),
    "of keys of keys": lambda s: s(Author).in_bulk([s.students[1].pk]),
    "filtered": lambda s: s.lessons.filter(weekday=1).in_bulk([each.pk for each in s.list[:5]]),
    "own construction": lambda s: s(Witness).in_bulk([s.witnesses[0].pk]),
    "converted": lambda s: s(Event).in_bulk([each.pk for each in s.events]),
}


@pytest.mark.parametrize("ask", GET.values(), ids=GET)
def test_get(agrees, ask):
    """A row by key, by what is unique or by anything else is Django's, and so is what get() raises."""
    agrees(ask)


@pytest.mark.parametrize("ask", BULK.values(), ids=BULK)
def test_in_bulk(agrees, ask):
    """Rows in bulk are Django's, by the keys and of the types Django gives (it promises no order)."""
    agrees(lambda side: dict(sorted(ask(side).items())))


@pytest.mark.parametrize("ask", REFUSED.values(), ids=REFUSED)
def test_refusals(school, cost, ask):
    """What Django refuses is refused in its words, whatever was cached before; nothing fails in the cache."""
    ours = school.as_cached()
    wanted = outcome(ask, school)
    assert wanted[0] == "raised"
    with cost() as it:
        for _ in range(2):
            assert same(wanted, found := outcome(ask, ours)), (wanted, found)
            ours.lessons.get(pk=school.list[0].pk)
    assert it.failures == []


@pytest.mark.parametrize("ask", ODD.values(), ids=ODD)
def test_oddities(school, ask):
    """Whatever Django makes of it, the cached answer is the same."""
    wanted = outcome(ask, school)
    for _ in range(2):
        assert same(wanted, outcome(ask, school.as_cached()))


def test_in_bulk_asks_for_what_is_missing_only(school, cost):
    """Of fifty keys of which one is not cached, one is asked for; absent ones are remembered as absent."""
    manager = Lesson.cached.db_manager(school.alias)
    keys = [each.pk for each in school.list]
    assert list(manager.in_bulk([*keys[1:], 10**6])) == keys[1:]
    with cost() as it:
        assert list(manager.in_bulk([*keys, 10**6])) == keys
    assert it.queries == 1
    assert it.sql[0].endswith(f"IN ({keys[0]})")
    with cost() as it:
        assert list(manager.in_bulk([10**6, *reversed(keys)])) == keys[::-1]
    assert it.queries == 0


def test_a_get_and_a_bulk_share_entries(school, cost):
    """What in_bulk() has loaded get() finds, in the order and the manner it likes; and the other way round."""
    manager = Lesson.cached.db_manager(school.alias)
    manager.in_bulk([each.pk for each in school.list])
    manager.get(slug="lesson-1")
    with cost() as it:
        for each in school.list:
            assert manager.get(pk=each.pk) == manager.get(id=each.pk) == each
        assert manager.get(slug="lesson-1") == school.list[1]
    assert (it.queries, it.outcomes) == (0, [("get", "hit")] * 25)


def test_in_bulk_by_instances_of_a_key_that_is_a_relation(school):
    """in_bulk() of instances, where Django takes them for their keys, gives the keys back, on a hit and on a miss."""
    wanted = Author.objects.using(school.alias).in_bulk([school.students[1]])
    assert list(wanted) == [school.students[1].pk]
    for _ in range(2):
        assert Author.cached.db_manager(school.alias).in_bulk([school.students[1]]) == wanted
