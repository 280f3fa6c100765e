"""Reads the real week of `data/udine`, with the invented names of `data/names`, into the database."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from django.db import models, transaction

from demo_project.timetable.models import Attendance, Course, Department, Lesson, Room, StudentGroup, Teacher

__all__ = ["clear", "load", "row_count"]

DATA = Path(__file__).parent / "data"
BATCH = 50

#: One file for each table, one line for each row.
TABLES = [
    "names/departments.csv",
    "names/teachers.csv",
    "udine/rooms.csv",
    "udine/courses.csv",
    "names/groups.csv",
    "udine/curricula.csv",
    "udine/lectures.csv",
]

Coded = TypeVar("Coded", Department, Teacher, Room, Course, StudentGroup)


def row_count() -> int:
    """How many rows `load` will write."""
    return sum(1 for table in TABLES for _ in _rows(table))


@transaction.atomic
def load(progress: Callable[[int], object]) -> None:
    """Fill the empty tables. `progress` is told how many rows were written since it was last told."""
    departments = _store(_departments(), progress)
    teachers = _store(_teachers(), progress)
    rooms = _store(_rooms(), progress)
    courses = _store(_courses(departments, teachers), progress)
    groups = _store(_groups(departments), progress)
    _write(Attendance, _attendances(groups, courses), progress)
    _write(Lesson, _lessons(courses, rooms), progress)


@transaction.atomic
def clear() -> None:
    """Empty the tables, from the lessons up."""
    for model in (Lesson, Attendance, StudentGroup, Course, Room, Teacher, Department):
        model.objects.all().delete()


def _departments() -> Iterator[Department]:
    for row in _rows("names/departments.csv"):
        yield Department(code=row["department"], name=row["name"], tone=row["tone"])


def _teachers() -> Iterator[Teacher]:
    for row in _rows("names/teachers.csv"):
        yield Teacher(code=row["teacher"], given_name=row["given_name"], family_name=row["family_name"])


def _rooms() -> Iterator[Room]:
    for row in _rows("udine/rooms.csv"):
        kind = "Hall" if row["room"].isalpha() else "Room"
        yield Room(code=row["room"], name=f"{kind} {row['room']}", capacity=int(row["capacity"]))


def _courses(departments: dict[str, Department], teachers: dict[str, Teacher]) -> Iterator[Course]:
    names = {row["course"]: row for row in _rows("names/courses.csv")}
    for row in _rows("udine/courses.csv"):
        name = names[row["course"]]
        yield Course(
            code=row["course"],
            title=name["title"],
            department=departments[name["department"]],
            teacher=teachers[row["teacher"]],
            students=int(row["students"]),
        )


def _groups(departments: dict[str, Department]) -> Iterator[StudentGroup]:
    for row in _rows("names/groups.csv"):
        yield StudentGroup(
            code=row["curriculum"],
            programme=row["programme"],
            department=departments[row["department"]],
            year=int(row["year"]),
            section=row["section"],
        )


def _attendances(groups: dict[str, StudentGroup], courses: dict[str, Course]) -> Iterator[Attendance]:
    for row in _rows("udine/curricula.csv"):
        yield Attendance(group=groups[row["curriculum"]], course=courses[row["course"]])


def _lessons(courses: dict[str, Course], rooms: dict[str, Room]) -> Iterator[Lesson]:
    for row in _rows("udine/lectures.csv"):
        course = courses[row["course"]]
        yield Lesson(
            course=course,
            teacher=course.teacher,
            room=rooms[row["room"]],
            weekday=int(row["weekday"]),
            period=int(row["period"]),
        )


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _store(rows: Iterable[Coded], progress: Callable[[int], object]) -> dict[str, Coded]:
    """Write the rows and hand them back by their codes."""
    written = list(rows)
    _write(type(written[0]), written, progress)
    return {row.code: row for row in written}


def _write(model: type[models.Model], rows: Iterable[models.Model], progress: Callable[[int], object]) -> None:
    unwritten = iter(rows)
    while batch := list(islice(unwritten, BATCH)):
        model._default_manager.bulk_create(batch)
        progress(len(batch))
