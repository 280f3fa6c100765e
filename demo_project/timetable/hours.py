"""When teaching happens: five days of five periods, in terms of twelve weeks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import IntegerChoices

__all__ = ["PERIODS", "WEEKS", "ZONE", "Period", "Weekday", "first_lesson", "term_start"]

ZONE = ZoneInfo("Europe/Rome")
WEEKS = 12
WEEK = timedelta(weeks=1)


class Weekday(IntegerChoices):
    MONDAY = 1, "Monday"
    TUESDAY = 2, "Tuesday"
    WEDNESDAY = 3, "Wednesday"
    THURSDAY = 4, "Thursday"
    FRIDAY = 5, "Friday"


@dataclass(frozen=True, slots=True)
class Period:
    """One of the five slots of a day."""

    number: int
    start: time
    end: time

    def __str__(self) -> str:
        return f"{self.start:%H:%M}–{self.end:%H:%M}"  # noqa: RUF001 - from one hour to another


PERIODS = {
    period.number: period
    for period in (
        Period(1, time(8, 30), time(10, 15)),
        Period(2, time(10, 30), time(12, 15)),
        Period(3, time(13, 15), time(15, 0)),
        Period(4, time(15, 15), time(17, 0)),
        Period(5, time(17, 15), time(19, 0)),
    )
}


def term_start(today: date) -> date:
    """The Monday on which the current term began, or else the next one will."""
    starts = sorted(
        _monday_from(date(year, month, day))
        for year in (today.year - 1, today.year, today.year + 1)
        for month, day in ((3, 1), (9, 22))
    )
    return next(start for start in starts if start + WEEKS * WEEK > today)


def first_lesson(term: date, weekday: int, period: int) -> tuple[datetime, datetime]:
    """When a weekly lesson begins and ends in the first week of a term."""
    day = term + timedelta(days=weekday - 1)
    slot = PERIODS[period]
    return datetime.combine(day, slot.start, ZONE), datetime.combine(day, slot.end, ZONE)


def _monday_from(day: date) -> date:
    return day + timedelta(days=-day.weekday() % 7)
