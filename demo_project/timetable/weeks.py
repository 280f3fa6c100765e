"""A week as a page shows it: days of periods, each with the lessons held in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from demo_project.timetable.hours import PERIODS, Period, Weekday
from demo_project.timetable.models import Lesson

__all__ = ["Cell", "Day", "week_of"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A period of a day. A week without clashes has at most one lesson in it."""

    period: Period
    lessons: tuple[Lesson, ...]


@dataclass(frozen=True, slots=True)
class Day:
    weekday: Weekday
    is_today: bool
    cells: tuple[Cell, ...]

    @property
    def is_free(self) -> bool:
        return not any(cell.lessons for cell in self.cells)


def week_of(lessons: Iterable[Lesson], today: date) -> list[Day]:
    """The five days of these lessons; `today` is the one to point out."""
    held: dict[tuple[int, int], list[Lesson]] = {}
    for lesson in lessons:
        held.setdefault((lesson.weekday, lesson.period), []).append(lesson)
    return [
        Day(
            weekday=weekday,
            is_today=weekday == today.isoweekday(),
            cells=tuple(Cell(period, tuple(held.get((weekday, period.number), ()))) for period in PERIODS.values()),
        )
        for weekday in Weekday
    ]
