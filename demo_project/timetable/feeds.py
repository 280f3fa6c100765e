"""A group's week as an iCalendar feed (RFC 5545), by the icalendar package."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from icalendar import Calendar, Event

from demo_project.timetable.hours import WEEKS, first_lesson, term_start
from demo_project.timetable.models import Lesson, StudentGroup

__all__ = ["calendar_of"]


def calendar_of(group: StudentGroup, lessons: Iterable[Lesson], today: date) -> bytes:
    """The feed of a group for the term of `today`: one event a lesson, repeated each week.

    The same lessons make the same bytes, so a digest of them is an ETag.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//redis-toolkit//timetable demo//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", str(group))
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    term = term_start(today)
    for lesson in lessons:
        calendar.add_component(_event(lesson, term))
    calendar.add_missing_timezones(first_date=term, last_date=term + timedelta(weeks=WEEKS))
    body: bytes = calendar.to_ical()
    return body


def _event(lesson: Lesson, term: date) -> Event:
    start, end = first_lesson(term, lesson.weekday, lesson.period)
    event = Event()
    event.add("uid", f"lesson-{lesson.pk}@timetable.demo")
    event.add("dtstamp", lesson.changed)
    event.add("last-modified", lesson.changed)
    event.add("dtstart", start)
    event.add("dtend", end)
    event.add("rrule", {"freq": "weekly", "count": WEEKS})
    event.add("summary", lesson.course.title)
    event.add("location", lesson.room.name)
    event.add("description", f"{lesson.teacher}, {lesson.course.code}")
    event.add("categories", [lesson.course.department.name])
    return event
