"""Columns that are not plain: keys of two columns, values that the database makes, checks that wait for the commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django
import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat, Lower

from tests.app.models import Badge, Chair, City, Country, Student, Tile, Ware
from tests.battery import row

Writes = dict[str, tuple[Callable[[Any], Any], set[str]]]


def of(**asked: Any) -> Any:
    return lambda rows: list(rows.filter(**asked).order_by("pk"))


def changed(instance: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(instance, name, value)
    return instance


# A primary key of two columns

CHAIRS = {
    "row": (Chair, row(pk=(1, 1))),
    "other row": (Chair, row(pk=(2, 1))),
    "row to come": (Chair, row(pk=(1, 9))),
    "hall 1": (Chair, of(hall=1)),
    "hall 2": (Chair, of(hall=2)),
    "holder": (Chair, of(holder="a")),
    "bulk": (Chair, lambda chairs: chairs.in_bulk([(1, 1), (1, 9)])),
    "count": (Chair, lambda chairs: chairs.count()),
}
#: A row by such a key depends on any row, and a write by it is coarse; a new row is fine.
CHAIRED: Writes = {
    "save": (lambda chairs: changed(chairs.get(pk=(1, 1)), holder="b").save(), set()),
    "create": (lambda chairs: chairs.create(hall=1, number=9, holder="a"), {"hall 2"}),
    "bulk_create": (lambda chairs: chairs.bulk_create([Chair(hall=1, number=9)]), {"hall 2"}),
    "bulk_create or update": (
        lambda chairs: chairs.bulk_create(
            [Chair(hall=1, number=1, holder="b")], update_conflicts=True, unique_fields=["hall", "number"],
            update_fields=["holder"],
        ),
        set(),
    ),
    "update": (lambda chairs: chairs.filter(pk=(1, 1)).update(holder="b"), set()),
    "update of the key": (lambda chairs: chairs.filter(pk=(1, 1)).update(number=9), set()),
    "update by a part": (lambda chairs: chairs.filter(number=1).update(holder="b"), set()),
    "bulk_update": (lambda chairs: chairs.bulk_update([Chair(hall=1, number=1, holder="b")], ["holder"]), set()),
    "under another key": (lambda chairs: changed(chairs.get(pk=(1, 1)), pk=(1, 9)).save(), set()),
    "delete": (lambda chairs: chairs.get(pk=(1, 1)).delete(), set()),
    "delete of a queryset": (lambda chairs: chairs.filter(pk__in=[(1, 1), (2, 1)]).delete(), set()),
}  # fmt: skip


@pytest.mark.parametrize(("write", "keeps"), CHAIRED.values(), ids=CHAIRED)
def test_a_key_of_two_columns(alias: str, warm: Any, write: Any, keeps: set[str]) -> None:
    """No answer is stale after the write, and just those named were hits all the while."""
    for hall in (1, 2):
        Chair.objects.using(alias).create(hall=hall, number=1, holder="a")
    warm(CHAIRS).keeps(keeps, lambda: write(Chair.objects.using(alias)))


# Values that the database makes

WARES = {
    "row": (Ware, row(pk=-1)),
    "other row": (Ware, row(pk=-2)),
    "loud A": (Ware, of(loud="A")),
    "loud B": (Ware, of(loud="B")),
    "stock 7": (Ware, of(stock=7)),
    "stock 8": (Ware, of(stock=8)),
    "stock 9": (Ware, of(stock=9)),
    "louds": (Ware, lambda wares: sorted(wares.values_list("loud", flat=True))),
}
WARED: Writes = {
    "a generated value changes": (
        lambda wares: changed(wares.get(pk=-1), name="b").save(update_fields=["name"]),
        set(),
    ),
    "by an update": (lambda wares: wares.filter(pk=-1).update(name="b"), {"other row", "stock 8", "stock 9"}),
    "by an expression": (
        lambda wares: wares.filter(pk=-1).update(name=Concat(Lower("name"), Value("b"))), {"other row", "stock 8", "stock 9"}
    ),
    "a default of the database": (lambda wares: wares.create(name="b"), set()),
    "a default in a bulk": (lambda wares: wares.bulk_create([Ware(name="b"), Ware(name="a", stock=9)]), set()),
    "a value in its place": (lambda wares: wares.create(name="b", stock=9), {"row", "other row", "stock 7", "stock 8"}),
    "moved": (lambda wares: wares.filter(pk=-1).update(stock=9), {"other row", "stock 8"}),
    "counted down": (lambda wares: wares.filter(pk=-2).update(stock=F("stock") - 1), set()),
    "inserted or updated": (
        lambda wares: wares.bulk_create(
            [Ware(pk=-1, name="b", stock=9)], update_conflicts=True, unique_fields=["pk"], update_fields=["name", "stock"]
        ),
        set(),
    ),
}  # fmt: skip

#: From Django 6.1 on a save is given back what the database made; SQLite can lock no row under that.
RETURNS = django.VERSION >= (6, 1)


def more(alias: str, write: Any) -> set[str]:
    """What is a hit besides, where the database or Django's version decides."""
    if alias == "default":
        # For SQLite Django writes a default out, so that it is known.
        bulk = {WARED["a default in a bulk"][0]: {"row", "other row", "stock 8"}}
        one = {WARED["a default of the database"][0]: {"row", "other row", "stock 8", "stock 9"}}
        return (bulk if RETURNS else bulk | one).get(write, set()) | generated(write, fine=not RETURNS)
    return generated(write, fine=True)


def generated(write: Any, *, fine: bool) -> set[str]:
    return {"other row", "stock 8", "stock 9"} if fine and write is WARED["a generated value changes"][0] else set()


@pytest.mark.parametrize(("write", "keeps"), WARED.values(), ids=WARED)
def test_values_of_the_database(alias: str, warm: Any, write: Any, keeps: set[str]) -> None:
    """A generated column names no stamp, a default of the database is not known before: no answer is stale."""
    wares = Ware.objects.using(alias)
    wares.create(pk=-1, name="a", stock=7)
    wares.create(pk=-2, name="a", stock=8)
    warm(WARES).keeps(keeps | more(alias, write), lambda: write(wares))


# Keys that are codes, keys that are random


def test_a_code_that_others_refer_to(alias: str, warm: Any) -> None:
    """What refers to a unique code follows it: cities of a country that is renamed, recoded and deleted."""
    countries, cities = Country.objects.using(alias), City.objects.using(alias)
    for at, code in ((-1, "it"), (-2, "de")):
        countries.create(pk=at, code=code, name=code)
    cities.create(pk=-1, country_id="it", name="Bari")
    asked = warm(
        {
            "of it": (City, of(country="it")),
            "of de": (City, of(country="de")),
            "joined": (City, lambda rows: list(rows.select_related("country"))),
            "it": (Country, row(code="it")),
            "at": (Country, row(code="at")),
            "one": (City, row(country="de", name="Bari")),
        }
    )
    kept = []
    for write in (
        lambda: countries.filter(code="it").update(name="Italy"),
        lambda: cities.filter(pk=-1).update(country="de"),
        lambda: countries.filter(pk=-1).update(code="at"),
        lambda: countries.get(code="de").delete(),
    ):
        write()
        kept.append(asked.look())
    cities_alone = {"of it", "of de", "one"}
    assert kept == [cities_alone, {"it", "at"}, cities_alone, {"it", "at"}]


def test_a_random_key(alias: str, warm: Any) -> None:
    """A row whose key Python makes before it is stored ends what lacked it, and nothing of another row."""
    students = [Student.objects.using(alias).create(name=name) for name in "ab"]
    first, second = Badge(owner=students[0], label="red"), Badge(owner=students[1], label="red")
    first.save(using=alias)
    asked = warm(
        {
            "row": (Badge, row(pk=first.pk)),
            "to come": (Badge, row(pk=second.pk)),
            "owner": (Badge, row(owner=students[0].pk)),
            "owner to come": (Badge, row(owner=students[1].pk)),
            "red": (Badge, of(label="red")),
            "blue": (Badge, of(label="blue")),
            "students": (Student, lambda rows: list(rows.select_related("badge").order_by("pk"))),
        }
    )
    asked.keeps({"row", "owner", "blue"}, lambda: second.save(using=alias))
    asked.keeps({"to come", "owner to come"}, lambda: changed(first, label="blue").save(using=alias))


# Checks that wait for the commit


def test_a_constraint_that_waits(alias: str, warm: Any) -> None:
    """A row that the commit refuses was never there, for anybody."""
    if alias == "default":
        # SQLite has no such constraint; a foreign key is checked as late.
        check_a_foreign_key_that_waits(warm)
        return
    tiles = Tile.objects.using(alias)
    tiles.create(pk=-1, place=1, colour="red")
    asked = warm(
        {
            "row": (Tile, row(pk=-1)),
            "place": (Tile, of(place=1)),
            "count": (Tile, lambda rows: rows.count()),
            "colour": (Tile, of(colour="blue")),
        }
    )
    with pytest.raises(IntegrityError), transaction.atomic(using=alias):
        tiles.create(pk=-2, place=1, colour="blue")
    assert asked.look() == {"row"}
    with transaction.atomic(using=alias):
        tiles.create(pk=-2, place=1, colour="blue")
        tiles.filter(pk=-1).update(place=2)
    assert asked.look() == set()


def check_a_foreign_key_that_waits(warm: Any) -> None:
    asked = warm({"of it": (City, of(country="it")), "count": (City, lambda rows: rows.count())})
    with pytest.raises(IntegrityError), transaction.atomic(using="default"):
        City.objects.using("default").create(country_id="it", name="Bari")
    assert asked.look() == set()
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM app_city")
        assert cursor.fetchone() == (0,)
