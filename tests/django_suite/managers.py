"""Cached managers in the place of Django's and of the test models' own, put there as each model class is made."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from django.db.models import Manager
from django.db.models.signals import class_prepared

from redis_toolkit.cache import CacheManager
from redis_toolkit.cache.freshness import Terms
from tests.django_suite.twice import TwiceManager, TwiceQuerySet

__all__ = ["replace_managers"]


def replace_managers() -> None:
    """From now on give each model that is made cached managers."""
    class_prepared.connect(_on_class, dispatch_uid="tests.django_suite.managers")


def _on_class(*, sender: Any, **_: Any) -> None:
    managers = list(sender._meta.managers)
    sender._meta.local_managers = []
    for manager in managers:
        cached = copy.copy(manager) if isinstance(manager, CacheManager) else _like(manager)
        # Inherited ones become the model's own, and have to stay behind those it has: the first is the default.
        cached._set_creation_counter()
        sender.add_to_class(manager.name, cached)


def _like(manager: Any) -> Any:
    """A cached manager with what ``manager`` has and does."""
    if type(manager) is Manager:
        cached = TwiceManager()
        cached.auto_created = manager.auto_created
        return cached
    twin = copy.copy(manager)
    kind: Any = type(manager)
    twin.__class__ = _cached_class(kind)
    twin.terms, twin.by = Terms(), ()
    return twin


@cache
def _cached_class(kind: type[Any]) -> type[Any]:
    """What a project would write: ``class Mine(Theirs, CacheManager)``, of a queryset class made likewise."""
    theirs = kind._queryset_class
    ours: Any = TwiceQuerySet
    if theirs not in TwiceQuerySet.__mro__:
        ours = type(theirs.__name__, (theirs, TwiceQuerySet), {"__module__": theirs.__module__})
    names = {"_queryset_class": ours, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (kind, TwiceManager), names)
