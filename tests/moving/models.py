"""What the last migration makes."""

from __future__ import annotations

from django.db import models

from redis_toolkit.cache import CacheManager


class Package(models.Model):
    """Was called Parcel, had a colour, and did not know its weight."""

    name = models.CharField(max_length=40, unique=True)
    shade = models.CharField(max_length=20, default="red")
    weight = models.IntegerField(default=0)

    objects = models.Manager()
    cached = CacheManager(by=["weight", "shade"])
