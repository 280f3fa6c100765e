"""A package had no weight yet."""

from __future__ import annotations

from django.db import models

from redis_toolkit.cache import CacheManager


class Package(models.Model):
    """As it was."""

    name = models.CharField(max_length=20, unique=True)
    shade = models.CharField(max_length=20, default="red")

    objects = models.Manager()
    cached = CacheManager(by=["shade"])
