"""The public pages. Each reads through `Model.cached`: loaded a second time, it asks the database nothing."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from django.db.models import Count, Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import http_date, quote_etag

from demo_project.timetable.feeds import calendar_of
from demo_project.timetable.hours import PERIODS, Weekday
from demo_project.timetable.models import Attendance, Course, Department, Lesson, Room, StudentGroup, Teacher
from demo_project.timetable.search import find
from demo_project.timetable.weeks import week_of


def home(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    if text:
        found = find(text)
        if len(found.everything) == 1:
            return redirect(found.everything[0])
        return render(request, "timetable/search.html", {"text": text, "found": found})
    groups = StudentGroup.cached.select_related("department")
    return render(
        request,
        "timetable/home.html",
        {"kind": "group", "groups": groups.order_by("department__name", "programme", "year", "section")},
    )


def group(request: HttpRequest, code: str) -> HttpResponse:
    found: StudentGroup = get_object_or_404(StudentGroup.cached.select_related("department"), code=code)
    courses = courses_of(found)
    return _week(request, "group", found, lessons(course__in=courses), courses=courses)


def teacher(request: HttpRequest, code: str) -> HttpResponse:
    found: Teacher = get_object_or_404(Teacher.cached, code=code)
    return _week(request, "teacher", found, lessons(teacher=found))


def room(request: HttpRequest, code: str) -> HttpResponse:
    found: Room = get_object_or_404(Room.cached, code=code)
    return _week(request, "room", found, lessons(room=found), periods=len(PERIODS) * len(Weekday))


def course(request: HttpRequest, code: str) -> HttpResponse:
    found: Course = get_object_or_404(Course.cached.select_related("department", "teacher"), code=code)
    attending = Attendance.cached.filter(course=found).select_related("group").order_by("group__programme", "group")
    return _week(request, "course", found, lessons(course=found), attending=attending)


def room_day(request: HttpRequest, code: str, weekday: int) -> HttpResponse:
    """The sign beside a room's door: one day, large."""
    if weekday not in Weekday.values:
        raise Http404(f"There is no teaching on day {weekday}.")
    found: Room = get_object_or_404(Room.cached, code=code)
    day = week_of(lessons(room=found, weekday=weekday), timezone.localdate())[weekday - 1]
    return render(request, "timetable/door.html", {"kind": "room", "room": found, "day": day, "weekdays": Weekday})


def group_calendar(request: HttpRequest, code: str) -> HttpResponseBase:
    """The feed that calendars subscribe to. Unchanged since last time: 304, and no body.

    The ETag decides. Last-Modified only informs: a lesson deleted or a room renamed leaves no later date.
    """
    found: StudentGroup = get_object_or_404(StudentGroup.cached.select_related("department"), code=code)
    held = list(lessons(course__in=courses_of(found)))
    body = calendar_of(found, held, timezone.localdate())
    response = HttpResponse(body, content_type="text/calendar; charset=utf-8")
    response.headers["Content-Disposition"] = f'inline; filename="{found.code}.ics"'
    response.headers["Cache-Control"] = "no-cache"
    response.headers["ETag"] = etag = quote_etag(sha256(body).hexdigest()[:32])
    if held:
        response.headers["Last-Modified"] = http_date(max(lesson.changed for lesson in held).timestamp())
    return get_conditional_response(request, etag=etag, response=response) or response


def teachers(request: HttpRequest) -> HttpResponse:
    everyone = Teacher.cached.prefetch_related(Prefetch("courses", Course.cached.select_related("department")))
    return render(request, "timetable/teachers.html", {"kind": "teacher", "teachers": everyone})


def rooms(request: HttpRequest) -> HttpResponse:
    every = Room.cached.annotate(held=Count("lessons")).order_by("-capacity", "name")
    return render(
        request, "timetable/rooms.html", {"kind": "room", "rooms": every, "periods": len(PERIODS) * len(Weekday)}
    )


def courses(request: HttpRequest) -> HttpResponse:
    chosen: Department | None = None
    listed = Course.cached.select_related("department", "teacher")
    if code := request.GET.get("department"):
        chosen = get_object_or_404(Department.cached, code=code)
        listed = listed.filter(department=chosen)
    return render(
        request,
        "timetable/courses.html",
        {"kind": "course", "courses": listed, "chosen": chosen, "departments": Department.cached.all()},
    )


def courses_of(group: StudentGroup) -> list[Course]:
    """What a group attends. Depends on this group's attendances, not on any other's."""
    attended = Attendance.cached.filter(group=group).select_related("course__department", "course__teacher")
    return [attendance.course for attendance in attended.order_by("course__title")]


def lessons(**held: Any) -> Any:
    """The lessons held so, through the week, with all that a page says about them: one answer from the cache."""
    chosen = Lesson.cached.filter(**held).select_related("course__department", "teacher", "room")
    return chosen.order_by("weekday", "period")


def _week(request: HttpRequest, kind: str, subject: Any, held: Iterable[Lesson], **more: Any) -> HttpResponse:
    held = list(held)
    days = week_of(held, timezone.localdate())
    context = {kind: subject, "kind": kind, "days": days, "periods_of_day": PERIODS.values(), "lessons": held, **more}
    return render(request, f"timetable/{kind}.html", context)
