"""Lists of rows: what is asked in Django's words is answered as Django answers it."""

from __future__ import annotations

import datetime

import pytest
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Value

from tests.app.models import Badge, Cafe, City, Event, Group, Lesson, Place, Poem, Room, Student, Teacher

DAY = datetime.date(2026, 1, 1)
THROUGH = Lesson.students.through

FILTERS = {
    "all": lambda s: s.lessons.all(),
    "equal": lambda s: s.lessons.filter(weekday=2),
    "equal by text": lambda s: s.lessons.filter(weekday="2"),
    "equal to an instance": lambda s: s.lessons.filter(group=s.groups[0]),
    "equal to a key": lambda s: s.lessons.filter(group=s.groups[0].pk),
    "equal to a column": lambda s: s.lessons.filter(group_id=s.groups[0].pk),
    "a pair": lambda s: s.lessons.filter(room=s.rooms[0], weekday=1),
    "a pair apart": lambda s: s.lessons.filter(weekday=1).filter(room_id=s.rooms[0].pk),
    "contradiction": lambda s: s.lessons.filter(group=s.groups[0]).filter(group=s.groups[1]),
    "null": lambda s: s.lessons.filter(room=None),
    "is null": lambda s: s.lessons.filter(room__isnull=True),
    "is not null": lambda s: s.lessons.filter(held__isnull=False),
    "in": lambda s: s.lessons.filter(period__in=[1, 3, 5]),
    "in a tuple": lambda s: s.lessons.filter(period__in=(5, 3, 1)),
    "in a set": lambda s: s.lessons.filter(period__in={2, 4}),
    "in with null": lambda s: s.lessons.filter(room__in=[s.rooms[0].pk, None]),
    "in instances": lambda s: s.lessons.filter(group__in=s.groups[:2]),
    "in a query": lambda s: s.lessons.filter(group__in=Group.objects.using(s.alias).filter(code="g1")),
    "in values": lambda s: s.lessons.filter(group__code__in=Group.objects.using(s.alias).values("code")),
    "in a cached query": lambda s: s.lessons.filter(group__in=s(Group).filter(code="g1")),
    "in a cached query of its own": lambda s: s.lessons.filter(pk__in=s.lessons.filter(weekday=1)),
    "exists, cached": lambda s: s.lessons.filter(
        Exists(s.lessons.filter(room=OuterRef("room"), period__gt=OuterRef("period")))
    ),
    "complex filter": lambda s: s.lessons.complex_filter({"weekday": 1}),
    "in 100": lambda s: s.lessons.filter(group__in=range(1, 101)),
    "in keys": lambda s: s.lessons.filter(pk__in=[each.pk for each in s.list[:3]]),
    "in keys with gaps": lambda s: s.lessons.filter(pk__in=[s.list[0].pk, 10**6]),
    "range": lambda s: s.lessons.filter(period__range=(2, 5)),
    "greater": lambda s: s.lessons.filter(period__gt=3, period__lte=8),
    "float against whole": lambda s: s.lessons.filter(period__gte=2.5),
    "contains": lambda s: s.lessons.filter(title__icontains="ON 1"),
    "starts": lambda s: s.lessons.filter(slug__startswith="lesson-1"),
    "percent": lambda s: s.lessons.filter(title__contains="%"),
    "regex": lambda s: s.lessons.filter(title__regex=r"^Lesson \d$"),
    "iexact": lambda s: s.lessons.filter(title__iexact="LESSON 1"),
    "exclude": lambda s: s.lessons.exclude(weekday=2),
    "exclude null": lambda s: s.lessons.exclude(room=None),
    "exclude many": lambda s: s.lessons.exclude(students__name="Eve"),
    "q or": lambda s: s.lessons.filter(Q(weekday=1) | Q(period=3)),
    "q and": lambda s: s.lessons.filter(Q(weekday=1) & Q(period__gt=3)),
    "q not": lambda s: s.lessons.filter(~Q(weekday=1)),
    "q xor": lambda s: s.lessons.filter(Q(weekday=1) ^ Q(period=5)),
    "q empty": lambda s: s.lessons.filter(Q()),
    "f": lambda s: s.lessons.filter(period__gt=F("weekday")),
    "f arithmetic": lambda s: s.lessons.filter(period=F("weekday") * 2 - 1),
    "f across": lambda s: s.lessons.filter(room__capacity__gt=F("period") * 3),
    "value": lambda s: s.lessons.filter(weekday=Value(2)),
    "across": lambda s: s.lessons.filter(room__building__name="Hall"),
    "across two ways": lambda s: s.lessons.filter(teacher__mentor__name="Ada", group__code="g1"),
    "across many": lambda s: s.lessons.filter(students__name="Eve"),
    "across many twice": lambda s: s.lessons.filter(students__name="Eve").filter(students__name="Fay"),
    "backwards": lambda s: s(Room).filter(lessons__weekday=2),
    "backwards null": lambda s: s(Group).filter(lessons=None),
    "one to one": lambda s: s(Student).filter(badge__label="red"),
    "one to one missing": lambda s: s(Student).filter(badge=None),
    "exists": lambda s: s.lessons.filter(Exists(THROUGH.objects.using(s.alias).filter(lesson=OuterRef("pk")))),
    "not exists": lambda s: s.lessons.filter(~Exists(THROUGH.objects.using(s.alias).filter(lesson=OuterRef("pk")))),
    "subquery": lambda s: s.lessons.filter(
        period=Subquery(
            Lesson.objects.using(s.alias).filter(group=OuterRef("group")).order_by("-period").values("period")[:1]
        )
    ),
    "count of related": lambda s: s.lessons.annotate(n=Count("students")).filter(n__gt=1),
    "json key": lambda s: s.lessons.filter(notes__a=1),
    "json key text": lambda s: s.lessons.filter(notes__a="1"),
    "json key true": lambda s: s.lessons.filter(notes__a=True),
    "json key null": lambda s: s.lessons.filter(notes__a=None),
    "json deep": lambda s: s.lessons.filter(notes__b__0=1),
    "json whole": lambda s: s.lessons.filter(notes={"a": "1", "tags": ["x"]}),
    "json has key": lambda s: s.lessons.filter(notes__has_key="a"),
    "json has keys": lambda s: s.lessons.filter(notes__has_any_keys=["b", "tags"]),
    "json key missing": lambda s: s.lessons.filter(notes__a__isnull=True),
    "date": lambda s: s.lessons.filter(held=DAY),
    "date text": lambda s: s.lessons.filter(held="2026-01-01"),
    "year": lambda s: s.lessons.filter(held__year=2026, held__month__gte=2),
    "week day": lambda s: s.lessons.filter(held__week_day=F("weekday")),
    "uuid": lambda s: s(Badge).filter(pk=s.badges[1].pk),
    "uuid text": lambda s: s(Badge).filter(pk=str(s.badges[1].pk)),
    "text by": lambda s: s(Badge).filter(label="red"),
    "boolean": lambda s: s(Event).filter(public=True),
    "boolean false": lambda s: s(Event).filter(public=False),
    "boolean expression": lambda s: s(Event).filter(Q(public=True) | Q(share__gt=1)),
    "decimal": lambda s: s(Event).filter(amount="0.25"),
    "float": lambda s: s(Event).filter(share__lt=0.5),
    "duration": lambda s: s(Event).filter(lasts__gte=datetime.timedelta(hours=1)),
    "converted": lambda s: s(Event).filter(price="1 EUR"),
    "to a code": lambda s: s(City).filter(country="it"),
    "to a code by instance": lambda s: s(City).filter(country=s.cities[2].country),
    "key of a key": lambda s: s(Poem).filter(author=s.authors[0]),
    "child": lambda s: s(Cafe).filter(stars__gte=3),
    "child by parent's field": lambda s: s(Cafe).filter(name="Park"),
    "parent": lambda s: s(Place).filter(name="Park"),
    "parent of child": lambda s: s(Place).filter(cafe__stars=5),
}

ORDERS = {
    "order": lambda s: s.lessons.order_by("-period"),
    "order by two": lambda s: s.lessons.order_by("weekday", "-slug"),
    "order by relation": lambda s: s.lessons.order_by("room", "period"),
    "order by relation's field": lambda s: s.lessons.order_by("-room__building__name", "period"),
    "order by relation's key": lambda s: s.lessons.order_by("room_id", "period"),
    "order nulls last": lambda s: s.lessons.order_by(F("held").desc(nulls_last=True), "pk"),
    "order nulls first": lambda s: s.lessons.order_by(F("held").asc(nulls_first=True), "pk"),
    "order by expression": lambda s: s.lessons.order_by((F("weekday") - F("period")).desc(), "pk"),
    "order by annotation": lambda s: s.lessons.annotate(n=Count("students")).order_by("-n", "pk"),
    "order by month": lambda s: s.lessons.order_by("held__month", "pk"),
    "meta ordering": lambda s: s(Room).all(),
    "meta ordering undone": lambda s: s(Room).order_by(),
    "meta ordering reversed": lambda s: s(Room).reverse(),
    "reverse": lambda s: s.lessons.order_by("period").reverse(),
    "slice": lambda s: s.lessons.order_by("period")[2:5],
    "slice from": lambda s: s.lessons.order_by("period")[9:],
    "slice of slice": lambda s: s.lessons.order_by("period")[1:9][2:4],
    "slice of equal": lambda s: s.lessons.filter(group=s.groups[0]).order_by("pk")[:2],
    "step": lambda s: s.lessons.order_by("period")[1:8:3],
    "index": lambda s: s.lessons.order_by("period")[3],
    "index too far": lambda s: _index(s.lessons.order_by("period"), 99),
    "first": lambda s: s.lessons.first(),
    "first of ordered": lambda s: s.lessons.order_by("-period").first(),
    "first of none": lambda s: s.lessons.filter(period=99).first(),
    "last": lambda s: s.lessons.last(),
    "last of filtered": lambda s: s.lessons.filter(weekday=1).last(),
    "earliest": lambda s: s.lessons.filter(held__isnull=False).earliest("held", "pk"),
    "latest": lambda s: s.lessons.latest("-weekday", "period"),
    "latest of none": lambda s: s.lessons.filter(period=99).latest("held"),
    "distinct": lambda s: s.lessons.filter(students__name__in=["Eve", "Fay"]).distinct().order_by("pk"),
    "union": lambda s: s.lessons.filter(weekday=1).union(s.lessons.filter(period__lt=3)).order_by("period"),
    "union all": lambda s: s.lessons.filter(weekday=1).union(s.lessons.filter(weekday=1), all=True).order_by("period"),
    "union sliced": lambda s: s.lessons.filter(weekday=1).union(s.lessons.filter(period=3)).order_by("-period")[:2],
    "intersection": lambda s: (
        s.lessons.filter(period__gt=1).intersection(s.lessons.filter(period__lt=6)).order_by("pk")
    ),
    "difference": lambda s: s.lessons.filter(period__gt=1).difference(s.lessons.filter(period__lt=6)).order_by("pk"),
    "combined and": lambda s: s.lessons.filter(period__gt=1) & s.lessons.filter(period__lt=6),
    "combined or": lambda s: s.lessons.filter(period=1) | s.lessons.filter(period=6),
    "combined xor": lambda s: s.lessons.filter(period__lt=4) ^ s.lessons.filter(period__gt=2),
    "only": lambda s: s.lessons.only("title", "group"),
    "defer": lambda s: s.lessons.defer("notes"),
    "defer twice": lambda s: s.lessons.defer("notes").defer("title"),
    "only across": lambda s: s.lessons.select_related("room").only("title", "room__code"),
    "defer across": lambda s: s.lessons.select_related("room").defer("room__capacity", "notes"),
    "only of a child": lambda s: s(Cafe).only("stars").order_by("pk"),
    "model without a manager": lambda s: s(Teacher).order_by("name"),
}


def _index(queryset, at):
    try:
        return queryset[at]
    except IndexError as error:
        return repr(error)


@pytest.mark.parametrize("ask", FILTERS.values(), ids=FILTERS)
def test_filters(agrees, ask):
    """A filtered list is Django's, on the miss and on the hit, and the hit compiles and asks nothing."""
    agrees(ask)


@pytest.mark.parametrize("ask", ORDERS.values(), ids=ORDERS)
def test_orders(agrees, ask):
    """So is an ordered, sliced, combined or partial one, and each single row taken from it."""
    agrees(ask)
