"""Answers that are no instances: values, counts, aggregates, dates."""

from __future__ import annotations

import pytest
from django.db.models import Avg, Count, Exists, F, Max, Min, OuterRef, Q, StdDev, Sum, Value
from django.db.models.functions import Lower, TruncMonth, Upper

from tests.app.models import Badge, Cafe, Event, Group, Room, Student, Teacher
from tests.portraits import outcome, same

VALUES = {
    "all": lambda s: s.lessons.values().order_by("pk"),
    "some": lambda s: s.lessons.order_by("pk").values("title", "period"),
    "reordered": lambda s: s.lessons.order_by("pk").values("period", "title", "id"),
    "key": lambda s: s.lessons.order_by("pk").values("pk"),
    "across": lambda s: s.lessons.order_by("pk").values("room__code", "teacher__mentor__name"),
    "foreign key": lambda s: s.lessons.order_by("pk").values("room", "room_id"),
    "many": lambda s: s.lessons.order_by("pk", "students").values("pk", "students"),
    "json": lambda s: s.lessons.order_by("pk").values("notes"),
    "json key": lambda s: s.lessons.order_by("pk").values("notes__a"),
    "expression": lambda s: s.lessons.order_by("pk").values("pk", big=Upper("title")),
    "annotated": lambda s: s.lessons.order_by("pk").annotate(n=Count("students")).values("title", "n"),
    "grouped": lambda s: s.lessons.values("weekday").annotate(n=Count("pk"), last=Max("period")).order_by("weekday"),
    "grouped across": lambda s: s.lessons.values("teacher__name").annotate(n=Count("pk")).order_by("teacher__name"),
    "grouped, filtered": lambda s: (
        s.lessons.values("weekday").annotate(n=Count("pk")).filter(n__gt=2).order_by("weekday")
    ),
    "group of nothing": lambda s: s.lessons.filter(period=99).values("weekday").annotate(n=Count("pk")),
    "distinct": lambda s: s.lessons.values("weekday").distinct().order_by("weekday"),
    "list": lambda s: s.lessons.order_by("pk").values_list("title", "period"),
    "list reordered": lambda s: s.lessons.order_by("pk").values_list("period", "title"),
    "list of all": lambda s: s.lessons.order_by("pk").values_list(),
    "list flat": lambda s: s.lessons.order_by("pk").values_list("title", flat=True),
    "list flat key": lambda s: s.lessons.order_by("pk").values_list("pk", flat=True),
    "list flat json": lambda s: s.lessons.order_by("pk").values_list("notes", flat=True),
    "list flat uuid": lambda s: s(Badge).order_by("pk").values_list("pk", flat=True),
    "list named": lambda s: s.lessons.order_by("pk").values_list("title", "room__code", named=True),
    "list named expression": lambda s: s.lessons.order_by("pk").values_list("pk", Lower("title"), named=True),
    "list expression": lambda s: s.lessons.order_by("pk").values_list("title", F("period") + 1),
    "list annotated between": lambda s: (
        s.lessons.annotate(n=Count("students")).order_by("pk").values_list("n", "title")
    ),
    "list of converted": lambda s: (
        s(Event).order_by("pk").values_list("price", "words", "file", "lasts", "amount", "share")
    ),
    "list of moments": lambda s: s(Event).order_by("pk").values_list("starts", "day"),
    "child": lambda s: s(Cafe).order_by("pk").values(),
    "values of values": lambda s: s.lessons.order_by("pk").values("title", "period").values("title"),
    "values, then model": lambda s: list(s.lessons.order_by("pk").values()) and s.lessons.order_by("pk"),
    "sliced": lambda s: s.lessons.order_by("-pk").values_list("pk", flat=True)[1:4],
    "first": lambda s: s.lessons.order_by("pk").values("title").first(),
    "get": lambda s: s.lessons.values("title", "group__code").get(pk=s.list[0].pk),
    "get named": lambda s: s.lessons.values_list("pk", named=True).get(slug="lesson-3"),
    "union": lambda s: s.lessons.values_list("title").union(s(Room).order_by().values_list("code")).order_by("title"),
    "union of values": lambda s: s.lessons.values("title").union(s.lessons.values("slug")).order_by("title"),
    "constant": lambda s: s.lessons.order_by("pk").values(x=Value("x"), y=F("pk")),
    "dates": lambda s: s.lessons.dates("held", "month"),
    "dates down": lambda s: s.lessons.filter(group=s.groups[0]).dates("held", "day", order="DESC"),
    "dates of years": lambda s: s(Event).dates("day", "year"),
    "grouped by month": lambda s: s.lessons.values(m=TruncMonth("held")).annotate(n=Count("pk")).order_by("m"),
}

SINGLE = {
    "count": lambda s: s.lessons.count(),
    "count by": lambda s: s.lessons.filter(group=s.groups[0]).count(),
    "count of none found": lambda s: s.lessons.filter(period=99).count(),
    "count of a slice": lambda s: s.lessons.order_by("pk")[2:7].count(),
    "count distinct": lambda s: s.lessons.filter(students__pk__gt=0).distinct().count(),
    "count of groups": lambda s: s.lessons.values("weekday").annotate(n=Count("pk")).count(),
    "count of values": lambda s: s.lessons.values("weekday").distinct().count(),
    "count of a union": lambda s: s.lessons.filter(weekday=1).union(s.lessons.filter(weekday=2)).count(),
    "count of joined": lambda s: s.lessons.filter(students__name="Eve").count(),
    "len": lambda s: len(s.lessons.filter(weekday=1)),
    "bool": lambda s: bool(s.lessons.filter(weekday=99)),
    "exists": lambda s: s.lessons.filter(weekday=1).exists(),
    "exists not": lambda s: s.lessons.filter(weekday=99).exists(),
    "exists in a slice": lambda s: s.lessons.order_by("pk")[100:].exists(),
    "exists in a union": lambda s: s.lessons.filter(weekday=99).union(s.lessons.filter(weekday=1)).exists(),
    "contains": lambda s: s.lessons.contains(s.list[0]),
    "contains not": lambda s: s.lessons.filter(weekday=99).contains(s.list[0]),
    "aggregate": lambda s: s.lessons.aggregate(Count("pk"), Max("period"), Min("held"), Avg("period")),
    "aggregate named": lambda s: s.lessons.aggregate(n=Count("pk"), top=Max("period")),
    "aggregate, one by another's name": lambda s: (
        s.lessons.aggregate(x=Max("period")),
        s.lessons.aggregate(x=Min("period")),
    ),
    "aggregate by another name": lambda s: (s.lessons.aggregate(x=Max("period")), s.lessons.aggregate(y=Max("period"))),
    "aggregate two ways": lambda s: (
        s.lessons.aggregate(x=Max("period"), y=Min("period")),
        s.lessons.aggregate(y=Max("period"), x=Min("period")),
    ),
    "aggregate of nothing": lambda s: s.lessons.filter(period=99).aggregate(Sum("period"), n=Sum("period", default=7)),
    "aggregate arithmetic": lambda s: s.lessons.aggregate(
        x=Sum(F("period") * F("weekday")), y=Max("period") - Min("period")
    ),
    "aggregate filtered": lambda s: s.lessons.aggregate(
        n=Count("pk", filter=Q(weekday=1)), m=Count("pk", filter=Q(weekday=2))
    ),
    "aggregate of distinct": lambda s: s.lessons.aggregate(n=Count("teacher", distinct=True)),
    "aggregate across": lambda s: s.lessons.aggregate(n=Count("students"), c=Max("room__capacity")),
    "aggregate over annotation": lambda s: s(Group).annotate(n=Count("lessons")).aggregate(Max("n"), Avg("n")),
    "aggregate over a slice": lambda s: s.lessons.order_by("pk")[:5].aggregate(Sum("period")),
    "aggregate over values": lambda s: s.lessons.values("weekday").annotate(n=Count("pk")).aggregate(Sum("n")),
    "aggregate of decimals": lambda s: s(Event).aggregate(Sum("amount"), Avg("amount"), Max("lasts"), Sum("lasts")),
    "aggregate of dates": lambda s: s.lessons.aggregate(Max("held"), Min("held")),
    "aggregate over exists": lambda s: s.lessons.filter(
        Exists(Student.objects.using(s.alias).filter(lessons=OuterRef("pk")))
    ).aggregate(n=Count("pk")),
    "deviation": lambda s: s.lessons.aggregate(StdDev("period")),
    "in bulk": lambda s: s.lessons.filter(weekday=1).in_bulk(),
    "in bulk of some": lambda s: s.lessons.filter(weekday=1).in_bulk([s.list[0].pk, s.list[1].pk]),
}
#: Aggregates over a subquery: which tables it reads is not known before it is run, so the database answers.
UNCACHED = {
    "aggregate of exists": lambda s: s.lessons.aggregate(
        n=Count("pk", filter=Exists(Student.objects.using(s.alias).filter(lessons=OuterRef("pk"))))
    ),
    "aggregate of in a query": lambda s: s.lessons.aggregate(
        n=Count("pk", filter=Q(teacher__in=Teacher.objects.using(s.alias).filter(name="Ada")))
    ),
}
#: Answers that Django gives without asking the database.
EMPTY = {
    "none": lambda s: s.lessons.none(),
    "none and more": lambda s: s.lessons.none().filter(weekday=1).order_by("pk").values("pk"),
    "none counted": lambda s: (s.lessons.none().count(), s.lessons.none().exists(), s.lessons.none().first()),
    "none aggregated": lambda s: s.lessons.none().aggregate(n=Count("pk"), m=Max("pk")),
    "in nothing": lambda s: s.lessons.filter(pk__in=[]),
    "empty slice": lambda s: s.lessons.order_by("pk")[3:3],
    "beyond the column": lambda s: s.lessons.filter(pk=2**70),
    "in bulk of nothing": lambda s: (s.lessons.in_bulk([]), s.lessons.in_bulk(()), s.lessons.in_bulk(set())),
}


@pytest.mark.parametrize("ask", VALUES.values(), ids=VALUES)
def test_values(agrees, ask):
    """Dictionaries, tuples, named tuples and single values are Django's, in its order and of its types."""
    agrees(ask)


@pytest.mark.parametrize("ask", SINGLE.values(), ids=SINGLE)
def test_single_answers(agrees, ask):
    """Counts, tests for existence and aggregates are Django's."""
    agrees(ask)


@pytest.mark.parametrize("ask", UNCACHED.values(), ids=UNCACHED)
def test_aggregates_over_subqueries(bypasses, redis_client, ask):
    """An aggregate over a subquery is answered by the database."""
    bypasses(ask, redis_client)


@pytest.mark.parametrize("ask", EMPTY.values(), ids=EMPTY)
def test_answers_without_a_question(school, cost, ask):
    """What is empty by itself asks neither database nor Redis, and keeps nothing from being cached for other values."""
    ours = school.as_cached()
    wanted = outcome(ask, school)
    with cost() as it:
        assert same(wanted, outcome(ask, ours))
    assert it.queries == 0
    with cost() as it:
        for _ in range(2):
            assert list(ours.lessons.filter(pk=school.list[0].pk)) == school.list[:1]
            assert list(ours.lessons.order_by("pk")[3:4]) == school.list[3:4]
    assert it.queries == 2


SHAPES = {
    "a number": lambda q, odd, _: q.filter(weekday=2**70 if odd else 1).only("slug"),
    "a slice": lambda q, odd, _: q.order_by("slug", "pk")[3 : 3 if odd else 5],
    "a list": lambda q, odd, s: q.filter(pk__in=[] if odd else [s.list[0].pk]).only("slug", "held"),
    "nulls": lambda q, odd, s: q.filter(room__in=[None if odd else s.rooms[0].pk]).only("slug", "held"),
}


@pytest.mark.parametrize("ask", SHAPES.values(), ids=SHAPES)
def test_an_empty_answer_first(school, cost, ask):
    """A question that its values make empty keeps none of the same shape from being cached."""
    for side in (school.as_cached().lessons, school.as_cached().lessons.filter(title__gte="")):
        assert list(ask(side, True, school)) == []
        for queries in (1, 0):
            with cost() as it:
                assert len(ask(side, False, school))
            assert it.queries == queries
        assert list(ask(side, True, school)) == []


UNION = {
    "counted": lambda q: q.values_list("title").union(q.values_list("title")).order_by("pk").count(),
    "exists": lambda q: q.order_by("pk").union(q.order_by("pk")).exists(),
    "no such field": lambda q: q.filter(notes__contains={"a": 1}).aggregate(n=Count("nothing")),
}


@pytest.mark.parametrize("ask", UNION.values(), ids=UNION)
def test_what_compiles_only_in_part(school, ask):
    """Where Django compiles less than the whole query, or says something else, so do we."""
    wanted = outcome(ask, school.lessons)
    for _ in range(2):
        assert same(wanted, outcome(ask, school.as_cached().lessons))
