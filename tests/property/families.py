"""Writes of rows that lie in two tables or have keys of two columns, of proxies, and of what the database works out."""

from __future__ import annotations

from django.db.models import F, Value
from django.db.models.functions import Concat

from tests.app.models import Cafe, Cargo, Chair, EarlyLesson, Freighter, Place, Ship, Tile, Ware
from tests.property.lessons import as_early
from tests.property.world import MADE_UP, World, write

__all__: list[str] = []


@write(forms=11)
def parent_and_child(world: World, one: int, two: int, three: int, form: int) -> None:
    alias, place, cafe = world.alias, world.some(Place, two), world.some(Cafe, two)
    name, stars = ["Rex", "Sam"][one % 2], 1 + three % 2
    key = [None, MADE_UP + two % 3][three % 2]
    if form == 0 or place is None or cafe is None:
        Cafe(name=name, stars=stars, pk=key).save(using=alias)
    elif form == 1:
        Place(name=name, pk=key).save(using=alias)
    elif form == 2:
        place.name = name
        place.save()
    elif form in {3, 4, 5}:
        cafe.name, cafe.stars = name, stars
        cafe.save(update_fields=[["name"], ["stars"], ["name", "stars"]][form - 3])
    elif form == 6:
        place.delete()
    elif form in {7, 8}:
        cafe.delete(keep_parents=form == 8)
    elif form == 9:
        world.rows(Cafe).update_or_create(pk=place.pk, defaults={"name": name, "stars": stars})
    else:
        # A child of a parent that is there: only its own table gets a row.
        Cafe(place_ptr=place, stars=stars).save_base(raw=True, using=alias)


@write(forms=3)
def parents_and_children(world: World, one: int, two: int, three: int, form: int) -> None:
    name, stars = ["Rex", "Sam"][one % 2], 1 + three % 2
    if form == 0:
        world.rows(Cafe).filter(stars=stars).update(name=name, stars=F("stars") % 2 + 1)
    elif form == 1:
        world.rows(Cafe).filter(name=name).delete()
    else:
        world.rows(Place).filter(name=name).update(name=Concat(F("name"), Value("")))


@write(forms=6)
def two_parents(world: World, one: int, two: int, three: int, form: int) -> None:
    ship = world.some(Freighter, one)
    if form == 0 or ship is None:
        Freighter(ship_id=[None, 3][two % 2], cargo_id=20 + two % 3, name="Ada", load="tea").save(using=world.alias)
    elif form == 1:
        ship.name, ship.load = f"Ada {three}", "oil"
        ship.save()
    elif form == 2:
        world.rows(Cargo).filter(pk=ship.cargo_ptr_id).update(load=f"ore {three}")
    elif form == 3:
        world.rows(Ship).update(name=f"Bea {three}")
    elif form == 4:
        world.rows(Freighter).filter(name__startswith="Ada").update(load=f"tea {three}", name="Ada")
    else:
        ship.delete()


@write(forms=4)
def proxies(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson = world.some(EarlyLesson, one)
    if form == 0 or lesson is None:
        as_early(world.fresh(one, two)).save(using=world.alias)
    elif form == 1:
        lesson.title = f"early {three}"
        lesson.save()
    elif form == 2:
        world.rows(EarlyLesson).filter(period__lte=2).update(weekday=1 + three % 2, group=1 + two % 2)
    else:
        lesson.delete()


@write(forms=9)
def keys_of_two_columns(world: World, one: int, two: int, three: int, form: int) -> None:
    chair, alias = world.some(Chair, one), world.alias
    hall, number = 1 + one % 2, 1 + two % 3
    if form == 0 or chair is None:
        Chair(hall=hall, number=number, holder=f"h{three}").save(using=alias)
    elif form == 1:
        world.rows(Chair).bulk_create([Chair(hall=hall, number=number, holder="b")], ignore_conflicts=True)
    elif form == 2:
        world.rows(Chair).bulk_create(
            [Chair(hall=hall, number=number, holder=f"c{three}")],
            update_conflicts=True, unique_fields=["hall", "number"], update_fields=["holder"],
        )  # fmt: skip
    elif form == 3:
        chair.holder = f"s{three}"
        chair.save()
    elif form == 4:
        world.rows(Chair).filter(pk=chair.pk).update(holder=f"u{three}")
    elif form == 5:
        world.rows(Chair).filter(pk__in=[chair.pk, (2, 3)]).delete()
    elif form == 6:
        world.rows(Chair).filter(hall=hall).update(holder=F("holder"), hall=3 - hall)
    elif form == 7:
        chair.delete()
    else:
        chair.holder = f"m{three}"
        world.rows(Chair).bulk_update([chair], ["holder"])


@write(forms=9)
def worked_out(world: World, one: int, two: int, three: int, form: int) -> None:
    """Columns that the database fills: generated ones, and defaults of its own, one of which is declared in ``by``."""
    ware, name, alias = world.some(Ware, one), f"ware {two % 3}", world.alias
    if form == 0 or ware is None:
        Ware(name=name).save(using=alias)
    elif form == 1:
        world.rows(Ware).bulk_create([Ware(name=name), Ware(name=name, stock=8)])
    elif form == 2:
        ware.name = name + str(three)
        ware.save()
    elif form == 3:
        ware.stock = 7 + three % 2
        ware.save(update_fields=["stock"])
    elif form == 4:
        world.rows(Ware).filter(stock=7).update(stock=8)
    elif form == 5:
        world.rows(Ware).filter(pk=ware.pk).update(stock=15 - F("stock"), name=Concat(F("name"), Value("!")))
    elif form == 6:
        world.rows(Ware).filter(loud=ware.loud).delete()
    elif form == 7:
        ware.stock = 15 - F("stock")
        ware.save()
    else:
        world.rows(Ware).filter(pk=ware.pk).delete()


@write(forms=4)
def decided_at_the_commit(world: World, one: int, two: int, three: int, form: int) -> None:
    """Two may share a place until the transaction ends; SQLite knows no such constraint, and has no table."""
    if not world.has(Tile):
        return
    tile, place = world.some(Tile, one), 1 + three % 3
    if form == 0 or tile is None:
        Tile(place=place, colour=["red", "blue"][two % 2]).save(using=world.alias)
    elif form == 1:
        tile.place = place
        tile.save()
    elif form == 2:
        world.rows(Tile).update(place=F("place") + 1)
    else:
        tile.delete()
