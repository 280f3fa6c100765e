"""The rows that the plays are about."""

from __future__ import annotations

from typing import Any

from django.db import connections

from tests.app.models import Group, Lesson, Room, Student, Teacher
from tests.battery import Universe, stale

__all__ = ["PG", "Timetable"]

PG = "postgres"
#: What is asked of the battery: each kind of stamp, and what depends on other tables.
ASKED = (
    "get pk 1", "get pk 2", "get slug ada", "filter slug ada", "get by constraint 1", "in_bulk", "pk__in", "group 1",
    "group 2", "group 3", "count of group 1", "teacher 1", "room 1 on day 1", "room 2 on day 1", "two groups", "not the first", "all there is",
    "sum", "of a student", "prefetched", "first",
)  # fmt: skip


class Timetable:
    """Three groups, two teachers, rooms and students, and a lesson of the first group, under keys 1, 2, 3."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        for number in (1, 2, 3):
            Group.objects.using(alias).create(pk=number, code=f"g{number}")
        for number in (1, 2):
            Teacher.objects.using(alias).create(pk=number, name=f"t{number}")
            Room.objects.using(alias).create(pk=number, code=f"r{number}")
            Student.objects.using(alias).create(pk=number, name=f"s{number}")
        self.add(1)

    def add(self, number: int, **other: Any) -> Lesson:
        """Store a lesson under the key ``number``."""
        values = {
            "title": "old", "slug": ["ada", "bob", "cyd"][number - 1], "group_id": 1, "teacher_id": 1, "room_id": 1,
            "weekday": 1, "period": number, **other,
        }  # fmt: skip
        return Lesson.objects.using(self.alias).create(pk=number, **values)

    @property
    def cached(self) -> Any:
        return Lesson.cached.db_manager(self.alias)

    @property
    def lesson(self) -> Lesson:
        """The lesson, from the database."""
        return Lesson.objects.using(self.alias).get(pk=1)

    def change(self, **values: Any) -> None:
        """Save the lesson with other values."""
        lesson = self.lesson
        for name, value in values.items():
            setattr(lesson, name, value)
        lesson.save(using=self.alias)

    def group(self, number: int) -> list[str]:
        """The titles of a group's lessons, from the cache."""
        return [lesson.title for lesson in self.cached.filter(group=number).order_by("pk")]

    def stale(self, *asked: str) -> int:
        """How many questions about lessons the cache now answers wrongly; all are asked, so all are cached after."""
        return len(stale(Universe((1, 2, 3), (1, 2, 3), (1,), (1, 2), (1,)), self.alias, *(asked or ASKED)))

    def warm(self) -> None:
        """Have every answer in the cache."""
        assert self.stale() == 0

    def run_sql(self, sql: str, *params: Any) -> None:
        """Run a statement on this thread's connection."""
        with connections[self.alias].cursor() as cursor:
            cursor.execute(sql, params)
