"""Workers of a town: each ``on_delete``, each kind of many-to-many, an abstract base, and a manager inherited from it."""

from __future__ import annotations

from typing import Any

from django.db import models

from redis_toolkit.cache import CacheManager

__all__ = ["Contract", "Guild", "Mastery", "Named", "Permit", "Skill", "Stall", "Town", "Trade", "Wagon", "Worker"]

#: The key of what rows fall back to; no sequence makes it.
FALLBACK = -1

SET_DEFAULT: Any = getattr(models, "DB_SET_DEFAULT", models.SET_DEFAULT)


def stand_in() -> int:
    """The guild of those whose guild is gone."""
    return FALLBACK


class Named(models.Model):
    """What has a name, and is asked for by it."""

    name = models.CharField(max_length=20)

    objects = models.Manager()
    cached = CacheManager(by=["name"])

    class Meta:
        abstract = True


class Town(Named):
    """Its rows go without anybody being told."""


class Trade(Named):
    """There is always one."""


class Guild(Named):
    """Another takes its place."""


class Skill(Named):
    """Learnt by many."""


class Worker(Named):
    """Hangs on everything, in every way there is."""

    number = models.IntegerField(unique=True)
    boss = models.ForeignKey("self", models.CASCADE, null=True, related_name="staff")
    helper = models.ForeignKey("self", models.SET_NULL, null=True, related_name="helps")
    trade = models.ForeignKey(Trade, models.SET_DEFAULT, default=FALLBACK, related_name="workers")
    guild = models.ForeignKey(Guild, models.SET(stand_in), null=True, related_name="workers")
    town = models.ForeignKey(Town, models.DO_NOTHING, null=True, db_constraint=False, related_name="workers")
    friends = models.ManyToManyField("self")
    teachers = models.ManyToManyField("self", symmetrical=False, related_name="pupils")
    skills = models.ManyToManyField(Skill, through="Mastery", related_name="workers")

    objects = models.Manager()
    cached = CacheManager(by=["name", "boss", "helper", "trade", "guild", "town"])


class Mastery(models.Model):
    """How well a worker knows a skill: a link with something to say."""

    worker = models.ForeignKey(Worker, models.CASCADE, related_name="masteries")
    skill = models.ForeignKey(Skill, models.CASCADE, related_name="masteries")
    level = models.IntegerField(default=1)

    objects = models.Manager()
    cached = CacheManager(by=["skill"])

    class Meta:
        unique_together = (("worker", "skill"),)


class Contract(models.Model):
    """Forbids that its worker goes."""

    worker = models.ForeignKey(Worker, models.PROTECT, related_name="contracts")

    objects = models.Manager()
    cached = CacheManager(by=["worker"])


class Permit(models.Model):
    """Forbids that its worker goes, unless it goes with the same town."""

    worker = models.ForeignKey(Worker, models.RESTRICT, related_name="permits")

    objects = models.Manager()
    cached = CacheManager(by=["worker"])


class Stall(Named):
    """Wagons stand at it."""


class Wagon(models.Model):
    """From Django 6.1 on the database itself puts it at the first stall when its own goes."""

    stall = models.ForeignKey(Stall, SET_DEFAULT, default=FALLBACK, db_default=FALLBACK, related_name="wagons")

    objects = models.Manager()
    cached = CacheManager(by=["stall"])
