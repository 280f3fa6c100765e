"""Models that are not seen as they stand: through a manager that shows a part."""

from __future__ import annotations

from django.db import models

from redis_toolkit.cache import CachedQuerySet, CacheManager

__all__ = ["Dish", "Naming"]


class UsedNamings(CacheManager["Naming"]):
    """Shows what is used, as the model's default manager."""

    def get_queryset(self) -> CachedQuerySet[Naming]:
        return super().get_queryset().filter(is_used=True)


class Dish(models.Model):
    """Called otherwise in each language."""

    name = models.CharField(max_length=20)
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
