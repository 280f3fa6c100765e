"""Calls that are written down instead of worked out: which values take part, and how chains grow."""

from __future__ import annotations

import copy
import datetime
import uuid
from decimal import Decimal
from itertools import count

import pytest
from django.db.models import F, Q
from django.utils.safestring import mark_safe

from redis_toolkit.cache import traces
from redis_toolkit.cache.traces import Asked, root, values_of
from tests.app.models import Author, Badge, Cafe, City, Country, EarlyLesson, Event, Glass, Group, Lesson, Poem, Student

UNIQUE = uuid.UUID(int=7)
DAY = datetime.date(2026, 3, 1)
MOMENT = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


class Five(int):
    """A number that may mean more than it shows."""


class Days(list):
    """A list that may give other things than it holds."""


@pytest.fixture(autouse=True)
def forgotten():
    """Each test begins with no traces."""
    traces.forget()
    yield
    traces.forget()


@pytest.mark.parametrize(
    ("kwargs", "columns", "values"),
    [
        ({}, [], ()),
        ({"group": 5}, ["group_id exact"], (5,)),
        ({"group_id": 5}, ["group_id exact"], (5,)),
        ({"group": Group(pk=5)}, ["group_id exact"], (5,)),
        ({"group__in": [Group(pk=5), 6]}, ["group_id in"], ([5, 6],)),
        ({"pk": 7}, ["id exact"], (7,)),
        ({"id__exact": 7}, ["id exact"], (7,)),
        ({"pk__in": (7, 8)}, ["id in"], ([7, 8],)),
        ({"title": "x"}, ["title exact"], ("x",)),
        ({"title__in": ["x"]}, ["title in"], (["x"],)),
        ({"weekday__gt": 1, "weekday__lte": 3}, ["weekday gt", "weekday lte"], (1, 3)),
        ({"weekday__gte": 1, "period__lt": 3}, ["weekday gte", "period lt"], (1, 3)),
        ({"room__isnull": True}, ["room_id isnull"], (True,)),
        ({"room_id__isnull": False}, ["room_id isnull"], (False,)),
        ({"held": DAY}, ["held exact"], (DAY,)),
        ({"teacher": 2, "room": 3}, ["teacher_id exact", "room_id exact"], (2, 3)),
        ({"room": 3, "teacher": 2}, ["room_id exact", "teacher_id exact"], (3, 2)),
    ],
    ids=count(),
)
def test_values_that_django_cannot_refuse(kwargs, columns, values):
    """Own fields and values of just the column's type are taken as they stand, in the order given."""
    pins, plain = values_of(Lesson, kwargs)
    assert [f"{pin.column} {pin.lookup}" for pin in pins] == columns
    assert plain == values


@pytest.mark.parametrize(
    "kwargs",
    [
        {"group": "5"},
        {"group": 5.0},
        {"group": True},
        {"group": Five(5)},
        {"group": None},
        {"group": Group()},
        {"group": Student(pk=5)},
        {"group_id": Group(pk=5)},
        {"group": F("teacher")},
        {"group__in": []},
        {"group__in": {5}},
        {"group__in": Days([5])},
        {"group__in": [5, None]},
        {"group__in": [5, "6"]},
        {"group__in": iter([5])},
        {"group__in": Group.objects.values("pk")},
        {"group__gt": 5},
        {"group__code": "g1"},
        {"group__isnull": 1},
        {"group__isnull": None},
        {"weekday__isnull": "yes"},
        {"weekday__range": (1, 2)},
        {"weekday__contains": 1},
        {"weekday": Decimal(1)},
        {"title": mark_safe("x")},
        {"title": 5},
        {"title__iexact": "x"},
        {"title__startswith": "x"},
        {"held": MOMENT},
        {"held": "2026-03-01"},
        {"held__year": 2026},
        {"notes": {}},
        {"notes__a": 1},
        {"students": 5},
        {"nothing": 5},
        {"": 5},
        {"group": 5, "title__iexact": "x"},
        {"group": Q(pk=5)},
    ],
    ids=count(),
)
def test_what_is_left_to_django(kwargs):
    """What Django might convert, look into, or refuse is Django's to say."""
    assert values_of(Lesson, kwargs) is None


@pytest.mark.parametrize(
    ("model", "kwargs", "asked"),
    [
        (Badge, {"pk": UNIQUE}, Asked("id", "exact", uuid.UUID, None)),
        (Badge, {"owner": 5}, Asked("owner_id", "exact", int, Student)),
        (Badge, {"label": "red"}, Asked("label", "exact", str, None)),
        (Event, {"public": True}, Asked("public", "exact", bool, None)),
        (Event, {"day__gte": DAY}, Asked("day", "gte", datetime.date, None)),
        (City, {"country": "it"}, Asked("country_id", "exact", str, None)),
        (City, {"country_id__in": ["it"]}, Asked("country_id", "in", str, None)),
        (Author, {"pk": 5}, Asked("student_id", "exact", int, None)),
        (Author, {"student": 5}, Asked("student_id", "exact", int, Student)),
        (Poem, {"author": 5}, Asked("author_id", "exact", int, Author)),
        (EarlyLesson, {"group": 5}, Asked("group_id", "exact", int, Group)),
        (Cafe, {"stars": 5}, Asked("stars", "exact", int, None)),
    ],
    ids=count(),
)
def test_what_is_asked(model, kwargs, asked):
    """A keyword becomes a column, a lookup, a type, and the model whose instances may stand for its key."""
    assert values_of(model, kwargs) == ((asked,), tuple(kwargs.values()))


@pytest.mark.parametrize(
    ("model", "kwargs"),
    [
        (Badge, {"pk": str(UNIQUE)}),
        (Event, {"public": 1}),
        (Event, {"starts": MOMENT}),
        (Event, {"amount": Decimal(1)}),
        (Event, {"share": 0.5}),
        (Event, {"lasts": datetime.timedelta(1)}),
        (Event, {"file": "x"}),
        (Event, {"data": {}}),
        (Event, {"price": "5"}),
        (Event, {"words": []}),
        (Glass, {"text": "x"}),
        (Cafe, {"name": "x"}),
        (Cafe, {"place_ptr__name": "x"}),
        (City, {"country": Country(pk=1, code="it")}),
        (City, {"country": 1}),
        (Student, {"badge": UNIQUE}),
    ],
    ids=count(),
)
def test_columns_that_are_left_to_django(model, kwargs):
    """Moments, fractions, JSON, files, fields of the project's own and columns of other tables take no part."""
    assert values_of(model, kwargs) is None


def test_an_instance_of_a_row_stands_for_its_key():
    """A saved instance of just the related model is its key; one whose key is another's row, too."""
    assert values_of(Poem, {"author": Author(student_id=5)})[1] == (5,)
    assert values_of(Badge, {"owner": Student(pk=5)})[1] == (5,)


# Chains


def test_the_same_calls_lead_to_the_same_trace():
    """A chain that was accepted once is found again; one that was not is not."""
    start = root(Lesson)
    pins = values_of(Lesson, {"group": 5})[0]
    assert start.after("filter", ("group",)) is None
    grown = start.grow("filter", ("group",), pins)
    assert start.after("filter", ("group",)) is grown
    assert start.grow("filter", ("group",), pins) is grown
    assert root(Lesson) is start
    assert (start.pins, grown.pins) == ((), pins)
    assert grown.after("filter", ("group",)) is None


def test_a_trace_is_named_by_its_path():
    """Model, calls and their order make the digest; nothing else does."""
    group, teacher, order = ("filter", ("group",)), ("filter", ("teacher",)), ("order_by", ("group",))
    grown = [root(Lesson).grow(*call, ()) for call in (group, teacher, order, ("filter", ("group", "teacher")))]
    twice = [grown[0].grow(*teacher, ()), grown[1].grow(*group, ())]
    others = [root(EarlyLesson).grow(*group, ()), root(Badge)]
    digests = [trace.digest for trace in (root(Lesson), *grown, *twice, *others)]
    assert len(set(digests)) == 9
    assert {len(digest) for digest in digests} == {32}
    traces.forget()
    assert root(Lesson).digest == digests[0]
    assert root(Lesson).grow(*group, ()).digest == digests[1]


def test_a_slice_stays_a_slice():
    """Whatever follows a slice is sliced."""
    sliced = root(Lesson).grow("slice", (0, 5), ())
    assert (root(Lesson).is_sliced, sliced.is_sliced, sliced.grow("using", ("x",), ()).is_sliced) == (False, True, True)


def test_pins_add_up():
    """A trace has the pins of all its calls, in the order of the values asked for."""
    group, _ = values_of(Lesson, {"group": 5})
    day, _ = values_of(Lesson, {"weekday__gt": 1})
    grown = root(Lesson).grow("filter", ("group",), group).grow("slice", (0, 5), (None,)).grow("filter", ("d",), day)
    assert grown.pins == (*group, None, *day)


def test_there_is_an_end_of_traces():
    """Only 4096 shapes are remembered; the next chain is worked out each time, and those known go on."""
    first = root(Lesson).grow("filter", ("group",), ())
    for at in range(4095):
        assert root(Lesson).grow("slice", (0, at), ()) is not None
    assert root(Lesson).grow("slice", (1, 2), ()) is None
    assert first.grow("slice", (1, 2), ()) is None
    assert root(Lesson).after("filter", ("group",)) is first


def test_copies_are_the_same_trace():
    """A copied queryset goes on along the same path."""
    trace = root(Lesson)
    assert copy.copy(trace) is copy.deepcopy(trace) is trace
