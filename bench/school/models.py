"""The timetable without any cache of its own."""

from __future__ import annotations

from bench.school.fields import CourseFields, LessonFields, RoomFields, TeacherFields


class Room(RoomFields):
    """A room, plain."""


class Teacher(TeacherFields):
    """A teacher, plain."""


class Course(CourseFields):
    """A course, plain."""


class Lesson(LessonFields):
    """A lesson, plain."""
