"""The timetable with a cached manager, declared as the README tells a user to."""

from __future__ import annotations

from django.db import models

from bench.school.fields import CourseFields, LessonFields, RoomFields, TeacherFields
from redis_toolkit.cache import CacheManager


class Room(RoomFields):
    """A room, which made-up ids are asked of."""

    objects = models.Manager()
    cached = CacheManager(ttl=3600, bloom=True)


class Teacher(TeacherFields):
    """A teacher."""


class Course(CourseFields):
    """A course."""


class Lesson(LessonFields):
    """A lesson, remembered by row and by group."""

    cached = CacheManager(ttl=3600, by=["group"])
