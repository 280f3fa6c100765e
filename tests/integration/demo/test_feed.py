"""The calendar feed: valid, weekly, and silent (304) while nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from demo_project.timetable.feeds import calendar_of
from demo_project.timetable.models import Lesson, Room, StudentGroup

FEED = "/groups/q065/calendar.ics"
ROME = ZoneInfo("Europe/Rome")


def parsed(body: bytes) -> Calendar:
    calendar = Calendar.from_ical(body)
    assert isinstance(calendar, Calendar)
    return calendar


def test_the_feed_holds_the_groups_lessons(visit: Callable[..., Any]) -> None:
    """22 events, each weekly for 12 weeks, with what a calendar shows; nothing in it is malformed."""
    response = visit(FEED).response
    assert response.headers["Content-Type"] == "text/calendar; charset=utf-8"
    calendar = parsed(response.content)
    events = calendar.events
    assert str(calendar["X-WR-CALNAME"]) == "Management Engineering, master’s year 1, C"  # noqa: RUF001
    assert (len(events), len({event["UID"] for event in events}), len(calendar.timezones)) == (22, 22, 1)
    assert all(event["RRULE"] == {"FREQ": ["WEEKLY"], "COUNT": [12]} for event in events)
    assert not calendar.errors
    assert not [error for event in events for error in event.errors]
    assert {str(event["SUMMARY"]) for event in events} == {
        "Engineering Economics",
        "Heat and Mass Transfer",
        "Industrial Economics",
        "Project Management",
        "Quality Engineering",
    }


@pytest.mark.parametrize(
    ("today", "monday"),
    [(date(2026, 11, 23), date(2026, 9, 28)), (date(2027, 1, 10), date(2027, 3, 1))],
    ids=["in the term", "between terms"],
)
def test_events_stand_in_the_term_of_the_day(timetable: None, today: date, monday: date) -> None:
    """The first lesson of q065, a Monday's third period, begins at 13:15 in Rome on the term's first day."""
    group = StudentGroup.objects.get(code="q065")
    lessons = Lesson.objects.filter(course__groups=group).order_by("weekday", "period")
    first = parsed(calendar_of(group, lessons, today)).events[0]
    assert first.start == datetime(monday.year, monday.month, monday.day, 13, 15, tzinfo=ROME)
    assert first.end - first.start == timedelta(minutes=105)
    assert (str(first["LOCATION"]), str(first["DESCRIPTION"])) == ("Hall A", "Edoardo Salvi, c0346")


def test_an_unchanged_feed_is_not_sent_again(visit: Callable[..., Any]) -> None:
    """The ETag of the first answer makes the second a 304 without a body, from the cache alone."""
    etag = visit(FEED).response.headers["ETag"]
    again = visit(FEED, if_none_match=etag)
    assert (again.response.status_code, again.response.content, again.response.headers["ETag"]) == (304, b"", etag)
    assert (again.hits, again.queries) == (3, 0)


def test_a_moved_lesson_makes_a_new_feed(visit: Callable[..., Any]) -> None:
    """After the change the old ETag gets 200, another ETag and the new time; another group's feed is still 304."""
    others = "/groups/q012/calendar.ics"
    etag, others_etag = visit(FEED).response.headers["ETag"], visit(others).response.headers["ETag"]
    lesson = Lesson.objects.get(course__code="c0193", weekday=3, period=5)
    lesson.weekday, lesson.room = 5, Room.objects.get(code="DS1")
    lesson.save()
    changed = visit(FEED, if_none_match=etag).response
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag
    [event] = [e for e in parsed(changed.content).events if e["UID"] == f"lesson-{lesson.pk}@timetable.demo"]
    assert (event.start.isoweekday(), event["LOCATION"]) == (5, "Room DS1")
    assert visit(others, if_none_match=others_etag).response.status_code == 304


def test_a_deleted_lesson_leaves_the_feed(visit: Callable[..., Any]) -> None:
    """No lesson has a later date than before, and yet the feed is new: the ETag decides, not the date."""
    first = visit(FEED).response
    Lesson.objects.filter(course__code="c0346", weekday=1, period=3).get().delete()
    after = visit(FEED, if_none_match=first.headers["ETag"], if_modified_since=first.headers["Last-Modified"]).response
    assert (after.status_code, len(parsed(after.content).events)) == (200, 21)
    dated = visit(FEED, if_modified_since=first.headers["Last-Modified"]).response
    assert dated.status_code == 200


def test_a_group_without_lessons_has_an_empty_feed(visit: Callable[..., Any]) -> None:
    """No events, no Last-Modified, and still a calendar."""
    Lesson.objects.all().delete()
    response = visit(FEED).response
    assert response.status_code == 200
    assert "Last-Modified" not in response.headers
    assert parsed(response.content).events == []
