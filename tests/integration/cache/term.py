"""A term of lessons on one database: one lesson of each group for every ten, and who asks for them."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from redis_toolkit.models import Outbox
from tests.app.models import Group, Lesson, Room, Student, Teacher

__all__ = ["Term"]


class Term:
    """Lesson ``n`` is group ``n % 10``'s, teacher ``n % 5``'s, in room ``n % 2``, on weekday ``1 + n // 2 % 5``."""

    def __init__(self, alias: str, lessons: int = 10) -> None:
        self.alias = alias
        # On SQLite what returns rows in autocommit is over only when the connection is used next; this is over at once.
        with transaction.atomic(using=alias):
            self.groups = self.plain(Group).bulk_create(Group(code=f"g{at}") for at in range(10))
            self.teachers = self.plain(Teacher).bulk_create(Teacher(name=f"t{at}") for at in range(5))
            self.rooms = self.plain(Room).bulk_create(Room(code=f"r{at}") for at in range(2))
            self.students = self.plain(Student).bulk_create(Student(name=f"s{at}") for at in range(2))
            self.lessons = self.plain(Lesson).bulk_create(self.lesson(at) for at in range(lessons))

    def plain(self, model: Any) -> Any:
        """Django's own manager of ``model``, on this database."""
        return model.objects.using(self.alias)

    @property
    def cached(self) -> Any:
        """The manager that answers from the cache, on this database."""
        return Lesson.cached.db_manager(self.alias)

    def lesson(self, at: int, **other: Any) -> Lesson:
        """Lesson number ``at``, not saved."""
        usual = {
            "title": f"Lesson {at}", "slug": f"lesson-{at}", "group": self.groups[at % 10],
            "teacher": self.teachers[at % 5], "room": self.rooms[at % 2], "weekday": 1 + at // 2 % 5, "period": at,
        }  # fmt: skip
        return Lesson(**{**usual, **other})

    def grow(self, lessons: int) -> None:
        """Have this many lessons."""
        with transaction.atomic(using=self.alias):
            more = range(len(self.lessons), lessons)
            self.lessons += self.plain(Lesson).bulk_create(self.lesson(at) for at in more)

    def again(self, at: int) -> Any:
        """Lesson number ``at`` as the database has it now."""
        return self.plain(Lesson).get(pk=self.lessons[at].pk)

    def clear(self) -> None:
        """Leave nothing behind."""
        for model in (Lesson, Group, Teacher, Room, Student, Outbox):
            self.plain(model).all().delete()
