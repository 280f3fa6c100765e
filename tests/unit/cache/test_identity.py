"""What a query is: the same question has one identity, and different questions never do."""

from __future__ import annotations

import copy
import datetime
import pickle
import zoneinfo
from decimal import Decimal
from uuid import UUID

import pytest
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
    Sum,
    TextChoices,
    TextField,
    Transform,
    Value,
    When,
    Window,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import (
    Cast,
    ExtractHour,
    Lower,
    Now,
    Random,
    Rank,
    RowNumber,
    TruncDay,
    TruncHour,
    Upper,
)
from django.test.utils import register_lookup
from django.utils import timezone
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from redis_toolkit.cache.identity import Opaque, Uncacheable, describe
from redis_toolkit.core.codecs import encode_value
from tests.app.models import Badge, Cafe, EarlyLesson, Event, Group, Lesson, Place, Room, Student, Teacher

DAY = datetime.date(2026, 1, 1)
NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
ROME, TOKYO = zoneinfo.ZoneInfo("Europe/Rome"), zoneinfo.ZoneInfo("Asia/Tokyo")


def q(model=Lesson):
    return QuerySet(model)


def identity(queryset, *further):
    """What the entry's key is made of."""
    description = describe(queryset.query, *further)
    return repr(description.structure), encode_value(description.values)


class Colour(TextChoices):
    RED = "red"


# Each of these is another question than every other one in its list.
DIFFERENT = {
    "types of one value": [
        q(Event).filter(data=value)
        for value in (1, True, 1.0, "1", Decimal(1), b"1", None, [1], (1,), {"1": 1}, {"1": True}, {"1": "1"}, {1: 1.0})
    ] + [q(Event).filter(data__contains={True: 1}), q(Event).filter(data__contains={"True": 1})],
    "keys of a dictionary": [
        q(Event).filter(data__contains=value)
        for value in ({"a": 1}, {"b": 1}, {"a": 2}, {"a": 1, "b": 1}, {True: 1}, {"True": 1}, {None: 1}, {"None": 1}, {})
    ],
    "nested values": [
        q(Event).filter(data=value)
        for value in ({"a": [1]}, {"a": [1, 2]}, {"a": [[1]]}, {"a": {"b": 1}}, {"a": None}, [{"a": 1}], [["a", 1]], [])
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
    "the order of a list": [q().filter(pk__in=[1, 2]), q().filter(pk__in=[2, 1]), q().filter(pk__in=[1]), q().filter(pk=1)],
    "lists of odd types": [
        q(Event).filter(data__in=value) for value in ([1, "1"], ["1", 1], [1, 1], ["1", "1"], [True, 1], [1.0, 1], [None, 1])
    ],
    "filter and exclude": [q().filter(weekday=1), q().exclude(weekday=1), q().filter(~Q(weekday=2)), q().exclude(~Q(weekday=1))],
    "connectors": [q().filter(Q(("weekday", 1), ("period", 1), _connector=each)) for each in ("AND", "OR", "XOR")],
    "one filter or two": [
        q().filter(students__name="a", students__pk=1), q().filter(students__name="a").filter(students__pk=1),
        q().filter(students__name="a").filter(students__pk=1, students__name="a"),
    ],
    "joins": [
        q().filter(room__code="a"), q().filter(Q(room__code="a") | Q(weekday=1)), q().filter(room__building__name="a"),
        q().filter(teacher__name="a"), q().filter(teacher__mentor__name="a"), q().order_by("room__code"),
        q().exclude(room__code="a"),
    ],
    "lookups": [
        q().filter(**{f"title{lookup}": "a"})
        for lookup in ("", "__iexact", "__contains", "__icontains", "__gt", "__gte", "__lt", "__lte", "__regex", "__startswith")
    ],
    "fields": [q().filter(group=1), q().filter(teacher=1), q().filter(room=1), q().filter(pk=1), q().filter(group__pk__gt=1)],
    "annotations": [
        q().annotate(x=F("period")), q().annotate(y=F("period")), q().annotate(x=F("weekday")), q().annotate(x=Count("period")),
        q().annotate(x=Count("period", distinct=True)), q().annotate(x=Count("period", filter=Q(weekday=1))),
        q().annotate(x=Count("period", filter=Q(weekday=2))), q().annotate(x=Max("period")), q().annotate(x=Min("period")),
        q().annotate(x=Max("period", default=1)), q().annotate(x=Max("period", default=2)),
        q().alias(x=F("period")), q().annotate(x=F("period"), y=F("period")), q().annotate(y=F("period"), x=F("period")),
        q().annotate(x=F("period") + 1), q().annotate(x=F("period") - 1), q().annotate(x=1 - F("period")),
    ],
    "functions": [
        q().annotate(x=Func(F("title"), function="UPPER")), q().annotate(x=Func(F("title"), function="LOWER")),
        q().annotate(x=Upper("title")), q().annotate(x=Lower("title")), q().annotate(x=Upper(Lower("title"))),
        q().annotate(x=Func(F("title"), template="%(expressions)s || 'a'")),
        q().annotate(x=Func(F("title"), template="%(expressions)s || 'b'")),
        q().annotate(x=Cast("title", CharField(max_length=1))), q().annotate(x=Cast("title", CharField(max_length=2))),
        q().annotate(x=ExpressionWrapper(F("title"), output_field=TextField())),
    ],
    "cases": [
        q().annotate(x=Case(When(weekday=a, then=Value(b)), default=Value(c)))
        for a, b, c in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (1, True, 1), (1, "1", "1"))
    ],
    "windows": [
        q().annotate(x=Window(Rank(), partition_by="group")), q().annotate(x=Window(RowNumber(), partition_by="group")),
        q().annotate(x=Window(Rank(), partition_by="teacher")), q().annotate(x=Window(Rank(), order_by="group")),
        q().annotate(x=Window(Rank(), order_by=F("group").desc())),
    ],
    "subqueries": [
        q().filter(Exists(q().filter(pk=OuterRef("pk"), weekday=1))), q().filter(Exists(q().filter(pk=OuterRef("pk"), weekday=2))),
        q().filter(~Exists(q().filter(pk=OuterRef("pk"), weekday=1))), q().filter(Exists(q().filter(pk=OuterRef("room"), weekday=1))),
        q().filter(Exists(q(EarlyLesson).filter(pk=OuterRef("pk"), weekday=1))),
        q().filter(pk__in=q().filter(weekday=1)), q().filter(pk__in=q().filter(weekday=1)[:1]),
        q().filter(pk__in=q().filter(weekday=1).values("room")), q().exclude(pk__in=q().filter(weekday=1)),
        q().annotate(x=Subquery(q().values("pk")[:1])), q().annotate(x=Subquery(q().values("room")[:1])),
    ],
    "filtered relations": [
        q(Group).annotate(x=FilteredRelation("lessons", condition=Q(lessons__weekday=day))).filter(x__period=1) for day in (1, 2)
    ] + [q(Group).annotate(y=FilteredRelation("lessons", condition=Q(lessons__weekday=1))).filter(y__period=1)],
    "orders": [
        q(), q().order_by("pk"), q().order_by("-pk"), q().order_by("title"), q().order_by("title", "pk"), q().order_by("pk", "title"),
        q().order_by(F("held").asc()), q().order_by(F("held").asc(nulls_last=True)), q().order_by(F("held").asc(nulls_first=True)),
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
        q().values("weekday").annotate(n=Count("pk")), q().values("period").annotate(n=Count("pk")), q().annotate(n=Count("pk")),
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
        for asked in ({"day": DAY}, {"name": "2026-01-01"}, {"starts": NOON}, {"starts__gte": NOON}, {"day__year": 2026},
                      {"day__month": 1}, {"starts__hour": 12}, {"starts__date": DAY}, {"data": "2026-01-01"})
    ],
    "json paths": [
        q(Event).filter(**{name: 1})
        for name in ("data__a", "data__b", "data__a__b", "data__0", "data__a__0", "data", "data__a__contains", "data__has_key")
    ],
    "uuids": [q(Badge).filter(pk=UUID(int=1)), q(Badge).filter(pk=UUID(int=2)), q(Badge).filter(label=str(UUID(int=1)))],
    "zones told": [
        q(Event).annotate(x=TruncDay("starts")), q(Event).annotate(x=TruncDay("starts", tzinfo=ROME)),
        q(Event).annotate(x=TruncDay("starts", tzinfo=TOKYO)), q(Event).annotate(x=ExtractHour("starts", tzinfo=TOKYO)),
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


@pytest.mark.parametrize("questions", DIFFERENT.values(), ids=DIFFERENT)
def test_different_questions(questions):
    """No two of these have one identity, and each keeps its own."""
    found = [identity(each) for each in questions]
    assert len(set(found)) == len(questions)
    assert [identity(each.all()) for each in questions] == found


@pytest.mark.parametrize("questions", SAME.values(), ids=SAME)
def test_the_same_question(questions):
    """All of these are one question."""
    assert len({identity(each) for each in questions}) == 1


def test_values_are_not_structure():
    """Questions that differ in their values alone have one structure, so they share a plan."""
    assert describe(q().filter(weekday=1).query).structure == describe(q().filter(weekday=2).query).structure
    assert describe(q().filter(pk__in=[1, 2]).query).structure == describe(q().filter(pk__in=[3]).query).structure
    assert describe(q()[1:2].query).structure == describe(q()[3:9].query).structure
    assert describe(q().filter(weekday=1).query).values == [1]


def test_aggregates():
    """Aggregates are part of the question: their names, their order, and what they count."""
    further = [
        ("n", Count("pk")), ("m", Count("pk")), ("n", Count("pk", distinct=True)), ("n", Count("title")), ("n", Sum("period")),
        ("n", Sum(F("period") + 1)), ("n", Sum(F("period") + 2)), ("n", Count("pk", filter=Q(weekday=1))),
        ("n", Count("pk", filter=Q(weekday=2))), ("n", Count("pk", filter=Q(weekday=True))), ("n", Count("pk", filter=~Q(weekday=1))),
        ("n", "m", Max("period"), Min("period")), ("m", "n", Max("period"), Min("period")), (Count("pk"),), (),
    ]  # fmt: skip
    assert len({identity(q(), *each) for each in further}) == len(further)


ZONED = {
    "lookup": lambda: q(Event).filter(starts__hour=1),
    "date": lambda: q(Event).filter(starts__date=DAY),
    "trunc": lambda: q(Event).annotate(x=TruncDay("starts")),
    "values": lambda: q(Event).values("starts__date"),
    "order": lambda: q(Event).order_by("starts__hour"),
    "order by f": lambda: q(Event).order_by(F("starts__hour").desc()),
    "subquery": lambda: q().filter(Exists(q(Event).filter(starts__hour=1))),
    "filtered relation": lambda: (
        q(Group).annotate(x=FilteredRelation("lessons", condition=Q(lessons__held__day=1))).filter(x=1)
    ),
    "datetimes": lambda: q(Event).datetimes("starts", "day"),
}
UNZONED = {
    "plain": lambda: q(Event).filter(starts__gte=NOON).order_by("starts"),
    "paths": lambda: (
        q().filter(teacher__name="a").order_by("teacher__mentor__name", "-room__building", "room_id", "pk")
    ),
    "dates": lambda: q().dates("held", "day"),
    "zone told": lambda: q(Event).order_by("name").filter(starts=NOON.astimezone(TOKYO)),
}


@pytest.mark.parametrize("question", ZONED.values(), ids=ZONED)
def test_questions_of_a_zone(question):
    """What depends on the current time zone is another question in another zone."""
    found = set()
    for zone in (ROME, TOKYO, datetime.UTC):
        with timezone.override(zone):
            found.add(identity(question()))
            assert describe(question().query).settled is False
    assert len(found) == 3


@pytest.mark.parametrize("question", UNZONED.values(), ids=UNZONED)
def test_questions_of_no_zone(question):
    """What does not is one question in all of them."""
    found = set()
    for zone in (ROME, TOKYO):
        with timezone.override(zone):
            found.add(identity(question()))
    if question is UNZONED["dates"]:
        # Django's Trunc would look at the zone if the field were a moment; in doubt it counts.
        assert len(found) == 2
        return
    assert len(found) == 1


def test_aggregates_of_a_zone():
    """So with aggregates, whose names Django has not looked up yet."""
    for further in ((Max("starts__hour"),), (Count("pk", filter=Q(starts__hour=1)),), (Count(F("starts__date")),)):
        found = set()
        for zone in (ROME, TOKYO):
            with timezone.override(zone):
                found.add(identity(q(Event), *further))
        assert len(found) == 2


NEVER = {
    "now": lambda: q().filter(held=Now()),
    "now below": lambda: q().filter(Exists(q().filter(held=Now()))),
    "now in a case": lambda: q().annotate(x=Case(When(held=Now(), then=1), default=2)),
    "random": lambda: q().annotate(x=Random()),
    "question mark": lambda: q().order_by("?"),
    "question mark among others": lambda: q().order_by("pk", "?"),
    "raw": lambda: q().annotate(x=RawSQL("1", [])),
    "extra": lambda: q().extra(where=["1=1"]),
    "extra select": lambda: q().extra(select={"x": "1"}),
    "extra order": lambda: q().extra(order_by=["pk"]),
    "lock": lambda: q().select_for_update(),
    "lock below": lambda: q().filter(pk__in=q().select_for_update()),
    "combined with now": lambda: q().filter(pk=1).union(q().filter(held=Now())),
}


@pytest.mark.parametrize("question", NEVER.values(), ids=NEVER)
def test_never(question):
    """What must not be cached is refused, however deep it lies."""
    with pytest.raises(Uncacheable):
        describe(question().query)


class Halved(Transform):
    """A project's own."""

    lookup_name = "halved"
    template = "%(expressions)s / 2"


class Own(Func):
    """A project's own, whose SQL may depend on anything."""

    function = "OWN"


class Number(int):
    """A number of a project's own."""


OPAQUE = {
    "function": lambda: q().annotate(x=Own("pk")),
    "function in a filter": lambda: q().filter(period=Own("pk")),
    "function in an order": lambda: q().order_by(Own("pk")),
    "function below": lambda: q().filter(Exists(q().annotate(x=Own("pk")))),
    "function in a combined query": lambda: q().filter(pk=1).union(q().annotate(x=Own("pk"))),
    "value of an own class": lambda: q(Event).filter(data=object()),
    "constant of an own class": lambda: q().annotate(x=Value(object(), output_field=CharField())),
}


@pytest.mark.parametrize("question", OPAQUE.values(), ids=OPAQUE)
def test_left_to_the_sql(question):
    """A class that is not Django's is not looked into: the SQL must tell what it is."""
    with pytest.raises(Opaque):
        describe(question().query)


def test_lookups_of_a_project_are_left_to_the_sql():
    """So with a registered lookup."""
    with register_lookup(IntegerField, Halved), pytest.raises(Opaque):
        describe(q().filter(period__halved=1).query)


def test_choices_are_what_they_stand_for():
    """A member of an enumeration is asked for by its value; Django takes it for the column's own type."""
    assert identity(q().filter(slug=Colour.RED)) != identity(q().filter(slug="blue"))
    assert describe(q().filter(slug=Colour.RED).query).values in (["red"], [Colour.RED])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.sampled_from(["", "1", "True", "None", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "1"]), inner, max_size=2),
    max_leaves=4,
)


def told(value):
    """``value`` with the types of its parts, by which Python and a database may tell values apart."""
    if isinstance(value, list):
        return ["list", *map(told, value)]
    if isinstance(value, dict):
        return ["dict", *([name, told(each)] for name, each in value.items())]
    return [type(value).__name__, repr(value)]


@given(VALUES, VALUES)
def test_any_two_values(left, right):
    """Two values make one question only if they are of the same types and print the same, at any depth."""
    asked = [identity(q(Event).filter(data=value)) for value in (left, right)]
    constant = [
        identity(q().annotate(x=Value(value, output_field=Event._meta.get_field("data")))) for value in (left, right)
    ]
    assert (asked[0] == asked[1]) is (told(left) == told(right))
    assert (constant[0] == constant[1]) is (told(left) == told(right))


def test_a_pickled_query_is_the_same_question():
    """Identities hold in another process: they are made of plain values, in the same order."""
    for queryset in (
        q().filter(weekday=1, room__code="a").select_related("room").order_by("pk"),
        q(Event).values("day"),
    ):
        thawed = QuerySet(queryset.model)
        thawed.query = pickle.loads(pickle.dumps(queryset.query))
        assert describe(thawed.query).values == describe(queryset.query).values
