"""What becomes of a row when another goes, in each way that Django itself sees to; an abstract base; rows between rows."""

from __future__ import annotations

from django.db import models

from redis_toolkit.cache import CacheManager

__all__ = ["Membership", "Owner", "Pet", "Team"]


def the_first() -> int:
    """The key of the owner to whom pets go that have lost theirs."""
    return 1


class Labelled(models.Model):
    """No table: what its children share, the cached manager among it."""

    label = models.CharField(max_length=20)

    objects = models.Manager()
    cached = CacheManager(by=["label"])

    class Meta:
        abstract = True


class Owner(Labelled):
    """Goes, and leaves pets behind."""

    friends = models.ManyToManyField("self")


class Pet(Labelled):
    """Each of its people may go, and each time something else becomes of it."""

    owner = models.ForeignKey(Owner, models.SET_DEFAULT, default=the_first, related_name="pets")
    keeper = models.ForeignKey(Owner, models.SET(the_first), null=True, related_name="kept")
    vet = models.ForeignKey(Owner, models.SET_NULL, null=True, related_name="patients")
    guard = models.ForeignKey(Owner, models.PROTECT, null=True, related_name="guarded")

    cached = CacheManager(by=["owner", "keeper", "vet"], follow=True)


class Team(Labelled):
    """Many to many by way of a model with a column of its own."""

    members = models.ManyToManyField(Owner, through="Membership", related_name="teams")


class Membership(models.Model):
    """Stands between a team and a member."""

    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships")
    member = models.ForeignKey(Owner, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, default="")

    objects = models.Manager()
    cached = CacheManager(by=["team", "member"])

    class Meta:
        unique_together = (("team", "member"),)
