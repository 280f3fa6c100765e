"""Columns written down and made again: they read values as the columns of the query did, or are not written at all."""

from __future__ import annotations

import json

import pytest
from django.db import connections
from django.db.models import (
    Avg,
    BooleanField,
    Case,
    CharField,
    Count,
    DecimalField,
    Exists,
    ExpressionWrapper,
    F,
    Field,
    Max,
    Min,
    OuterRef,
    Subquery,
    Sum,
    Value,
    When,
)  # fmt: skip
from django.db.models.expressions import ColPairs
from django.db.models.functions import Cast, Coalesce, Concat, ExtractHour, Length, Lower, TruncDay

from redis_toolkit.cache import selections
from redis_toolkit.cache.selections import Unwritable
from redis_toolkit.core.codecs import RowsCodec, column_for
from tests.app.models import Chair, City, Event, Everything, Lesson, Room, Stock, Ware
from tests.questions import q

ALIASES = ("default", "postgres")


def selected(queryset, alias):
    """The expressions that a query selects on a database."""
    compiler = queryset.query.get_compiler(using=alias)
    compiler.as_sql()
    return [expression for expression, _, _ in compiler.select]


WRITTEN = {
    "every field": q(Everything),
    "fields of the project's own": q(Stock),
    "moments and documents": q(Event),
    "a generated column": q(Ware),
    "a key of two columns": q(Chair).values_list("pk", "holder"),
    "what it refers to": q().select_related("group", "room__building"),
    "by a code": q(City).values("country"),
    "functions": q().annotate(
        a=Lower("title"), b=Length("title"), c=Concat("title", Value("!")), d=Coalesce("room__code", Value("?"))
    ),
    "numbers": q().annotate(a=F("weekday") + 1, b=Cast("weekday", DecimalField(max_digits=5, decimal_places=1))),
    "conditions": q().annotate(a=Case(When(weekday=1, then=Value("x")), default=Value("y"), output_field=CharField())),
    "a subquery": q(Room).annotate(
        a=Exists(q().filter(room=OuterRef("pk"))), b=Subquery(q().filter(room=OuterRef("pk")).values("title"))
    ),
    "groups": q().values("group").annotate(a=Count("pk"), b=Max("held"), c=Sum("weekday"), d=Min("title")),
    "parts of moments": q(Event).annotate(a=ExtractHour("starts")).values("a"),
    "a value": q().annotate(a=Value(1), b=Value("x"), c=ExpressionWrapper(F("weekday"), BooleanField())),
    "the greatest of an exact number": q(Event).values("name").annotate(a=Max("amount"), b=Min("share")),
}


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("name", WRITTEN)
def test_written_and_read(name, alias):
    """The codec of the columns made again has the fingerprint of the query's; what is written is plain text."""
    connection = connections[alias]
    expressions = selected(WRITTEN[name], alias)
    written = json.loads(json.dumps(selections.write(expressions, connection.vendor)))
    columns = [column_for(expression, connection) for expression in expressions]
    made = selections.read(written, connection)
    assert RowsCodec(made).fingerprint == RowsCodec(columns).fingerprint
    assert [len(each.early(connection)) for each in made if not each.parts] == [
        len(each.early(connection)) for each in columns if not each.parts
    ]


REFUSED = {
    "a moment cut off": q(Event).annotate(a=TruncDay("starts")).values("a"),
    "a part of a document": q().values("notes__a"),
    "a document in an expression": q().annotate(a=Coalesce("notes", Value({}))).values("a"),
    "the greatest of the project's own": q(Event).values("name").annotate(a=Max("price")),
    "a mean": q().values("group").annotate(a=Avg("weekday")),
    "a sum of floats": q(Event).values("name").annotate(a=Sum("share")),
    "a sum of durations": q(Event).values("name").annotate(a=Sum("lasts")),
    "a float of a subquery": q().annotate(a=Subquery(q(Event).values("name").annotate(s=Sum("share")).values("s"))),
}


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, alias):
    """What reads its values in a way of its own, or may come out otherwise, is not written down."""
    with pytest.raises(Unwritable):
        selections.write(selected(REFUSED[name], alias), connections[alias].vendor)


def test_sums_of_decimals():
    """PostgreSQL adds decimals exactly, SQLite as floats."""
    queryset = q(Event).values("name").annotate(a=Sum("amount"))
    assert len(selections.write(selected(queryset, "postgres"), "postgresql")) == 2
    with pytest.raises(Unwritable):
        selections.write(selected(queryset, "default"), "sqlite")


def test_a_relation_by_several_columns():
    """What looks like a composite key and is none is not written down."""
    hall = Chair._meta.get_field("hall")
    with pytest.raises(Unwritable):
        selections.write([ColPairs("app_chair", [hall], [hall], Lesson._meta.get_field("group"))], "sqlite")


@pytest.mark.parametrize("where", [["app.nothing", "title"], ["nowhere.lesson", "title"], ["app.lesson", "nothing"]])
def test_what_is_no_more(where):
    """A model or a field that is no more is said to be so."""
    with pytest.raises(LookupError):
        selections.read([["column", "", where]], connections["default"])


def test_a_field_of_no_model():
    """A field that was made in a query is written as its class and its plain arguments."""
    assert selections._written_field(DecimalField(max_digits=5, decimal_places=1)) == [
        "django.db.models.DecimalField", {"max_digits": 5, "decimal_places": 1}
    ]  # fmt: skip
    for field in (CharField(choices=[("a", "b")]), type("Own", (Field,), {})()):
        with pytest.raises(Unwritable):
            selections._written_field(field)
