"""Questions in Django's words: lists of such as differ, and of such as are the same."""

from __future__ import annotations

import copy
import datetime
import zoneinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    Func,
    IntegerField,
    Max,
    Min,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
    When,
    Window,
)
from django.db.models.functions import (
    Cast,
    ExtractHour,
    Lower,
    Rank,
    RowNumber,
    TruncDay,
    TruncHour,
    Upper,
)
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe

from tests.app.models import Badge, Cafe, EarlyLesson, Event, Group, Lesson, Place, Room, Student, Teacher

__all__ = ["DAY", "DIFFERENT", "NOON", "ROME", "SAME", "TOKYO", "q"]

DAY = datetime.date(2026, 1, 1)
NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
ROME, TOKYO = zoneinfo.ZoneInfo("Europe/Rome"), zoneinfo.ZoneInfo("Asia/Tokyo")


def q(model: Any = Lesson) -> QuerySet[Any]:
    """Everything of ``model``, by Django's own queryset."""
    return QuerySet(model)


# Each of these is another question than every other one in its list.
DIFFERENT = {
    "types of one value": [
        q(Event).filter(data=value)
        for value in (1, True, 1.0, "1", Decimal(1), b"1", None, [1], (1,), {"1": 1}, {"1": True}, {"1": "1"},
        {1: 1.0})
    ] + [q(Event).filter(data__contains={True: 1}), q(Event).filter(data__contains={"True": 1})],
    "keys of a dictionary": [
        q(Event).filter(data__contains=value)
        for value in ({"a": 1}, {"b": 1}, {"a": 2}, {"a": 1, "b": 1}, {True: 1}, {"True": 1}, {None: 1},
        {"None": 1}, {})
    ],
    "nested values": [
        q(Event).filter(data=value)
        for value in ({"a": [1]}, {"a": [1, 2]}, {"a": [[1]]}, {"a": {"b": 1}}, {"a": None}, [{"a": 1}], [["a", 1]],
        [])
    ],
    "values of constants": [
        q().annotate(x=Value(value)) for value in (1, True, 1.0, "1", Decimal(1), DAY, NOON, "2026-01-01", b"1")
    ],
    "types of a constant": [
        q().annotate(x=Value(None, output_field=field))
        for field in (CharField(), TextField(), IntegerField(), CharField(max_length=5))
    ],
    "text and number": [q().filter(period=1), q().filter(slug="1"), q().filter(title="1"), q().filter(weekday=1)],
    "null": [q().filter(room=None), q().filter(room__isnull=False), q().filter(room=1), q().exclude(room=None)],
    "the order of a list": [q().filter(pk__in=[1, 2]), q().filter(pk__in=[2, 1]), q().filter(pk__in=[1]),
        q().filter(pk=1)],
    "lists of odd types": [
        q(Event).filter(data__in=value) for value in ([1, "1"], ["1", 1], [1, 1], ["1", "1"], [True, 1], [1.0, 1],
        [None, 1])
    ],
    "filter and exclude": [q().filter(weekday=1), q().exclude(weekday=1), q().filter(~Q(weekday=2)),
        q().exclude(~Q(weekday=1))],
    "connectors": [q().filter(Q(("weekday", 1), ("period", 1), _connector=each)) for each in ("AND", "OR", "XOR")],
    "one filter or two": [
        q().filter(students__name="a", students__pk=1), q().filter(students__name="a").filter(students__pk=1),
        q().filter(students__name="a").filter(students__pk=1, students__name="a"),
    ],
    "joins": [
        q().filter(room__code="a"), q().filter(Q(room__code="a") | Q(weekday=1)),
        q().filter(room__building__name="a"),
        q().filter(teacher__name="a"), q().filter(teacher__mentor__name="a"), q().order_by("room__code"),
        q().exclude(room__code="a"),
    ],
    "lookups": [
        q().filter(**{f"title{lookup}": "a"})
        for lookup in ("", "__iexact", "__contains", "__icontains", "__gt", "__gte", "__lt", "__lte", "__regex",
        "__startswith")
    ],
    "fields": [q().filter(group=1), q().filter(teacher=1), q().filter(room=1), q().filter(pk=1),
        q().filter(group__pk__gt=1)],
    "annotations": [
        q().annotate(x=F("period")), q().annotate(y=F("period")), q().annotate(x=F("weekday")),
        q().annotate(x=Count("period")),
        q().annotate(x=Count("period", distinct=True)), q().annotate(x=Count("period", filter=Q(weekday=1))),
        q().annotate(x=Count("period", filter=Q(weekday=2))), q().annotate(x=Max("period")),
        q().annotate(x=Min("period")),
        q().annotate(x=Max("period", default=1)), q().annotate(x=Max("period", default=2)),
        q().alias(x=F("period")), q().annotate(x=F("period"), y=F("period")),
        q().annotate(y=F("period"), x=F("period")),
        q().annotate(x=F("period") + 1), q().annotate(x=F("period") - 1), q().annotate(x=1 - F("period")),
    ],
    "functions": [
        q().annotate(x=Func(F("title"), function="UPPER")), q().annotate(x=Func(F("title"), function="LOWER")),
        q().annotate(x=Upper("title")), q().annotate(x=Lower("title")), q().annotate(x=Upper(Lower("title"))),
        q().annotate(x=Func(F("title"), template="%(expressions)s || 'a'")),
        q().annotate(x=Func(F("title"), template="%(expressions)s || 'b'")),
        q().annotate(x=Cast("title", CharField(max_length=1))),
        q().annotate(x=Cast("title", CharField(max_length=2))),
        q().annotate(x=ExpressionWrapper(F("title"), output_field=TextField())),
    ],
    "cases": [
        q().annotate(x=Case(When(weekday=a, then=Value(b)), default=Value(c)))
        for a, b, c in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (1, True, 1), (1, "1", "1"))
    ],
    "windows": [
        q().annotate(x=Window(Rank(), partition_by="group")),
        q().annotate(x=Window(RowNumber(), partition_by="group")),
        q().annotate(x=Window(Rank(), partition_by="teacher")), q().annotate(x=Window(Rank(), order_by="group")),
        q().annotate(x=Window(Rank(), order_by=F("group").desc())),
    ],
    "subqueries": [
        q().filter(Exists(q().filter(pk=OuterRef("pk"), weekday=1))),
        q().filter(Exists(q().filter(pk=OuterRef("pk"), weekday=2))),
        q().filter(~Exists(q().filter(pk=OuterRef("pk"), weekday=1))),
        q().filter(Exists(q().filter(pk=OuterRef("room"), weekday=1))),
        q().filter(Exists(q(EarlyLesson).filter(pk=OuterRef("pk"), weekday=1))),
        q().filter(pk__in=q().filter(weekday=1)), q().filter(pk__in=q().filter(weekday=1)[:1]),
        q().filter(pk__in=q().filter(weekday=1).values("room")), q().exclude(pk__in=q().filter(weekday=1)),
        q().annotate(x=Subquery(q().values("pk")[:1])), q().annotate(x=Subquery(q().values("room")[:1])),
    ],
    "filtered relations": [
        q(Group).annotate(x=FilteredRelation("lessons",
        condition=Q(lessons__weekday=day))).filter(x__period=1) for day in (1, 2)
    ] + [q(Group).annotate(y=FilteredRelation("lessons", condition=Q(lessons__weekday=1))).filter(y__period=1)],
    "orders": [
        q(), q().order_by("pk"), q().order_by("-pk"), q().order_by("title"), q().order_by("title", "pk"),
        q().order_by("pk", "title"),
        q().order_by(F("held").asc()), q().order_by(F("held").asc(nulls_last=True)),
        q().order_by(F("held").asc(nulls_first=True)),
        q().order_by(F("held").desc(nulls_last=True)), q().order_by("pk").reverse(),
    ],
    "Meta.ordering": [q(Room), q(Room).order_by(), q(Room).order_by("-code"), q(Room).reverse()],
    "slices": [q()[low:high] for low, high in ((0, 1), (0, 2), (1, 2), (1, None), (2, 3), (None, None))],
    "columns": [
        q(), q().only("title"), q().defer("title"), q().only("title", "slug"), q().values(), q().values("title"),
        q().values("title", "slug"), q().values("slug", "title"), q().values("room__code"), q().values("room"),
        q().only("room__code").select_related("room"),
    ],
    "relations beside": [
        q(), q().select_related("room"), q().select_related("teacher"), q().select_related("room", "teacher"),
        q().select_related("room__building"), q().select_related("teacher__mentor"),
    ],
    "distinct": [q(), q().distinct(), q().distinct("title"), q().distinct("slug"), q().distinct("title", "slug")],
    "groups": [
        q().values("weekday").annotate(n=Count("pk")), q().values("period").annotate(n=Count("pk")),
        q().annotate(n=Count("pk")),
        q().annotate(n=Count("pk")).values("weekday"), q().values("weekday").annotate(n=Count("pk")).filter(n__gt=1),
        q().filter(pk__gt=1).values("weekday").annotate(n=Count("pk")),
    ],
    "combined": [
        q().filter(pk=1).union(q().filter(pk=2)), q().filter(pk=2).union(q().filter(pk=1)),
        q().filter(pk=1).union(q().filter(pk=2), all=True), q().filter(pk=1).intersection(q().filter(pk=2)),
        q().filter(pk=1).difference(q().filter(pk=2)), q().filter(pk=1).union(q().filter(pk=2), q().filter(pk=3)),
        q().filter(pk=1).union(q().filter(pk=2)).order_by("pk"), q().filter(pk=1).union(q().filter(pk=2))[:1],
    ],
    "models": [q(), q(EarlyLesson), q(Group), q(Place), q(Cafe), q(Student), q(Teacher)],
    "dates and texts of dates": [
        q(Event).filter(**asked)
        for asked in ({"day": DAY}, {"name": "2026-01-01"}, {"starts": NOON}, {"starts__gte": NOON},
        {"day__year": 2026},
                      {"day__month": 1}, {"starts__hour": 12}, {"starts__date": DAY}, {"data": "2026-01-01"})
    ],
    "json paths": [
        q(Event).filter(**{name: 1})
        for name in ("data__a", "data__b", "data__a__b", "data__0", "data__a__0", "data", "data__a__contains",
        "data__has_key")
    ],
    "uuids": [q(Badge).filter(pk=UUID(int=1)), q(Badge).filter(pk=UUID(int=2)),
        q(Badge).filter(label=str(UUID(int=1)))],
    "zones told": [
        q(Event).annotate(x=TruncDay("starts")), q(Event).annotate(x=TruncDay("starts", tzinfo=ROME)),
        q(Event).annotate(x=TruncDay("starts", tzinfo=TOKYO)),
        q(Event).annotate(x=ExtractHour("starts", tzinfo=TOKYO)),
        q(Event).annotate(x=TruncHour("starts")),
    ],
}  # fmt: skip

# Each list is one question, in the words of different programs.
SAME = {
    "chosen again": [q().filter(weekday=1), q().filter(weekday=1)],
    "copied": [q().filter(weekday=1), copy.deepcopy(q().filter(weekday=1)), q().filter(weekday=1).all()],
    "keyword or Q": [
        q().filter(period=1, weekday=2),
        q().filter(weekday=2, period=1),
        q().filter(Q(period=1, weekday=2)),
    ],
    "instance or key": [
        q().filter(group=Group(pk=7)),
        q().filter(group=7),
        q().filter(group_id=7),
        q().filter(group="7"),
    ],
    "pk or id": [q().filter(pk=1), q().filter(id=1), q().filter(pk="1")],
    "uuid in any form": [
        q(Badge).filter(pk=UUID(int=5)),
        q(Badge).filter(pk=str(UUID(int=5))),
        q(Badge).filter(pk=UUID(int=5).hex),
    ],
    "text in any class": [q().filter(slug="red"), q().filter(slug=mark_safe("red")), q().filter(slug=lazystr("red"))],
    "order of a set": [q().filter(pk__in={1, 2, 3}), q().filter(pk__in={3, 2, 1})],
    "undone": [q(), q().select_related("room").select_related(None), q().all(), q().none() | q()],
    "date or its text": [q().filter(held=DAY), q().filter(held="2026-01-01")],
    "prefetched or not": [q(), q().prefetch_related("students"), q().prefetch_related(Prefetch("students"))],
}
