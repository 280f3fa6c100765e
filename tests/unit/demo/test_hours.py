"""The calendar of the demo: periods, terms, first lessons."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_project.timetable.hours import PERIODS, WEEKS, first_lesson, term_start


@pytest.mark.parametrize(
    ("today", "start"),
    [
        (date(2026, 9, 27), date(2026, 9, 28)),  # the day before
        (date(2026, 9, 28), date(2026, 9, 28)),
        (date(2026, 12, 20), date(2026, 9, 28)),  # the last Sunday
        (date(2026, 12, 21), date(2027, 3, 1)),
        (date(2027, 5, 23), date(2027, 3, 1)),
        (date(2027, 5, 24), date(2027, 9, 27)),
    ],
)
def test_a_term_lasts_twelve_weeks_and_then_the_next_counts(today: date, start: date) -> None:
    """From 28 September 2026 to 20 December; from the day after, the term of March."""
    assert term_start(today) == start


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)))
def test_a_term_starts_on_a_monday_and_is_not_over(today: date) -> None:
    """Whatever the day, its term began on a Monday and ends after it, within eight months."""
    start = term_start(today)
    assert start.isoweekday() == 1
    assert start + timedelta(weeks=WEEKS) > today
    assert start - today < timedelta(days=140)


def test_first_lessons_are_in_local_time() -> None:
    """Wednesday's second period is 10:30 to 12:15 in Rome, in summer time and in winter time."""
    rome = ZoneInfo("Europe/Rome")
    for monday, offset in ((date(2026, 9, 28), 2), (date(2027, 3, 1), 1)):
        start, end = first_lesson(monday, weekday=3, period=2)
        wednesday = monday + timedelta(days=2)
        assert start == datetime(wednesday.year, wednesday.month, wednesday.day, 10, 30, tzinfo=rome)
        assert (end - start, start.utcoffset()) == (timedelta(minutes=105), timedelta(hours=offset))


def test_periods_follow_each_other() -> None:
    """Five periods of 105 minutes, none beginning before the last has ended; they print as people write them."""
    periods = list(PERIODS.values())
    assert [period.number for period in periods] == [1, 2, 3, 4, 5]
    assert all(before.end < after.start for before, after in pairwise(periods))
    assert str(periods[0]) == "08:30–10:15"  # noqa: RUF001
