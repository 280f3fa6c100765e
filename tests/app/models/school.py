"""A small school: lessons and what surrounds them, with every kind of relation the cache must know."""

from __future__ import annotations

import uuid

from django.db import models

from redis_toolkit.cache import CachedQuerySet, CacheManager


class Building(models.Model):
    name = models.CharField(max_length=50)


class Room(models.Model):
    code = models.CharField(max_length=20)
    capacity = models.IntegerField(default=30)
    building = models.ForeignKey(Building, models.CASCADE, null=True)

    class Meta:
        ordering = ("code",)


class Teacher(models.Model):
    name = models.CharField(max_length=50)
    mentor = models.ForeignKey("self", models.SET_NULL, null=True)


class Group(models.Model):
    code = models.CharField(max_length=20, unique=True)


class Student(models.Model):
    name = models.CharField(max_length=50)


class LessonQuerySet(CachedQuerySet["Lesson"]):
    def early(self) -> LessonQuerySet:
        return self.filter(period__lte=2)


class Lesson(models.Model):
    title = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    group = models.ForeignKey(Group, models.CASCADE, related_name="lessons")
    teacher = models.ForeignKey(Teacher, models.CASCADE, related_name="lessons")
    room = models.ForeignKey(Room, models.CASCADE, related_name="lessons", null=True)
    weekday = models.IntegerField(default=1)
    period = models.IntegerField(default=1)
    notes = models.JSONField(default=dict)
    held = models.DateField(null=True)
    students = models.ManyToManyField(Student, related_name="lessons")

    objects = models.Manager()
    cached = CacheManager.from_queryset(LessonQuerySet)(ttl=600, by=["group", "teacher", ("room", "weekday")])

    class Meta:
        constraints = (models.UniqueConstraint(fields=["teacher", "weekday", "period"], name="one_lesson_at_a_time"),)


class Badge(models.Model):
    """A UUID key, and a cached manager that is the default one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.OneToOneField(Student, models.CASCADE, related_name="badge")
    label = models.CharField(max_length=20)

    cached = CacheManager(by=["label"])


class Place(models.Model):
    """The parent of a table of its own."""

    name = models.CharField(max_length=20)

    objects = models.Manager()
    cached = CacheManager(by=["name"])


class Cafe(Place):
    """A child: its row lies in two tables."""

    stars = models.IntegerField(default=1)

    objects = models.Manager()  # type: ignore[misc]
    cached = CacheManager(by=["stars"])  # type: ignore[misc]


class Ship(models.Model):
    """One of two parents, with a key of its own name."""

    ship_id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=20)


class Cargo(models.Model):
    """The other parent: its keys are not those of its children."""

    cargo_id = models.AutoField(primary_key=True)
    load = models.CharField(max_length=20)


class Freighter(Ship, Cargo):
    """A child of two tables, whose key is that of the first."""

    cached = CacheManager()


#: Django 6.1 leaves cascades to the database; before it does them itself.
DB_CASCADE = getattr(models, "DB_CASCADE", models.CASCADE)


class Basket(models.Model):
    """What is deleted."""

    label = models.CharField(max_length=20)


class Fruit(models.Model):
    """What goes with it."""

    basket = models.ForeignKey(Basket, DB_CASCADE)

    cached = CacheManager(by=["basket"])


class Seed(models.Model):
    """What goes with that."""

    fruit = models.ForeignKey(Fruit, DB_CASCADE)

    cached = CacheManager(by=["fruit"])


class Unwatched(models.Model):
    """Nobody caches this."""

    text = models.CharField(max_length=20)
