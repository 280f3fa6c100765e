"""Models with every kind of field: Django's own, and a project's with conversions of their own."""

# ruff: noqa: DJ001 - columns that may be NULL are what these models are for
from __future__ import annotations

import json
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import models
from django.db.models.functions import Upper

__all__ = [
    "Annex",
    "BoundedTextField",
    "Everything",
    "HoursField",
    "Money",
    "MoneyField",
    "Seat",
    "Stock",
    "Wallet",
    "WordsField",
]


class Everything(models.Model):
    """Each of Django's fields once, and NULL allowed in all of them."""

    class Weekday(models.IntegerChoices):
        MONDAY = 1
        TUESDAY = 2

    class Colour(models.TextChoices):
        RED = "r", "Red"
        GREEN = "g", "Green"

    big_integer = models.BigIntegerField(null=True)
    binary = models.BinaryField(null=True)
    boolean = models.BooleanField(null=True)
    char = models.CharField(max_length=200, null=True)
    colour = models.CharField(max_length=1, choices=Colour, null=True)
    date = models.DateField(null=True)
    datetime = models.DateTimeField(null=True)
    decimal = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    duration = models.DurationField(null=True)
    email = models.EmailField(null=True)
    file = models.FileField(null=True)
    file_path = models.FilePathField(null=True)
    float = models.FloatField(null=True)
    integer = models.IntegerField(null=True)
    ip = models.GenericIPAddressField(null=True)
    json = models.JSONField(null=True)
    positive = models.PositiveIntegerField(null=True)
    positive_big = models.PositiveBigIntegerField(null=True)
    positive_small = models.PositiveSmallIntegerField(null=True)
    slug = models.SlugField(null=True)
    small = models.SmallIntegerField(null=True)
    text = models.TextField(null=True)
    time = models.TimeField(null=True)
    url = models.URLField(null=True)
    uuid = models.UUIDField(null=True)
    weekday = models.IntegerField(choices=Weekday, null=True)


class Money(NamedTuple):
    """An amount in a currency."""

    amount: Decimal
    currency: str


class MoneyField(models.CharField):
    """Stored as ``12.50 EUR``, read as :class:`Money`: a value that no codec knows."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Money | None:
        if value is None:
            return None
        amount, currency = value.split()
        return Money(Decimal(amount), currency)

    def get_prep_value(self, value: Any) -> Any:
        return f"{value.amount} {value.currency}" if isinstance(value, Money) else value


class WordsField(models.TextField):
    """Stored with commas between, read as a list: a value that somebody may change in place."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> list[str] | None:
        return None if value is None else value.split(",")

    def get_prep_value(self, value: Any) -> Any:
        return ",".join(value) if isinstance(value, list) else value


class HoursField(models.DurationField):
    """A duration that reads as a number of hours, after the conversion Django makes of it on SQLite."""

    def from_db_value(self, value: timedelta | None, expression: Any, connection: Any) -> float | None:
        return None if value is None else value / timedelta(hours=1)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return super().get_db_prep_value(timedelta(hours=value) if value is not None else None, connection, prepared)


class BoundedTextField(models.TextField):
    """A field of the project's own that reads as its parent does."""


class DecimalDecoder(json.JSONDecoder):
    """Reads fractions as decimals."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "parse_float": Decimal})


class DecimalEncoder(json.JSONEncoder):
    """Writes decimals as numbers."""

    def default(self, o: Any) -> Any:
        return float(o) if isinstance(o, Decimal) else super().default(o)


class Wallet(models.Model):
    """Fields with conversions of their own, the primary key among them."""

    key = MoneyField(max_length=40, primary_key=True)
    words = WordsField(null=True)
    prices = models.JSONField(null=True, encoder=DecimalEncoder, decoder=DecimalDecoder)
    note = BoundedTextField(null=True)
    spent = HoursField(null=True)


class Stock(models.Model):
    """Keys and columns that the database makes, or that are another model's."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=40)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    amount = models.IntegerField()
    loud = models.GeneratedField(
        expression=Upper("name"), output_field=models.CharField(max_length=40), db_persist=True
    )
    total = models.GeneratedField(
        expression=models.F("price") * models.F("amount"),
        output_field=models.DecimalField(max_digits=12, decimal_places=2),
        db_persist=True,
    )
    wallet = models.ForeignKey(Wallet, models.CASCADE, null=True)


class Annex(models.Model):
    """A foreign key and a one-to-one, both to a UUID."""

    stock = models.ForeignKey(Stock, models.CASCADE, related_name="annexes")
    twin = models.OneToOneField(Stock, models.CASCADE, null=True, related_name="twin")


class Seat(models.Model):
    """A primary key of two columns, one of which has a conversion of its own."""

    pk = models.CompositePrimaryKey("hall", "price")
    hall = models.IntegerField()
    price = MoneyField(max_length=40)
    holder = models.CharField(max_length=40, null=True)
