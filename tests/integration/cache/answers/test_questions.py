"""Any question, in any words: two that differ never share an answer, and each answer is Django's."""

from __future__ import annotations

import datetime
from decimal import Decimal
from functools import reduce
from uuid import UUID

import pytest
from django.db.models import Count, Exists, F, Max, OuterRef, Q, Sum, Value
from django.utils import timezone
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.models import Badge, Cafe, EarlyLesson, Event, Everything, Lesson, Room, Student, Teacher
from tests.portraits import outcome, same

DAY = datetime.date(2026, 1, 1)
MOMENT = datetime.datetime(2026, 3, 29, 10, tzinfo=datetime.UTC)
#: Values that Python or a database may take for one another.
VALUES = st.sampled_from(
    [
        0,
        1,
        2,
        3,
        -1,
        2**31,
        2**63,
        2**64,
        1.0,
        1.5,
        True,
        False,
        None,
        "1",
        " 1",
        "",
        "x",
        "red",
        "Lesson 1",
        "lesson-1",
        "event 1",
        Decimal(1),
        Decimal("0.25"),
        DAY,
        "2026-01-01",
        MOMENT,
        MOMENT.replace(tzinfo=None),
        UUID(int=1),
        str(UUID(int=1)),
        [1],
        (1,),
        {1},
        [1, 2],
        [2, 1],
        (1, 2),
        {1, 2},
        ["1"],
        [True],
        [1, None],
        [],
        [DAY],
        ["red", "blue"],
        {"a": 1},
        {"a": "1"},
        {"a": True},
        {1: "a"},
        {True: 1},
        {"True": 1},
        Value(1),
        F("period"),
        b"1",
        mark_safe("red"),
        lazystr("red"),
        Everything.Colour.RED,
        Everything.Weekday.MONDAY,
    ]
)
FIELDS = {
    Lesson: (
        "pk",
        "id",
        "title",
        "slug",
        "group",
        "group_id",
        "teacher",
        "room",
        "room_id",
        "weekday",
        "period",
        "notes",
        "held",
        "group__code",
        "room__building",
        "students",
        "notes__a",
        "held__month",
    ),
    EarlyLesson: ("pk", "group", "weekday", "slug"),
    Event: (
        "pk",
        "name",
        "starts",
        "day",
        "data",
        "price",
        "amount",
        "share",
        "public",
        "starts__date",
        "starts__hour",
        "data__n",
    ),
    Badge: ("pk", "owner", "label", "owner__name"),
    Cafe: ("pk", "place_ptr", "id", "name", "stars"),
    Room: ("pk", "code", "capacity", "building", "lessons"),
    Student: ("pk", "name", "badge", "badge__label", "lessons__period"),
    Teacher: ("pk", "name", "mentor", "mentor__mentor", "lessons__weekday"),
}
LOOKUPS = ("", "", "", "__in", "__isnull", "__gt", "__lte", "__contains", "__range", "__iexact", "__exact")
JOINS = {
    Lesson: ("group", "room", "room__building", "teacher__mentor"),
    EarlyLesson: ("group",),
    Badge: ("owner__badge",),
    Student: ("badge",),
    Teacher: ("mentor",),
    Room: ("building",),
    Cafe: ("place_ptr",),
    Event: ("nothing",),
}
ZONES = st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"])


def _bound(values):
    """The next value, as the end of a slice."""
    value = next(values)
    return value if type(value) is int and value < 5 else None


def filters(model):
    """A ``filter`` or ``exclude`` of one or two conditions, plain or in a Q, on values that come later."""
    condition = st.tuples(st.sampled_from(FIELDS[model]), st.sampled_from(LOOKUPS)).map("".join)
    asked = st.lists(condition, min_size=1, max_size=2, unique=True)
    return st.one_of(
        st.builds(
            lambda method, names: lambda q, values: getattr(q, method)(**{name: next(values) for name in names}),
            st.sampled_from(["filter", "exclude"]),
            asked,
        ),
        st.builds(
            lambda names, negated, connector: (
                lambda q, values: q.filter(
                    Q(*[(name, next(values)) for name in names], _negated=negated, _connector=connector)
                )
            ),
            asked,
            st.booleans(),
            st.sampled_from([Q.AND, Q.OR, Q.XOR]),
        ),
    )


def orders(model):
    names = st.sampled_from([sign + name for name in FIELDS[model] for sign in ("", "-")])
    return st.lists(names, max_size=2).map(lambda chosen: lambda q, _: q.order_by(*chosen, "pk"))


def shapes(model):
    """What changes the form of the answer."""
    names = st.lists(st.sampled_from(FIELDS[model]), min_size=1, max_size=3, unique=True)
    return st.one_of(
        names.map(lambda chosen: lambda q, _: q.values(*chosen)),
        names.map(lambda chosen: lambda q, _: q.values_list(*chosen)),
        names.map(lambda chosen: lambda q, _: q.values_list(chosen[0], flat=True)),
        names.map(lambda chosen: lambda q, _: q.values(chosen[0]).annotate(n=Count("pk")).order_by(chosen[0])),
        names.map(lambda chosen: lambda q, _: q.only(chosen[0])),
        names.map(lambda chosen: lambda q, _: q.defer(*chosen)),
        names.map(lambda chosen: lambda q, _: q.annotate(x=F(chosen[0]))),
        st.just(lambda q, values: q.annotate(x=Value(next(values)))),
        st.sampled_from(JOINS[model]).map(lambda name: lambda q, _: q.select_related(name)),
        st.just(lambda q, _: q.distinct()),
        st.just(lambda q, _: q.reverse()),
        st.just(lambda q, _: q.all()),
        st.just(
            lambda q, _: (
                q.filter(Exists(model.objects.using(q.db).filter(pk=OuterRef("pk"), pk__gt=2)))
                if hasattr(model, "objects")
                else q
            )
        ),
        st.just(lambda q, _: q.none()),
        st.just(lambda q, values: q[slice(_bound(values), _bound(values))]),
    )


def endings(model):
    """What is wanted in the end."""
    return st.sampled_from(
        [
            lambda q: q,
            lambda q: q,
            lambda q: q,
            lambda q: q,
            list,
            lambda q: q.count(),
            lambda q: q.exists(),
            lambda q: q.first(),
            lambda q: q.last(),
            len,
            lambda q: q.aggregate(n=Count("pk"), m=Max("pk")),
            lambda q: q.aggregate(n=Count("pk", distinct=True)),
            lambda q: q.aggregate(m=Sum("pk")),
            lambda q: q.get(),
            lambda q: q.in_bulk([1, 2]),
            lambda q: q.get(pk=1),
            lambda q: q.contains(model(pk=1)),
            lambda q: (q.count(), list(q), q.count(), q.exists()),
            lambda q: list(q.filter(pk__gt=1)) + list(q),
        ]
    )


#: A question with gaps, and what fills them, several times: questions alike in all but their values or the zone.
ASSIGNMENTS = st.lists(st.tuples(st.lists(VALUES, min_size=10, max_size=10), ZONES), min_size=1, max_size=3)
QUESTIONS = st.sampled_from(list(FIELDS)).flatmap(
    lambda model: st.tuples(
        st.just(model),
        st.lists(st.one_of(filters(model), orders(model), shapes(model)), max_size=3),
        endings(model),
        ASSIGNMENTS,
    )
)


def ask_of(model, steps, ending, values):
    """The question as a function of the side that is asked."""

    def ask(side):
        left = iter(values)
        return ending(reduce(lambda queryset, step: step(queryset, left), steps, side(model).all()))

    return ask


@pytest.mark.filterwarnings("ignore:.*received a naive datetime:RuntimeWarning")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(question=QUESTIONS)
def test_every_answer_is_djangos(school, question):
    """Whatever was asked before, in whatever zone: the cached answer is the database's, errors and their words too."""
    model, steps, ending, assignments = question
    ours = school.as_cached()
    for values, zone in [*assignments, *assignments]:
        ask = ask_of(model, steps, ending, values)
        with timezone.override(zone):
            wanted, found = outcome(ask, school), outcome(ask, ours)
        assert same(wanted, found), (wanted, found)
