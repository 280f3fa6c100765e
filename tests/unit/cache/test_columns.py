"""How values of a column are written in the names of stamps, and which columns' values make none."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from itertools import count

import pytest
from django.db import models
from django.utils.safestring import mark_safe
from psycopg.types.numeric import Int4

from redis_toolkit.cache.columns import namer_of, plain_type, stored_field, value_named
from redis_toolkit.core.keys import digest
from tests.app.models import Author, Badge, City, Event, Glass, Lesson, Poem

VENDORS = ("sqlite", "postgresql", "mysql", "oracle")
UNIQUE = uuid.UUID("12345678-1234-5678-1234-56789abcdef0")
DAY = datetime.date(2026, 3, 1)


class Colour(models.TextChoices):
    RED = "red"


class Number(models.IntegerChoices):
    SEVEN = 7


class OwnInteger(models.IntegerField):
    """A project's own field may read and write as it likes."""


def digested(text: str) -> str:
    """How a text stands in a name: unread by whoever sees the key."""
    return "~" + digest(text.encode())


def named(field: models.Field, *values: object) -> list[str]:
    """The names of ``values``."""
    namer = namer_of(field, "sqlite")
    return [namer(value) for value in values]


@pytest.mark.parametrize(
    "field", [models.IntegerField(), models.BigAutoField(primary_key=True), models.SmallIntegerField()]
)
def test_one_number_has_one_name(field):
    """1 and "1", whatever class they are of, name one stamp."""
    assert named(field, 1, "1", True, "01", " 1 ", Int4(1)) == ["1"] * 6
    assert named(field, -7, 0, 2**70, Number.SEVEN) == ["-7", "0", str(2**70), "7"]


def test_a_flag_is_a_number():
    """True and 1 are one value to every database."""
    assert named(models.BooleanField(), True, 1, "1", False, 0, "0") == ["1", "1", "1", "0", "0", "0"]


def test_one_text_has_one_name():
    """Texts are told apart to the letter; what is more than a str counts by its letters."""
    assert named(models.CharField(max_length=20), "red", mark_safe("red"), Colour.RED) == [digested("red")] * 3
    forms = ["red", "Red", "red ", "réd", "re\u0301d", "", "1", "a,b=c", "a:b"]
    assert len(set(named(models.TextField(), *forms))) == 9
    assert named(models.SlugField(), "a,b=c:d", "") == [digested("a,b=c:d"), digested("")]
    assert named(models.TextField(), "\ud800") == ["~" + digest(b"\xed\xa0\x80")]


def test_a_text_is_no_longer_than_its_column():
    """PostgreSQL cuts blanks off what is too long, so that has no name; at the very length it has one."""
    assert named(models.CharField(max_length=3), "red") == [digested("red")]
    with pytest.raises(ValueError, match="red "):
        named(models.CharField(max_length=3), "red ")
    assert named(models.TextField(max_length=3), "red ") == [digested("red ")]
    with pytest.raises(TypeError):
        named(models.CharField(max_length=3), 5)


def test_one_uuid_has_one_name():
    """A UUID is the same in every way it may be written."""
    forms = (UNIQUE, str(UNIQUE), UNIQUE.hex, str(UNIQUE).upper(), f"{{{UNIQUE}}}", UNIQUE.urn)
    assert named(models.UUIDField(), *forms) == ["1234567812345678123456789abcdef0"] * 6


def test_one_date_has_one_name():
    """A date and its ISO form are one."""
    assert named(models.DateField(), DAY, "2026-03-01", "20260301") == ["2026-03-01"] * 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (models.IntegerField(), 1.0),
        (models.IntegerField(), Decimal(1)),
        (models.IntegerField(), None),
        (models.IntegerField(), b"1"),
        (models.IntegerField(), "one"),
        (models.IntegerField(), "1.0"),
        (models.IntegerField(), models.F("id")),
        (models.BooleanField(), "true"),
        (models.CharField(), 1),
        (models.CharField(), b"red"),
        (models.CharField(), None),
        (models.UUIDField(), 5),
        (models.UUIDField(), UNIQUE.bytes),
        (models.UUIDField(), None),
        (models.UUIDField(), "red"),
        (models.DateField(), datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)),
        (models.DateField(), "2026-03-01 10:00"),
        (models.DateField(), 5),
        (models.DateField(), None),
    ],
    ids=count(),
)
def test_what_a_column_cannot_hold_has_no_name(field, value):
    """Nothing else is guessed at: a TypeError or ValueError says so."""
    with pytest.raises((TypeError, ValueError)):
        named(field, value)


NAMELESS = {
    "float": models.FloatField(),
    "decimal": models.DecimalField(max_digits=5, decimal_places=2),
    "moment": models.DateTimeField(),
    "time": models.TimeField(),
    "duration": models.DurationField(),
    "json": models.JSONField(),
    "bytes": models.BinaryField(),
    "file": models.FileField(),
    "address": models.GenericIPAddressField(),
    "own": OwnInteger(),
    "loud": Glass._meta.get_field("text"),
    "money": Event._meta.get_field("price"),
    "computed": models.GeneratedField(
        expression=models.F("x") + 1, output_field=models.IntegerField(), db_persist=True
    ),
}


@pytest.mark.parametrize("kind", NAMELESS)
def test_fields_without_names(kind):
    """Where Python and a database may disagree about what is equal there is no stamp, and no plain type."""
    assert [namer_of(NAMELESS[kind], vendor) for vendor in VENDORS] == [None] * 4
    assert plain_type(NAMELESS[kind]) is None


@pytest.mark.parametrize(
    "kind", [models.CharField, models.TextField, models.SlugField, models.EmailField, models.URLField]
)
def test_text_needs_a_binary_comparison(kind):
    """Text names stamps where the database compares it byte by byte: not on MySQL, not under a collation."""
    assert [namer_of(kind(), vendor) is not None for vendor in VENDORS] == [True, True, False, False]
    if kind in {models.CharField, models.TextField}:
        assert [namer_of(kind(db_collation="NOCASE"), vendor) for vendor in VENDORS] == [None] * 4
    assert plain_type(kind()) is str


def test_numbers_need_nothing():
    """Whole numbers, flags, UUIDs and dates are the same on every database."""
    kinds = (
        models.IntegerField,
        models.BooleanField,
        models.UUIDField,
        models.DateField,
        models.PositiveBigIntegerField,
    )
    assert all(namer_of(kind(), vendor) is not None for kind in kinds for vendor in VENDORS)
    assert [plain_type(kind()) for kind in kinds] == [int, bool, uuid.UUID, datetime.date, int]


def test_a_foreign_key_is_what_it_refers_to():
    """A relation's column has the type of the one at its far end, over as many keys as it takes."""
    fields = {
        Lesson._meta.get_field("group"): int,
        Badge._meta.get_field("owner"): int,
        City._meta.get_field("country"): str,
        Author._meta.pk: int,
        Poem._meta.get_field("author"): int,
        Poem._meta.get_field("cover"): int,
    }
    assert {field: plain_type(field) for field in fields} == fields
    assert stored_field(Poem._meta.get_field("author")).attname == "id"
    assert stored_field(City._meta.get_field("country")).attname == "code"
    assert named(City._meta.get_field("country"), "it") == [digested("it")]
    assert named(Poem._meta.get_field("author"), 7, "7") == ["7", "7"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (models.IntegerField(), -7), (models.BigIntegerField(), 2**40), (models.BooleanField(), True),
        (models.BooleanField(), False), (models.UUIDField(), UNIQUE), (models.DateField(), DAY),
        (City._meta.get_field("id"), 5), (Lesson._meta.get_field("group"), 9), (Badge._meta.get_field("id"), UNIQUE),
    ],
)  # fmt: skip
def test_a_name_gives_the_value_back(field, value):
    """What a value is written as in a stamp's name can be read again, with its type."""
    namer = namer_of(field, "sqlite")
    assert namer is not None
    found = value_named(field, namer(value))
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("field", [models.CharField(max_length=9), models.TextField(), City._meta.get_field("country")])
def test_a_digest_gives_no_text_back(field):
    """Of text only a digest stands in a name."""
    with pytest.raises(ValueError, match="~"):
        value_named(field, digested("x"))
