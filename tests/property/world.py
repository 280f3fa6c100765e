"""What the machine writes to: two of everything on one database, and a register of all that may be written."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.db import DatabaseError, connections, transaction
from django.db.models import QuerySet

from tests.app import models as m
from tests.battery import SLUGS

__all__ = ["DAY", "MADE_UP", "REFUSALS", "WRITES", "World", "Write", "clear", "seed", "write"]

Write = Callable[["World", int, int, int], Any]
#: Everything that may be written, by name and form. A write takes a world and three numbers, which choose what it is
#: done to and what is stored.
WRITES: dict[str, Write] = {}
#: The first of the keys that the database does not make.
MADE_UP = 900_001
#: What a write may end in: a row is in the way, or gone, or there are two.
REFUSALS = (DatabaseError, ObjectDoesNotExist, MultipleObjectsReturned, ValueError)
DAY = datetime.date(2026, 3, 2)

#: Emptied before each example, what refers before what is referred to.
TABLES: tuple[Any, ...] = (
    m.Lesson.students.through, m.Lesson, m.Album.badges.through, m.Album, m.Badge, m.Poem, m.Author, m.Cafe, m.Place,
    m.Student, m.Room, m.Building, m.Teacher, m.Group, m.Membership, m.Team, m.Pet, m.Owner.friends.through, m.Owner,
    m.City, m.Country, m.Tag, m.Topic, m.Chair, m.Ware, m.Tile, m.Freighter, m.Ship, m.Cargo, m.Ticket, m.Stop, m.Line,
    m.Seed, m.Fruit, m.Basket, m.Ledger,
)  # fmt: skip


class World:
    """What there is to write to on one database, and instances that were read earlier."""

    groups = teachers = rooms = students = (1, 2)

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.kept: list[m.Lesson] = []

    def rows(self, model: Any) -> Any:
        """Django's own queryset of ``model`` on this database."""
        return QuerySet(model=model, using=self.alias)

    def has(self, model: Any) -> bool:
        """Whether this database can do what ``model`` asks for, and so has its table."""
        return bool(model._meta.can_migrate(connections[self.alias]))

    def some(self, model: Any, number: int) -> Any:
        """One of the rows; None if there is none."""
        found = list(self.rows(model).order_by("pk"))
        return found[number % len(found)] if found else None

    def lesson(self, number: int) -> m.Lesson:
        """A lesson, read now or long ago; a new one where there is none."""
        found = [*self.rows(m.Lesson).order_by("pk"), *self.kept[-2:]]
        if not found:
            return self.fresh(number, number)
        lesson: m.Lesson = found[number % len(found)]
        self.kept.append(lesson)
        return lesson

    def fresh(self, one: int, two: int) -> m.Lesson:
        """A lesson that is not stored."""
        return m.Lesson(
            title=f"title {two}", slug=SLUGS[one % 4], group_id=self.groups[two % 2], teacher_id=self.teachers[one % 2],
            room_id=[None, *self.rooms][two % 3], weekday=1 + one % 2, period=1 + two % 3, held=[None, DAY][one % 2],
        )  # fmt: skip

    def run_sql(self, sql: Any, params: Any = None, *, many: bool = False) -> None:
        """Run a statement on this thread's connection, as a project would."""
        with connections[self.alias].cursor() as cursor:
            (cursor.executemany if many else cursor.execute)(sql, params)


def write(forms: int = 1) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a write that has so many ``forms``; each is one to choose, and to see chosen."""

    def register(act: Callable[..., Any]) -> Callable[..., Any]:
        for form in range(forms):
            WRITES[f"{act.__name__} {form}"] = partial(act, form=form)
        return act

    return register


def seed(world: World) -> None:
    """See that there are two of what others need, under keys that do not change."""

    def have(model: Any, pk: Any, **values: Any) -> None:
        world.rows(model).get_or_create(pk=pk, defaults=values)

    for number, code in enumerate("ab", start=1):
        have(m.Group, number, code=code)
        have(m.Teacher, number, name=["Ann", "Bea"][number - 1])
        have(m.Room, number, code=code)
        have(m.Student, number, name=["Eve", "Fay"][number - 1])
        have(m.Owner, number, label=code)


def furnish(world: World) -> None:
    """One or two rows of everything, to begin with."""
    made = world.rows
    made(m.Room).filter(pk=1).update(building=made(m.Building).create(pk=1, name="Hall"))
    made(m.Owner).get(pk=1).friends.add(2)
    for number in (1, 2):
        lesson = world.fresh(number, number)
        lesson.save(using=world.alias)
        lesson.students.add(number)
        badge = made(m.Badge).create(pk=UUID(int=number), owner_id=number, label=["gold", "iron"][number - 1])
        made(m.Album).create(pk=number, name="gold").badges.add(badge)
        made(m.Author).create(student_id=number, number=number)
        made(m.Poem).create(pk=number, author_id=number, title="Ode")
        made(m.Place).create(pk=number, name="Rex")
        made(m.Cafe).create(pk=number + 2, name="Sam", stars=number)
        made(m.Pet).create(pk=number, label="cat", owner_id=1, keeper_id=2, vet_id=number)
        made(m.Team).create(pk=number, label="red")
        made(m.Membership).create(team_id=number, member_id=number)
        made(m.Country).create(pk=number, code="ab"[number - 1], name="Land")
        made(m.City).create(pk=number, country_id="ab"[number - 1], name="Town")
        topic = made(m.Topic).create(pk=number, name="Art")
        topic.tags.create(text="new")
        made(m.Chair).create(hall=1, number=number)
        made(m.Ware).create(name=f"ware {number}")
        if world.has(m.Tile):
            made(m.Tile).create(pk=number, place=number, colour="red")
        made(m.Freighter).create(pk=number, cargo_id=number + 10, name="Ada", load="tea")
        line = made(m.Line).create(pk=number, name="U1")
        made(m.Ticket).create(stop=made(m.Stop).create(line=line, name="Zoo"))
        fruit = made(m.Fruit).create(basket=made(m.Basket).create(pk=number, label="best"))
        made(m.Seed).create(fruit=fruit)
        made(m.Ledger).create(pk=number, name="old", parent_id=1)


def clear(world: World) -> None:
    """Delete every row, and furnish the world anew. The keys that the database makes begin where they always do."""
    ContentType.objects.clear_cache()
    with transaction.atomic(using=world.alias):
        for model in filter(world.has, TABLES):
            world.rows(model)._raw_delete(world.alias)
        world.run_sql(
            "SELECT setval(oid::regclass, 1000, false) FROM pg_class WHERE relkind = 'S'"
            if connections[world.alias].vendor == "postgresql"
            else "UPDATE sqlite_sequence SET seq = 999"
        )
        seed(world)
        furnish(world)
