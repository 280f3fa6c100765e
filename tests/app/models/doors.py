"""Models with Bloom filters: keys that the database makes, keys that Python makes, unique fields, parents and proxies."""

from __future__ import annotations

import uuid

from django.db import models

from redis_toolkit.cache import Bloom, CacheManager

__all__ = ["Coupon", "Parcel", "Pass", "SeasonPass", "Voucher"]


class Pass(models.Model):
    """The database makes its keys."""

    label = models.CharField(max_length=40, default="")

    objects = models.Manager()
    cached = CacheManager(by=["label"], bloom=True)


class SeasonPass(Pass):
    """A child with a filter of its own, whose keys are its parent's."""

    season = models.IntegerField(default=1)

    objects = models.Manager()  # type: ignore[misc]
    cached = CacheManager(bloom=True)  # type: ignore[misc]


class Parcel(models.Model):
    """Python makes its keys."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    label = models.CharField(max_length=40, default="")

    objects = models.Manager()
    cached = CacheManager(bloom=True)


class Coupon(models.Model):
    """Asked for by unique fields as well."""

    code = models.CharField(max_length=40, unique=True, null=True)  # noqa: DJ001 - NULL is unique with NULL
    shop = models.IntegerField(default=0)
    number = models.IntegerField(default=0)
    note = models.CharField(max_length=40, default="")

    objects = models.Manager()
    cached = CacheManager(bloom=Bloom(error=0.001, fields=["code", ("number", "shop")]))

    class Meta:
        constraints = (models.UniqueConstraint(fields=["shop", "number"], name="one_coupon_of_a_number"),)


class Voucher(Coupon):
    """A proxy: the same rows."""

    objects = models.Manager()
    cached = CacheManager()

    class Meta:
        proxy = True
