"""``lesson.teacher`` from the cache, where the model opts in: ``CacheManager(follow=["teacher"])``.

Django puts a descriptor on the model for each foreign key. For a relation that is followed, the app puts one of these
in its place when it starts: Django's own in all but the one method by which a row that is not there yet is fetched.

A row that came from the cache fetches from the cache; one of ``objects``, of ``nocache()``, or one that was just made
asks the database as ever. Inside a transaction that has written the table the database answers both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from inspect import getattr_static
from typing import Any

from django.db.models import ForeignKey, Model
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor, ForwardOneToOneDescriptor

from redis_toolkit.cache.origins import came_from_cache
from redis_toolkit.cache.relations import follow, is_djangos, is_forward
from redis_toolkit.cache.tables import cached_managers

__all__ = ["FollowedForeignKey", "FollowedOneToOne", "install", "why_not"]


class _Followed:
    """What both kinds of relation have in common."""

    field: Any

    def get_object(self, instance: Any) -> Any:
        """The related row; Django raises where there is none."""
        found = follow(self.field, instance) if came_from_cache(instance) else None
        below: Any = super()
        return below.get_object(instance) if found is None else found


class FollowedForeignKey(_Followed, ForwardManyToOneDescriptor):  # type: ignore[type-arg]
    """The attribute of a foreign key that is followed through the cache."""


class FollowedOneToOne(_Followed, ForwardOneToOneDescriptor):  # type: ignore[type-arg]
    """The attribute of a one-to-one field that is followed through the cache."""


def install(models: Iterable[type[Model]]) -> None:
    """Put our descriptors on those of ``models`` that opt in."""
    for model in models:
        for name in set(_wanted(model)):
            field, kind = is_forward(model, name), type(getattr_static(model, name, None))
            if field is None or field.remote_field.parent_link or not is_djangos(type(field)):
                # (A check speaks of what is no foreign key. A parent's row is made of its child's.)
                continue
            if kind is ForwardManyToOneDescriptor:
                setattr(model, name, FollowedForeignKey(field))
            elif kind is ForwardOneToOneDescriptor:
                setattr(model, name, FollowedOneToOne(field))


def why_not(model: type[Model], name: str) -> str | None:
    """Why ``name`` cannot be followed, in words that go on from it; None if it can."""
    field = is_forward(model, name)
    if field is None:
        return "is no foreign key or one-to-one field"
    if field.remote_field.parent_link:
        return "links to a parent, whose row is made of the child's"
    if not is_djangos(type(field)):
        return f"is a {type(field).__name__}, which may refer to rows in a way of its own"
    kind = type(getattr_static(model, name))
    if kind not in {ForwardManyToOneDescriptor, ForwardOneToOneDescriptor, FollowedForeignKey, FollowedOneToOne}:
        return f"has an attribute of its own, {kind.__name__}"
    return None


def _wanted(model: type[Model]) -> Iterator[str]:
    """The relations of ``model`` that its cached managers follow."""
    for manager in cached_managers(model):
        names = getattr(manager, "followed_relations", ())
        if names is True:
            yield from (field.name for field in model._meta.concrete_fields if isinstance(field, ForeignKey))
        else:
            yield from names
