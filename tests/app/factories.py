"""Ready-made rows."""

from __future__ import annotations

import factory
from factory.django import DjangoModelFactory

from tests.app.models import Group, Lesson, Room, Student, Teacher


class GroupFactory(DjangoModelFactory[Group]):
    class Meta:
        model = Group

    code = factory.Sequence(lambda n: f"g{n}")


class TeacherFactory(DjangoModelFactory[Teacher]):
    class Meta:
        model = Teacher

    name = factory.Sequence(lambda n: f"Teacher {n}")


class RoomFactory(DjangoModelFactory[Room]):
    class Meta:
        model = Room

    code = factory.Sequence(lambda n: f"R{n}")


class StudentFactory(DjangoModelFactory[Student]):
    class Meta:
        model = Student

    name = factory.Sequence(lambda n: f"Student {n}")


class LessonFactory(DjangoModelFactory[Lesson]):
    class Meta:
        model = Lesson

    title = factory.Sequence(lambda n: f"Lesson {n}")
    slug = factory.Sequence(lambda n: f"lesson-{n}")
    group = factory.SubFactory(GroupFactory)
    teacher = factory.SubFactory(TeacherFactory)
    room = factory.SubFactory(RoomFactory)
