"""A school to read from: the same rows on each database, and a questioner for each side of a comparison."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet

from redis_toolkit.cache import CachedQuerySet
from tests.app import models
from tests.app.models.fields import Money

__all__ = ["ALIASES", "ROME_NOON", "School", "fill"]

ALIASES = ("default", "postgres")
ROME_NOON = datetime.datetime(2026, 3, 29, 10, 0, tzinfo=datetime.UTC)


class School:
    """The rows of one database: ``school(Model)`` gives Django's own queryset or, if ``cached``, ours."""

    def __init__(self, alias: str, rows: dict[str, list[Any]], *, cached: bool = False) -> None:
        self.alias = alias
        self.cached = cached
        self._rows = rows

    def __repr__(self) -> str:
        return f"School({self.alias!r}, cached={self.cached})"

    def __call__(self, model: type[Model]) -> QuerySet[Any]:
        if not self.cached:
            return QuerySet(model=model, using=self.alias)
        manager = getattr(model, "cached", None)
        if manager is None:
            return CachedQuerySet(model=model, using=self.alias)
        chosen: QuerySet[Any] = manager.db_manager(self.alias)
        return chosen

    @property
    def lessons(self) -> Any:
        return self(models.Lesson)

    def as_cached(self) -> School:
        return School(self.alias, self._rows, cached=True)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._rows:
            raise AttributeError(name)
        return self._rows[name]


def fill(alias: str) -> School:
    """Make the rows on database ``alias``."""

    def made(model: Any, *rows: dict[str, Any]) -> list[Any]:
        return [QuerySet(model=model, using=alias).create(**row) for row in rows]

    m = models
    hall, mill = made(m.Building, {"name": "Hall"}, {"name": "Mill"})
    rooms = made(
        m.Room, {"code": "B", "capacity": 10, "building": hall}, {"code": "A", "building": mill}, {"code": "C"}
    )
    ada, bob, cyd = made(m.Teacher, {"name": "Ada"}, {"name": "Bob"}, {"name": "Cyd"})
    bob.mentor, cyd.mentor = ada, bob
    bob.save()
    cyd.save()
    groups = made(m.Group, {"code": "g1"}, {"code": "g2"}, {"code": "g3"})
    students = made(m.Student, *({"name": name} for name in ("Eve", "Fay", "Gus", "Hal")))
    notes = (
        {},
        {"a": 1, "b": [1, 2, {"c": None}]},
        {"a": "1", "tags": ["x"]},
        {"a": None},
        [1, "two", 3.5],
        {"a": True},
    )
    lessons = made(
        m.Lesson,
        *(
            {
                "title": f"Lesson {at}",
                "slug": f"lesson-{at}",
                "group": groups[at % 2],
                "teacher": (ada, bob, cyd)[at % 3],
                "room": (*rooms, None)[at % 4],
                "weekday": 1 + at % 5,
                "period": at,
                "notes": notes[at % 6],
                "held": None if at % 4 == 3 else datetime.date(2026, 1 + at % 3, 1 + at),
            }
            for at in range(12)
        ),
    )
    for at, lesson in enumerate(lessons):
        lesson.students.add(*students[: at % 4])
    badges = made(
        m.Badge,
        *(
            {"id": uuid.UUID(int=at), "owner": student, "label": label}
            for at, (student, label) in enumerate(zip(students[:3], ("red", "red", "blue"), strict=True))
        ),
    )
    places = made(m.Place, {"name": "Park"}, {"name": "Pier"})
    cafes = made(m.Cafe, {"name": "Florian", "stars": 5}, {"name": "Park", "stars": 3})
    curious = _curious(made, students)
    curious["albums"][0].badges.set(badges[:2])
    curious["albums"][1].badges.set(badges[1:])
    return School(
        alias,
        rows={
            "rooms": rooms,
            "teachers": [ada, bob, cyd],
            "groups": groups,
            "students": students,
            "list": lessons,
            "badges": badges,
            "places": places,
            "cafes": cafes,
            "buildings": [hall, mill],
            **curious,
        },
    )


def _curious(made: Callable[..., list[Any]], students: list[Any]) -> dict[str, list[Any]]:
    m = models
    hours = (0, 1, 13, 13, 30, None)
    events = made(
        m.Event,
        *(
            {
                "name": f"event {at % 3}",
                "starts": None if hour is None else ROME_NOON + datetime.timedelta(hours=hour),
                "day": datetime.date(2026, 3, 28 + at % 3),
                "lasts": datetime.timedelta(minutes=45 * at),
                "data": {"n": at, "deep": {"list": [at, None]}},
                "file": f"e/{at}.txt" if at else "",
                "price": Money(Decimal(at), "EUR") if at % 2 else None,
                "words": ["a", str(at)] if at % 2 else None,
                "amount": Decimal(at) / 4,
                "share": at / 3,
                "public": at % 2 == 0,
            }
            for at, hour in enumerate(hours)
        ),
    )
    authors = made(m.Author, {"student": students[1], "number": 7}, {"student": students[2], "number": 8})
    poems = made(
        m.Poem, {"author": authors[0], "cover": authors[1], "title": "Ode"}, {"author": authors[0], "title": "Elegy"}
    )
    made(m.Country, {"code": "it", "name": "Italy"}, {"code": "at", "name": "Austria"})
    cities = made(
        m.City,
        {"country_id": "it", "name": "Udine"},
        {"country_id": "it", "name": "Trieste"},
        {"country_id": "at", "name": "Graz"},
    )
    topics = made(m.Topic, {"name": "Art"}, {"name": "Law"})
    ContentType.objects.clear_cache()
    kinds = [ContentType.objects.db_manager(topics[0]._state.db).get_for_model(each) for each in (m.Topic, m.Student)]
    hung = (topics[0], students[0], topics[1], students[1])
    made(
        m.Tag, *({"content_type": kinds[at % 2], "object_id": row.pk, "text": f"t{at}"} for at, row in enumerate(hung))
    )
    dishes = made(m.Dish, {"name": "soup"}, {"name": "cake"})
    _name(made, *dishes)
    shelves = made(m.Shelf, {"name": "top"}, {"name": "bottom"})
    boxes = made(m.Box, *({"shelf": shelf} for shelf in (shelves[0], shelves[0], shelves[1])))
    made(m.Thing, *({"box": boxes[at % 3]} for at in range(4)))
    root, *_ = made(m.Ledger, {"name": "root"})
    leaves = made(m.Ledger, {"name": "leaf", "parent": root}, {"name": "bud", "parent": root})
    return {
        "events": events,
        "authors": authors,
        "poems": poems,
        "cities": cities,
        "ledgers": [root, *leaves],
        "topics": topics,
        "dishes": dishes,
        "albums": made(m.Album, {"name": "Old"}, {"name": "New"}),
        "chairs": made(m.Chair, *({"hall": 1 + at // 2, "number": at % 2, "holder": f"h{at}"} for at in range(4))),
        "wares": made(m.Ware, {"name": "a"}, {"name": "b"}),
        "witnesses": made(m.Witness, {"text": "I saw", "note": "it"}),
        "glasses": made(m.Glass, {"text": "cheers"}),
    }


def _name(made: Callable[..., list[Any]], soup: Any, cake: Any) -> None:
    """The names of two dishes; each is likened to the first of the other's."""
    suppe, torte, *_ = made(
        models.Naming,
        {"dish": soup, "language": "de", "text": "Suppe"},
        {"dish": cake, "language": "de", "text": "Torte"},
        {"dish": soup, "language": "it", "text": "zuppa"},
        {"dish": soup, "language": "it", "text": "brodo", "is_used": False},
        {"dish": cake, "language": "it", "text": "torta", "is_used": False},
    )
    soup.likened.add(torte)
    cake.likened.add(suppe, torte)
