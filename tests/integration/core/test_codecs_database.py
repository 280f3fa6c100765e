"""What codecs give back is what Django gives, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.fields import ArrayField, IntegerRangeField
from django.db import connections, models
from django.db.models import Avg, Case, Count, F, Max, Min, OuterRef, Q, StdDev, Subquery, Sum, Value, When
from django.db.models.expressions import ExpressionWrapper, RawSQL
from django.db.models.fields.json import KT
from django.db.models.functions import (
    Cast,
    Coalesce,
    Concat,
    Extract,
    JSONObject,
    Length,
    RowNumber,
    TruncDate,
    TruncDay,
    TruncHour,
    TruncMonth,
    TruncTime,
)
from django.test.utils import isolate_apps
from django.utils import timezone

from redis_toolkit.core.codecs import RowsCodec, column_for
from redis_toolkit.exceptions import CodecError
from tests.app.models.fields import Annex, Everything, Money, Seat, Stock, Wallet
from tests.exactness import identical

pytestmark = pytest.mark.django_db(databases="__all__")

TAGGED = 0xC1
ROME = ZoneInfo("Europe/Rome")
ALIASES = ["default", "postgres"]


def served(queryset, alias):
    """The payload of a query and the rows that come out of it, after comparing them with Django's."""
    connection = connections[alias]
    expected = list(queryset.query.get_compiler(using=alias).results_iter(tuple_expected=True))
    compiler = queryset.query.get_compiler(using=alias)
    raw = list(chain.from_iterable(compiler.execute_sql()))
    codec = RowsCodec([column_for(expression, connection) for expression, *_ in compiler.select[: compiler.col_count]])
    stored = codec.convert(raw, connection)
    payload = codec.encode(stored)
    assert identical(codec.decode(payload), stored)
    answer = codec.finish(codec.decode(payload), connection)
    assert identical(answer, expected)
    return payload, answer


def is_typed(queryset, alias):
    payload, answer = served(queryset, alias)
    assert answer, "nothing was compared"
    return payload[0] != TAGGED


@contextmanager
def database_zone(alias: str, name: str | None) -> Iterator[None]:
    """The connection with ``TIME_ZONE`` of its ``DATABASES`` entry set to ``name``."""
    connection = connections[alias]
    before = connection.settings_dict["TIME_ZONE"]

    def switch(zone: str | None) -> None:
        connection.settings_dict["TIME_ZONE"] = zone
        for cached in ("timezone", "timezone_name"):
            connection.__dict__.pop(cached, None)
        connection.ensure_timezone()

    switch(name)
    try:
        yield
    finally:
        switch(before)


ROWS = [
    {
        "big_integer": 2**63 - 1,
        "binary": b"\x00\xff",
        "boolean": True,
        "char": "Analisi matematica \U0001f4d0",
        "colour": Everything.Colour.RED,
        "date": date(2026, 1, 2),
        "datetime": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
        "decimal": Decimal("1234.5000"),
        "duration": timedelta(days=-1, microseconds=1),
        "email": "ada@example.org",
        "file": "papers/a.pdf",
        "file_path": "/papers/a.pdf",
        "float": 0.1,
        "integer": -(2**31),
        "ip": "2001:db8::1",
        "json": {"b": [1, 2.5, None, True, "x"], "a": {}},
        "positive": 2**31 - 1,
        "positive_big": 2**63 - 1,
        "positive_small": 2**15 - 1,
        "slug": "analisi",
        "small": -(2**15),
        "text": "",
        "time": time(8, 30, 0, 1),
        "url": "https://example.org/",
        "uuid": UUID(int=7),
        "weekday": Everything.Weekday.TUESDAY,
    },
    {
        "big_integer": -(2**63),
        "binary": b"",
        "boolean": False,
        "char": "a",
        "date": date(1, 1, 1),
        "datetime": datetime(1, 1, 1, tzinfo=UTC),
        "decimal": Decimal("-9999999999.9999"),
        "duration": timedelta(days=10_000),
        "float": 3.0,
        "ip": "192.0.2.1",
        "json": "text",
        "time": time(),
    },
    {
        "boolean": None,
        "date": date(9999, 12, 31),
        "datetime": datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        "decimal": Decimal("0.0001"),
        "duration": timedelta(),
        "float": float("inf"),
        "json": Value(None, models.JSONField()),
    },
    {"json": [], "float": -0.0, "datetime": datetime(2026, 10, 25, 1, 30, tzinfo=UTC)},
    {"json": 2**40, "datetime": datetime(2026, 10, 25, 0, 30, tzinfo=UTC)},
    {"json": {"price": 1.10, "nested": {"deep": ["x"]}}},
    {},
]


@pytest.fixture(params=ALIASES)
def alias(request) -> str:
    """Each database in turn."""
    return request.param


@pytest.fixture
def everything(alias):
    """A row of each kind of value, and one of NULLs."""
    for row in ROWS:
        Everything.objects.using(alias).create(**row)
    return Everything.objects.using(alias).order_by("id")


@pytest.fixture
def stocks(alias):
    """Goods with prices, keys of UUID, and what hangs on them."""
    wallet = Wallet.objects.using(alias).create(
        key=Money(Decimal("12.50"), "EUR"), words=["a", "b"], prices={"x": Decimal("1.5")}, note="n", spent=1.5
    )
    Wallet.objects.using(alias).create(key=Money(Decimal(1), "CHF"))
    stocks = [
        Stock.objects.using(alias).create(
            id=UUID(int=place + 1), name=name, price=price, amount=amount, wallet=wallet if place else None
        )
        for place, (name, price, amount) in enumerate([("pen", "1.10", 3), ("ink", "20.00", 1), ("nib", "0.05", 0)])
    ]
    Annex.objects.using(alias).create(stock=stocks[0], twin=stocks[1])
    Annex.objects.using(alias).create(stock=stocks[0])
    return Stock.objects.using(alias).order_by("id")


def test_every_field(everything, alias):
    """Each of Django's fields, at its extremes, comes back as Django gives it, all columns typed."""
    assert is_typed(everything, alias)
    assert len(served(everything, alias)[1]) == 7


@pytest.mark.parametrize("name", [field.name for field in Everything._meta.fields])
def test_each_field_alone(everything, alias, name):
    """So does each field selected alone, in every row a typed column."""
    assert is_typed(everything.values_list(name), alias)


def test_values_of_models(stocks, alias):
    """Keys, generated columns and foreign keys come back as Django gives them, through select_related too."""
    assert is_typed(stocks, alias)
    assert is_typed(stocks.select_related("wallet", "twin"), alias)
    assert is_typed(Annex.objects.using(alias).select_related("stock__wallet", "twin__wallet"), alias)
    assert is_typed(stocks.values_list("pk", "loud", "total", "wallet", "wallet__words", "annexes__twin"), alias)
    assert served(stocks.only("total"), alias)[1][0] == (UUID(int=1), Decimal("3.30"))


def test_fields_of_the_project(stocks, alias):
    """Fields with conversions of their own come back converted, and are stored unconverted."""
    wallets = Wallet.objects.using(alias).order_by("note")
    assert is_typed(wallets, alias)
    payload, answer = served(wallets.filter(note="n"), alias)
    assert identical(answer, [(Money(Decimal("12.50"), "EUR"), ["a", "b"], {"x": Decimal("1.5")}, "n", 1.5)])
    assert b"12.50 EUR" in payload
    assert is_typed(wallets.values_list("prices__x", Sum("spent")), alias)
    assert is_typed(wallets.annotate(best=Max("key")).values_list("best"), alias)


def test_keys_of_two_columns(alias):
    """A composite key comes back as one tuple wherever it stands."""
    for hall, holder in ((1, "Ada"), (2, None)):
        Seat.objects.using(alias).create(hall=hall, price=Money(Decimal(hall), "EUR"), holder=holder)
    seats = Seat.objects.using(alias).order_by("hall")
    assert is_typed(seats, alias)
    assert served(seats.values_list("holder", "pk", "hall", "pk"), alias)[1][0] == (
        "Ada",
        (1, Money(Decimal(1), "EUR")),
        1,
        (1, Money(Decimal(1), "EUR")),
    )
    assert is_typed(seats.values_list("pk"), alias)
    assert is_typed(seats.values("pk").annotate(seats=Count("hall")), alias)


def test_annotations(everything, alias):
    """Expressions of every output come back as Django gives them."""
    for annotation in (
        F("decimal"),
        Length("char"),
        Concat("char", Value("!"), output_field=models.CharField()),
        Coalesce("decimal", Value(Decimal(1))),
        F("decimal") * F("decimal"),
        F("integer") + F("float"),
        F("datetime") - Value(datetime(2026, 1, 1, tzinfo=UTC)),
        ExpressionWrapper(Q(integer__gt=1), models.BooleanField()),
        Case(When(boolean=True, then=Value("yes")), default=Value("no")),
        Value(None, models.CharField()),
        Cast("integer", models.TextField()),
        Cast("integer", models.FloatField()),
        Extract("date", "year"),
        JSONObject(a="integer", b="char"),
        F("json__price"),
        F("json__nested__deep"),
        KT("json__price"),
        RawSQL("1.5", ()),
        RawSQL("'a'", ()),
        Subquery(Everything.objects.filter(id=OuterRef("id")).values("uuid")),
        models.Exists(Everything.objects.filter(id=OuterRef("id"))),
        models.Window(RowNumber()),
    ):
        served(everything.filter(Q(integer__isnull=False) | Q(json__has_key="price")).annotate(x=annotation), alias)
        served(everything.filter(date__year=2026).values_list(annotation), alias)


def test_aggregates(everything, stocks, alias):
    """Sums, counts and extremes come back as Django gives them, group by group."""
    found = [Count("id"), Sum("amount"), Sum("price"), Avg("amount"), Avg("price"), Min("name"), StdDev("amount")]
    assert is_typed(stocks.order_by().values("wallet").annotate(*found), alias)
    assert is_typed(everything.order_by().values("boolean").annotate(Max("datetime"), Min("date"), Max("time")), alias)


def test_sums_beyond_64_bits():
    """A sum that fits no machine integer is an int like any other; its payload is a tagged one."""
    for _ in range(3):
        Everything.objects.using("postgres").create(big_integer=2**63 - 1)
    payload, rows = served(Everything.objects.values("boolean").annotate(Sum("big_integer")), "postgres")
    assert rows == [(None, 3 * (2**63 - 1))]
    assert payload[0] == TAGGED


def test_combined_queries(stocks, alias):
    """UNION, DISTINCT, extra() and dates() select as any other query."""
    names = Stock.objects.using(alias).order_by().values_list("name", "price")
    served(names.union(names), alias)
    served(names.distinct(), alias)
    served(Stock.objects.using(alias).extra(select={"double": "price * 2"}), alias)
    served(Everything.objects.using(alias).dates("date", "month"), alias)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Rome", "America/Sao_Paulo", "Asia/Kathmandu"])
def test_truncated_moments(everything, alias, zone):
    """What Trunc gives in the current time zone, or in a zone of its own, comes back in that zone."""
    moments = everything.filter(datetime__year=2026)
    with timezone.override(zone):
        for truncated in (
            TruncDay("datetime"),
            TruncHour("datetime", tzinfo=ROME),
            TruncMonth("datetime", output_field=models.DateField()),
            TruncDate("datetime"),
            TruncTime("datetime"),
            Max("datetime"),
        ):
            served(moments.annotate(x=truncated).order_by(), alias)
            served(moments.order_by().values(x=truncated).annotate(Count("id")), alias)
        served(moments.order_by().datetimes("datetime", "hour"), alias)


def test_midnight_that_a_change_of_clocks_skips(alias):
    """A day whose midnight never was, as in São Paulo in 2018, comes back as Django gives it."""
    Everything.objects.using(alias).create(datetime=datetime(2018, 11, 4, 12, tzinfo=UTC))
    sao_paulo = ZoneInfo("America/Sao_Paulo")
    days = Everything.objects.using(alias).values_list(TruncDay("datetime", tzinfo=sao_paulo))
    rows = served(days, alias)[1]
    assert identical(rows, [(datetime(2018, 11, 4, tzinfo=sao_paulo),)])


@pytest.mark.parametrize("zone", ["UTC", "Europe/Rome", "America/Sao_Paulo"])
def test_databases_in_another_zone(alias, zone):
    """A database whose TIME_ZONE is not UTC gives its moments in that zone, both passes of a repeated hour too."""
    with database_zone(alias, zone):
        for hour in range(4):
            Everything.objects.using(alias).create(datetime=datetime(2026, 10, 25, hour, 30, tzinfo=UTC), json={})
        Everything.objects.using(alias).create(datetime=datetime(2026, 3, 29, 1, tzinfo=UTC))
        Everything.objects.using(alias).create()
        rows = Everything.objects.using(alias).order_by("id")
        assert is_typed(rows, alias)
        found = served(rows.values_list("datetime"), alias)[1]
        assert {row[0].tzinfo for row in found[:-1]} == {ZoneInfo(zone)}
        assert is_typed(rows.values_list("datetime", Max("datetime")), alias)


def test_without_time_zones(alias, settings):
    """With USE_TZ off moments are naive, and typed columns."""
    settings.USE_TZ = False
    moment = datetime.fromisoformat("2026-01-02T03:04:05.000006")
    with database_zone(alias, None):
        Everything.objects.using(alias).create(datetime=moment)
        rows = Everything.objects.using(alias).values_list("datetime")
        assert is_typed(rows, alias)
        assert served(rows, alias)[1] == [(moment,)]
        served(rows.annotate(Max("datetime"), day=TruncDay("datetime")), alias)


def test_what_sqlite_holds_against_its_schema():
    """SQLite keeps any value in any column; whatever Django makes of it comes back."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            'INSERT INTO app_everything (integer, char, "float", text) VALUES (%s, %s, %s, %s)',
            ["seven", 7, "x", b"\x00\x01"],
        )
    rows = Everything.objects.using("default").values_list("integer", "char", "float", "text")
    payload, answer = served(rows, "default")
    assert payload[0] == TAGGED
    assert answer == [("seven", "7", "x", b"\x00\x01")]


@pytest.fixture
def postgres_model():
    """A model of PostgreSQL's own fields, with its table."""
    with isolate_apps("tests.app"):

        class Own(models.Model):
            numbers = ArrayField(models.IntegerField(), null=True)
            table = ArrayField(ArrayField(models.DecimalField(max_digits=6, decimal_places=2)), null=True)
            moments = ArrayField(models.DateTimeField(), null=True)
            uuids = ArrayField(models.UUIDField(), null=True)
            documents = ArrayField(models.JSONField(), null=True)
            prices = ArrayField(Wallet._meta.get_field("key").clone(), null=True)
            span = IntegerRangeField(null=True)

            class Meta:
                app_label = "app"

            def __str__(self):
                return str(self.pk)

        with connections["postgres"].schema_editor() as editor:
            editor.create_model(Own)
        yield Own


def test_fields_of_postgresql(postgres_model):
    """Arrays of all sorts come back as Django gives them, typed; a range is refused by name."""
    objects = postgres_model.objects.using("postgres")
    objects.create(
        numbers=[1, None, 3],
        table=[[Decimal("1.10"), Decimal("2.00")], [None, Decimal("-0.05")]],
        moments=[datetime(2026, 1, 2, tzinfo=UTC)],
        uuids=[UUID(int=7)],
        documents=[{"a": 1}, [1]],
        prices=[Money(Decimal("12.50"), "EUR")],
        span=(1, 5),
    )
    objects.create(numbers=[])
    rows = objects.order_by("id").defer("span")
    assert is_typed(rows, "postgres")
    assert is_typed(rows.values_list("numbers__0", "numbers__0_1", "table__0"), "postgres")
    assert is_typed(rows.order_by().values_list(ArrayAgg("id"), ArrayAgg("numbers__0")), "postgres")
    with database_zone("postgres", "Europe/Rome"):
        assert is_typed(rows.values_list("moments"), "postgres")
    with pytest.raises(
        CodecError, match=r"^Column app\.own\.span: A value of type psycopg\.types\.range\.Range cannot"
    ):
        served(objects.all(), "postgres")
