"""A week of teaching: courses, who gives them, who attends them, and the lessons that hold a room and a period.

Each model has two managers. `objects` is Django's and comes first, so the admin and every relation stay as they are;
`cached` answers from Redis. `by` names the columns that pages ask for: a write then touches only the answers about the
values it had and has. Where a page asks for something else, every write to the table makes its answer anew.
"""

from __future__ import annotations

from collections.abc import Collection

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.urls import reverse

from demo_project.timetable.hours import PERIODS, Weekday
from redis_toolkit.cache import CacheManager

__all__ = ["Attendance", "Course", "Department", "Lesson", "Room", "StudentGroup", "Teacher"]

HOUR = 3600
DAY = 24 * HOUR


class Department(models.Model):
    class Tone(models.TextChoices):
        """The colour of a department's lessons; the style sheet has a rule for each."""

        BLUE = "blue"
        CLAY = "clay"
        OCHRE = "ochre"
        SLATE = "slate"
        TEAL = "teal"
        VIOLET = "violet"

    code = models.CharField(max_length=8, unique=True)
    name = models.CharField(max_length=80, unique=True)
    tone = models.CharField(max_length=8, choices=Tone, default=Tone.SLATE)

    objects = models.Manager()
    cached = CacheManager(ttl=DAY)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Teacher(models.Model):
    code = models.CharField(max_length=8, unique=True)
    given_name = models.CharField(max_length=40)
    family_name = models.CharField(max_length=40)

    objects = models.Manager()
    cached = CacheManager(ttl=DAY)

    class Meta:
        ordering = ["family_name", "given_name"]

    def __str__(self) -> str:
        return f"{self.given_name} {self.family_name}"

    def get_absolute_url(self) -> str:
        return reverse("timetable:teacher", args=[self.code])


class Room(models.Model):
    code = models.CharField(max_length=8, unique=True)
    name = models.CharField(max_length=40)
    capacity = models.PositiveSmallIntegerField(help_text="Seats.", validators=[MinValueValidator(1)])

    objects = models.Manager()
    cached = CacheManager(ttl=DAY)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("timetable:room", args=[self.code])


class Course(models.Model):
    code = models.CharField(max_length=8, unique=True)
    title = models.CharField(max_length=120)
    department = models.ForeignKey(Department, models.PROTECT, related_name="courses")
    teacher = models.ForeignKey(
        Teacher, models.PROTECT, related_name="courses", help_text="Responsible for the course."
    )
    students = models.PositiveSmallIntegerField(help_text="How many are expected.")

    objects = models.Manager()
    cached = CacheManager(ttl=DAY, by=["department", "teacher"])

    class Meta:
        ordering = ["title"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("timetable:course", args=[self.code])


class StudentGroup(models.Model):
    """Students who attend the same courses: the data calls it a curriculum."""

    class Year(models.IntegerChoices):
        FIRST = 1, "year 1"
        SECOND = 2, "year 2"
        THIRD = 3, "year 3"
        MASTER = 4, "master’s year 1"  # noqa: RUF001 - an apostrophe

    code = models.CharField(max_length=8, unique=True)
    programme = models.CharField(max_length=80)
    department = models.ForeignKey(Department, models.PROTECT, related_name="groups")
    year = models.PositiveSmallIntegerField(choices=Year)
    section = models.CharField(max_length=2, blank=True, help_text="A, B, C … where a year has several groups.")
    courses = models.ManyToManyField(Course, through="Attendance", related_name="groups")

    objects = models.Manager()
    cached = CacheManager(ttl=DAY, by=["department"])

    class Meta:
        ordering = ["programme", "year", "section"]

    def __str__(self) -> str:
        return ", ".join(filter(None, [self.programme, self.get_year_display(), self.section]))

    def get_absolute_url(self) -> str:
        return reverse("timetable:group", args=[self.code])


class Attendance(models.Model):
    """A group attends a course. A model of its own, so that both directions can be declared in `by`."""

    group = models.ForeignKey(StudentGroup, models.CASCADE, related_name="attendances")
    course = models.ForeignKey(Course, models.CASCADE, related_name="attendances")

    objects = models.Manager()
    cached = CacheManager(ttl=DAY, by=["group", "course"])

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "course"], name="attendance_once")]

    def __str__(self) -> str:
        return f"{self.group}: {self.course}"


class Lesson(models.Model):
    """A course meets in a room, each week on the same day and in the same period."""

    course = models.ForeignKey(Course, models.CASCADE, related_name="lessons")
    teacher = models.ForeignKey(Teacher, models.PROTECT, related_name="lessons", help_text="Gives this lesson.")
    room = models.ForeignKey(Room, models.PROTECT, related_name="lessons")
    weekday = models.PositiveSmallIntegerField(choices=Weekday)
    period = models.PositiveSmallIntegerField(choices=[(number, str(period)) for number, period in PERIODS.items()])
    changed = models.DateTimeField(auto_now=True)

    objects = models.Manager()
    cached = CacheManager(ttl=HOUR, by=["course", "teacher", "room", ("room", "weekday")], bloom=True)

    class Meta:
        ordering = ["weekday", "period", "room"]
        constraints = [
            models.UniqueConstraint(
                fields=["room", "weekday", "period"],
                name="room_holds_one_lesson",
                violation_error_message="The room is taken in this period.",
            ),
            models.UniqueConstraint(
                fields=["teacher", "weekday", "period"],
                name="teacher_gives_one_lesson",
                violation_error_message="The teacher gives another lesson in this period.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.course}, {self.get_weekday_display()} {self.get_period_display()}"

    def get_absolute_url(self) -> str:
        return reverse("timetable:course", args=[self.course.code])

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:  # noqa: ARG002
        # The admin's list edits day, period and room only, and would skip constraints that name another column.
        super().validate_constraints()

    def clean(self) -> None:
        if None in {self.course_id, self.room_id, self.weekday, self.period}:
            return
        if self.course.students > self.room.capacity:
            raise ValidationError(f"{self.room} has {self.room.capacity} seats for {self.course.students} students.")
        same_time = Lesson.objects.filter(weekday=self.weekday, period=self.period).exclude(pk=self.pk)
        clash = StudentGroup.objects.filter(courses=self.course).filter(courses__lessons__in=same_time).first()
        if clash:
            raise ValidationError(f"{clash} ({clash.code}) has another lesson in this period.")
