"""Fills a contestant's database: the same lessons for everyone, 50 in each group, without chance."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.core.management import call_command

__all__ = ["GROUPS", "LESSONS_PER_GROUP", "fill"]

GROUPS = 40
LESSONS_PER_GROUP = 50

_MONDAY = dt.date(2026, 10, 5)
_KINDS = ("lecture", "seminar", "laboratory", "exam")


def fill(groups: int = GROUPS) -> None:
    """Create the tables and their rows in the default database."""
    call_command("migrate", run_syncdb=True, verbosity=0, interactive=False)
    _model("Room").objects.bulk_create(_rooms())
    _model("Teacher").objects.bulk_create(_teachers())
    _model("Course").objects.bulk_create(_courses())
    _model("Lesson").objects.bulk_create(_lessons(groups))


def _model(name: str) -> Any:
    return apps.get_model("school", name)


def _rooms() -> list[Any]:
    room = _model("Room")
    return [
        room(pk=n, name=f"Aula {n}", building=f"Rizzi {n % 4}", floor=n % 5, seats=20 + 7 * n, accessible=n % 3 > 0)
        for n in range(1, 31)
    ]


def _teachers() -> list[Any]:
    teacher = _model("Teacher")
    return [
        teacher(
            pk=n,
            name=f"Teacher Surname{n}",
            email=f"teacher{n}@example.edu",
            title="Prof.",
            department="Mathematics and Computer Science",
            hired=dt.date(1990 + n % 30, 1 + n % 12, 1),
        )
        for n in range(1, 61)
    ]


def _courses() -> list[Any]:
    course = _model("Course")
    return [
        course(
            pk=n,
            code=f"C{n:04}",
            title=f"An introduction to subject number {n}",
            credits=Decimal(n % 9 + 3),
            year=n % 3 + 1,
            language="it" if n % 4 else "en",
        )
        for n in range(1, 121)
    ]


def _lessons(groups: int) -> list[Any]:
    return [_lesson(group, slot) for group in range(1, groups + 1) for slot in range(LESSONS_PER_GROUP)]


def _lesson(group: int, slot: int) -> Any:
    number = (group - 1) * LESSONS_PER_GROUP + slot + 1
    day = _MONDAY + dt.timedelta(days=slot % 5)
    # Ten slots a day on the half hour keep the order of a week total: every contestant must return the same list.
    start = dt.datetime.combine(day, dt.time(8 + slot // 5, 30), tzinfo=dt.UTC)
    return _model("Lesson")(
        pk=number,
        course_id=number % 120 + 1,
        teacher_id=number % 60 + 1,
        room_id=number % 30 + 1,
        group=group,
        topic=f"Chapter {slot + 1}: what group {group} does in slot {slot}",
        kind=_KINDS[number % 4],
        day=day,
        starts_at=start,
        hours=Decimal(number % 3 + 1) + Decimal("0.50"),
        cancelled=number % 17 == 0,
    )
