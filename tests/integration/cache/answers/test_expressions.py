"""Answers with expressions in them: annotations, windows, moments in several zones, code that Django does not know."""

from __future__ import annotations

import datetime
import zoneinfo
from decimal import Decimal

import pytest
from django.db.models import (
    Avg,
    BooleanField,
    Case,
    CharField,
    Count,
    DateTimeField,
    DecimalField,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    Func,
    IntegerField,
    JSONField,
    Max,
    Min,
    OuterRef,
    Q,
    StdDev,
    Subquery,
    Sum,
    TextField,
    Transform,
    Value,
    When,
    Window,
)
from django.db.models.fields.tuple_lookups import TupleIn
from django.db.models.functions import (
    Cast,
    Coalesce,
    Concat,
    ExtractHour,
    ExtractWeekDay,
    Greatest,
    JSONObject,
    Lag,
    Left,
    Length,
    Lower,
    NullIf,
    Rank,
    Replace,
    RowNumber,
    StrIndex,
    Substr,
    TruncDate,
    TruncDay,
    TruncHour,
    TruncMonth,
    TruncTime,
    Upper,
)
from django.db.models.lookups import GreaterThan
from django.test.utils import register_lookup
from django.utils import timezone

from tests.app.models import EarlyLesson, Event, Group, Lesson, Room, Student, Teacher
from tests.portraits import outcome, same

ZONES = {name: zoneinfo.ZoneInfo(name) for name in ("Europe/Rome", "Asia/Tokyo", "America/New_York")}

ANNOTATIONS = {
    "value": lambda s: s.lessons.annotate(x=Value("x"), y=Value(1), z=Value(None, output_field=IntegerField())),
    "alias": lambda s: s.lessons.alias(n=Count("students")).filter(n=2),
    "f": lambda s: s.lessons.annotate(x=F("teacher__name"), y=F("period") + 1),
    "count": lambda s: s.lessons.annotate(n=Count("students")),
    "count distinct": lambda s: s(Group).annotate(n=Count("lessons__teacher", distinct=True)),
    "count filtered": lambda s: s(Group).annotate(n=Count("lessons", filter=Q(lessons__weekday=1))),
    "two counts": lambda s: s.lessons.annotate(
        n=Count("students", distinct=True), m=Count("teacher__lessons", distinct=True)
    ),
    "sum of nothing": lambda s: s(Room).annotate(n=Sum("lessons__period", filter=Q(lessons__period__gt=99), default=0)),
    "average": lambda s: s(Teacher).annotate(x=Avg("lessons__period")).order_by("pk"),
    "exists": lambda s: s.lessons.annotate(x=Exists(Student.objects.using(s.alias).filter(lessons=OuterRef("pk")))),
    "subquery": lambda s: s(Group).annotate(
        last=Subquery(
            Lesson.objects.using(s.alias).filter(group=OuterRef("pk")).order_by("-period").values("title")[:1]
        )
    ),
    "case": lambda s: s.lessons.annotate(
        x=Case(When(weekday=1, then=Value("Monday")), When(Q(period__gt=5), then=F("title")), default=Value(""))
    ),
    "case of numbers": lambda s: s(Event).annotate(x=Case(When(public=True, then=F("amount")), default=Decimal("0.5"))),
    "window": lambda s: s.lessons.annotate(
        x=Window(Rank(), partition_by=F("group"), order_by=F("period").desc()),
        y=Window(Lag("period"), order_by="period"),
    ).order_by("pk"),
    "window filtered": lambda s: s.lessons.annotate(
        x=Window(RowNumber(), partition_by=F("group"), order_by="pk")
    ).filter(x=1),
    "filtered relation": lambda s: (
        s(Group)
        .annotate(early=FilteredRelation("lessons", condition=Q(lessons__period__lt=4)))
        .values("code", "early__title")
        .order_by("code", "early__title")
    ),
    "filtered relation of another": lambda s: (
        s(Group)
        .annotate(early=FilteredRelation("lessons", condition=Q(lessons__period__lt=2)))
        .values("code", "early__title")
        .order_by("code", "early__title")
    ),
    "wrapper": lambda s: s.lessons.annotate(x=ExpressionWrapper(Q(period__gt=3), output_field=BooleanField())),
    "wrapped quotient": lambda s: s(Event).annotate(
        x=ExpressionWrapper(F("amount") * 2, output_field=DecimalField(max_digits=9, decimal_places=3))
    ),
    "lookup of two columns": lambda s: s.lessons.filter(TupleIn((F("weekday"), F("period")), [(1, 1), (2, 2)])),
    "lookup": lambda s: s.lessons.annotate(x=GreaterThan(F("period"), F("weekday"))),
    "text functions": lambda s: s.lessons.annotate(
        a=Upper("title"),
        b=Lower("title"),
        c=Length("slug"),
        d=Concat("title", Value("-"), "slug", output_field=TextField()),
        e=Left("title", 3),
        f=Substr("title", 2, 4),
        g=Replace("title", Value("L"), Value("l")),
        h=StrIndex("title", Value("s")),
    ),
    "coalesce": lambda s: s.lessons.annotate(x=Coalesce("room__code", Value("none")), y=NullIf("weekday", "period")),
    "cast": lambda s: s.lessons.annotate(x=Cast("period", CharField(max_length=9)), y=Cast("slug", TextField())),
    "greatest": lambda s: s.lessons.annotate(x=Greatest("period", "weekday")),
    "json key": lambda s: s.lessons.annotate(x=F("notes__a"), y=F("notes__b__2")),
    "json object": lambda s: s.lessons.annotate(x=JSONObject(t="title", n=JSONObject(p="period"))),
    "json value": lambda s: s.lessons.annotate(x=Value({"a": [1]}, output_field=JSONField())),
    "annotation of annotation": lambda s: s.lessons.annotate(x=F("period") * 2).annotate(y=F("x") + 1).filter(y__gt=5),
    "function": lambda s: s.lessons.annotate(x=Func(F("period"), function="ABS")),
    "deviation": lambda s: s(Group).annotate(x=StdDev("lessons__period")).exclude(lessons=None),
    "date parts": lambda s: s.lessons.annotate(x=ExtractWeekDay("held"), y=TruncMonth("held")),
}

MOMENTS = {
    "date": lambda s: s(Event).filter(starts__date=datetime.date(2026, 3, 29)),
    "hour": lambda s: s(Event).filter(starts__hour=12),
    "time": lambda s: s(Event).filter(starts__time__gt=datetime.time(13)),
    "year": lambda s: s(Event).filter(starts__year=2026),
    "date of f": lambda s: s(Event).filter(starts__date=F("day")),
    "exact": lambda s: s(Event).filter(starts=datetime.datetime(2026, 3, 29, 10, tzinfo=datetime.UTC)),
    "exact elsewhere": lambda s: s(Event).filter(
        starts=datetime.datetime(2026, 3, 29, 12, tzinfo=ZONES["Europe/Rome"])
    ),
    "trunc": lambda s: s(Event).annotate(
        a=TruncDay("starts"), b=TruncHour("starts"), c=TruncDate("starts"), d=TruncTime("starts")
    ),
    "trunc elsewhere": lambda s: s(Event).annotate(x=TruncDay("starts", tzinfo=ZONES["Asia/Tokyo"])),
    "extract": lambda s: s(Event).annotate(x=ExtractHour("starts")),
    "extract elsewhere": lambda s: s(Event).annotate(x=ExtractHour("starts", tzinfo=ZONES["America/New_York"])),
    "order by hour": lambda s: s(Event).order_by("starts__hour", "pk"),
    "order by f": lambda s: s(Event).order_by(F("starts__hour").desc(nulls_last=True), "pk"),
    "values": lambda s: s(Event).order_by("pk").values("starts__date", "starts__hour"),
    "group by day": lambda s: s(Event).values("starts__date").annotate(n=Count("pk")).order_by("starts__date"),
    "dates": lambda s: s(Event).dates("day", "month"),
    "datetimes": lambda s: s(Event).datetimes("starts", "day"),
    "datetimes elsewhere": lambda s: s(Event).datetimes("starts", "hour", tzinfo=ZONES["Asia/Tokyo"], order="DESC"),
    "aggregate": lambda s: s(Event).aggregate(n=Count("pk", filter=Q(starts__hour=12)), h=Max("starts__hour")),
    "aggregate of days": lambda s: s(Event).aggregate(n=Count("starts__date", distinct=True), first=Min("starts")),
    "filtered relation": lambda s: s(Student).filter(lessons__held__month=1).count(),
    "exists": lambda s: s(Event).filter(starts__hour__gte=23).exists(),
    "count": lambda s: s(Event).filter(starts__date__lt=datetime.date(2026, 3, 30)).count(),
    "cast": lambda s: s(Event).annotate(x=Cast("starts", DateTimeField())),
}


class Halved(Transform):
    """A project's own transform: only its SQL says what it is."""

    lookup_name = "halved"
    template = "%(expressions)s / 2"


class Twice(Func):
    """A project's own function."""

    template = "%(expressions)s * 2"


OPAQUE = {
    "transform": lambda s: s.lessons.filter(period__halved=2),
    "other transform": lambda s: s.lessons.filter(period__halved=3),
    "function": lambda s: s.lessons.annotate(x=Twice("period")),
    "function in order": lambda s: s.lessons.order_by(Twice("period"), "pk"),
    "values": lambda s: s.lessons.filter(period__halved=2).values(),
    "count": lambda s: s.lessons.filter(period__halved=2).count(),
    "exists": lambda s: s.lessons.filter(period__halved=77).exists(),
}


@pytest.mark.parametrize("ask", ANNOTATIONS.values(), ids=ANNOTATIONS)
def test_annotations(agrees, ask):
    """Annotated rows are Django's, and a hit compiles nothing."""
    agrees(ask)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("ask", MOMENTS.values(), ids=MOMENTS)
def test_moments_in_a_zone(agrees, ask, zone):
    """What depends on the current time zone is answered for that zone."""
    with timezone.override(ZONES[zone]):
        agrees(ask)


@pytest.mark.parametrize("ask", MOMENTS.values(), ids=MOMENTS)
def test_zones_do_not_mix(school, ask):
    """The answer given in one zone is never given in another."""
    ours = school.as_cached()
    for zone in ZONES.values():
        with timezone.override(zone):
            assert same(outcome(ask, school), outcome(ask, ours))


@pytest.mark.parametrize("ask", OPAQUE.values(), ids=OPAQUE)
def test_what_only_sql_identifies(agrees, ask):
    """A query with code of the project's own is known by its SQL: a hit compiles it, and asks nothing."""
    with register_lookup(IntegerField, Halved):
        agrees(ask, compiles=True)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_one_sql_and_several_answers(school, first):
    """Dictionaries, instances and instances of a proxy come of one SQL, and none is taken for another."""
    asks = [
        lambda s: s.lessons.filter(period__halved=2 + first).order_by("pk").values(),
        lambda s: s.lessons.filter(period__halved=2 + first).order_by("pk"),
        lambda s: s(EarlyLesson).filter(period__halved=2 + first).order_by("pk"),
    ]
    ours = school.as_cached()
    with register_lookup(IntegerField, Halved):
        for ask in (asks[first:] + asks[:first]) * 2:
            assert same(outcome(ask, school), outcome(ask, ours))
