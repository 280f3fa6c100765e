"""Rows that are counted on: what write-behind gathers for."""

from __future__ import annotations

import uuid

from django.db import models

from redis_toolkit.cache import CacheManager

__all__ = ["Page", "Post", "Visitor"]


class Page(models.Model):
    """How often it was seen, what it earned, and when it was seen last."""

    section = models.CharField(max_length=20, default="news")
    views = models.PositiveIntegerField(default=0)
    votes = models.IntegerField(null=True)
    earned = models.DecimalField(max_digits=30, decimal_places=3, default=0)
    seen = models.DateTimeField(null=True)

    objects = models.Manager()
    cached = CacheManager(by=["section"])


class Post(Page):
    """A page with a table of its own, where its views are not."""

    likes = models.IntegerField(default=0)


class Visitor(models.Model):
    """Nobody caches it, and its key is no number."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    clicks = models.BigIntegerField(default=0)
