"""The columns of the timetable, shared by the plain models and their cached twin."""

from __future__ import annotations

from django.db import models

__all__ = ["CourseFields", "LessonFields", "RoomFields", "TeacherFields"]


class RoomFields(models.Model):
    """A room to teach in."""

    name = models.CharField(max_length=40)
    building = models.CharField(max_length=40)
    floor = models.SmallIntegerField()
    seats = models.PositiveIntegerField()
    accessible = models.BooleanField(default=True)

    class Meta:
        abstract = True


class TeacherFields(models.Model):
    """Somebody who teaches."""

    name = models.CharField(max_length=80)
    email = models.EmailField()
    title = models.CharField(max_length=20)
    department = models.CharField(max_length=60)
    hired = models.DateField()

    class Meta:
        abstract = True


class CourseFields(models.Model):
    """What is taught."""

    code = models.CharField(max_length=20)
    title = models.CharField(max_length=120)
    credits = models.DecimalField(max_digits=4, decimal_places=1)
    year = models.PositiveSmallIntegerField()
    language = models.CharField(max_length=2)

    class Meta:
        abstract = True


class LessonFields(models.Model):
    """One lesson of one group: eleven columns of the usual kinds."""

    course = models.ForeignKey("school.Course", on_delete=models.CASCADE)
    teacher = models.ForeignKey("school.Teacher", on_delete=models.CASCADE)
    room = models.ForeignKey("school.Room", on_delete=models.CASCADE)
    group = models.PositiveIntegerField(db_index=True)
    topic = models.CharField(max_length=120)
    kind = models.CharField(max_length=20)
    day = models.DateField()
    starts_at = models.DateTimeField()
    hours = models.DecimalField(max_digits=4, decimal_places=2)
    cancelled = models.BooleanField(default=False)

    objects = models.Manager()

    class Meta:
        abstract = True
