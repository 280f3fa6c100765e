"""What a query is: the same question has one identity, and different questions never do."""

from __future__ import annotations

import datetime
import pickle

import pytest
from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    F,
    FilteredRelation,
    Func,
    IntegerField,
    Max,
    Min,
    Q,
    QuerySet,
    Sum,
    TextChoices,
    Transform,
    Value,
    When,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import (
    Now,
    Random,
    TruncDay,
)
from django.test.utils import register_lookup
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from redis_toolkit.cache.identity import Opaque, Uncacheable, describe
from redis_toolkit.core.codecs import encode_value
from tests.app.models import Event, Group
from tests.questions import DAY, DIFFERENT, NOON, ROME, SAME, TOKYO, q


def identity(queryset, *further):
    """What the entry's key is made of."""
    description = describe(queryset.query, *further)
    return repr(description.structure), encode_value(description.values)


class Colour(TextChoices):
    RED = "red"


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
        ("n", Count("pk")), ("m", Count("pk")), ("n", Count("pk", distinct=True)), ("n", Count("title")),
        ("n", Sum("period")),
        ("n", Sum(F("period") + 1)), ("n", Sum(F("period") + 2)), ("n", Count("pk", filter=Q(weekday=1))),
        ("n", Count("pk", filter=Q(weekday=2))), ("n", Count("pk", filter=Q(weekday=True))),
        ("n", Count("pk", filter=~Q(weekday=1))),
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
