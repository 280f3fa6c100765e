"""A chain of tables in which, from Django 6.1 on, the database itself deletes and forgets what hangs on a deleted row."""

from __future__ import annotations

from typing import Any

from django.db import models

from redis_toolkit.cache import CacheManager

__all__ = ["Line", "Stop", "Ticket"]

CASCADE: Any = getattr(models, "DB_CASCADE", models.CASCADE)
SET_NULL: Any = getattr(models, "DB_SET_NULL", models.SET_NULL)


class Line(models.Model):
    name = models.CharField(max_length=20)

    objects = models.Manager()
    cached = CacheManager(by=["name"])


class Stop(models.Model):
    line = models.ForeignKey(Line, CASCADE)
    name = models.CharField(max_length=20)


class Ticket(models.Model):
    stop = models.ForeignKey(Stop, SET_NULL, null=True, related_name="+")

    objects = models.Manager()
    cached = CacheManager(by=["stop"], follow=["stop"])
