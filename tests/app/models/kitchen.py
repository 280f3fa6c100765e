"""Models that are not seen as they stand: by a manager or the language spoken now; and two that are written through."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils.translation import get_language

from redis_toolkit.cache import CachedQuerySet, CacheManager

__all__ = ["Dish", "Naming", "Order", "Receipt"]


class SpokenField(models.ForeignObject):
    """Leads from a row to its name in the language spoken now: what it joins is not told by its declaration."""

    requires_unique_target = False

    def get_extra_restriction(self, alias: Any, related_alias: str) -> Any:
        column: Any = self.remote_field.model._meta.get_field("language")
        return column.get_lookup("exact")(column.get_col(alias), get_language())


class UsedNamings(CacheManager["Naming"]):
    """Shows what is used, as the model's default manager."""

    def get_queryset(self) -> CachedQuerySet[Naming]:
        return super().get_queryset().filter(is_used=True)


class Dish(models.Model):
    """Called otherwise in each language."""

    name = models.CharField(max_length=20)
    spoken = SpokenField(
        "Naming", models.CASCADE, from_fields=["id"], to_fields=["dish"], related_name="+", null=True, editable=False
    )
    likened = models.ManyToManyField("Naming", related_name="likened_by")

    objects = models.Manager()
    cached = CacheManager()


class Naming(models.Model):
    """What a dish is called in a language."""

    dish = models.ForeignKey(Dish, models.CASCADE, related_name="namings")
    language = models.CharField(max_length=5)
    text = models.CharField(max_length=20)
    is_used = models.BooleanField(default=True)

    objects = UsedNamings()
    cached = CacheManager()


class Order(models.Model):
    """Written through: what the cook has just been told is what he looks at next."""

    table = models.IntegerField()
    text = models.CharField(max_length=20)

    objects = models.Manager()
    cached = CacheManager(by=["table"], write_through=True)


class Receipt(models.Model):
    """Written through, with a key of its own making, and nothing declared."""

    number = models.UUIDField(primary_key=True, default=uuid.uuid4)
    text = models.CharField(max_length=20)

    objects = models.Manager()
    cached = CacheManager(ttl=500, write_through=True)
