"""Whether an instance came from a cached manager: those alone follow their relations through the cache.

``Lesson.objects`` stays untouched Django, and so does what it returns. Only instances of models that opt in are marked,
where they are built; a mark is one attribute of ``_state``, which copies and pickles take along.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.db.models import Model

from redis_toolkit.cache.tables import cached_managers

__all__ = ["MARK", "came_from_cache", "is_followed", "mark"]

#: The attribute of ``_state``.
MARK: Final = "from_cache"


def is_followed(model: type[Model]) -> bool:
    """Whether a cached manager of ``model`` says that relations are followed through the cache."""
    return any(getattr(manager, "followed_relations", ()) for manager in cached_managers(model))


def came_from_cache(instance: Any) -> bool:
    """Whether a cached manager built ``instance``, whose model follows relations."""
    return MARK in vars(instance._state)


def mark(instances: Iterable[Any]) -> None:
    """Mark instances that were just built, and the related ones that were built with them."""
    waiting, seen = list(instances), set()
    while waiting:
        instance = waiting.pop()
        if not isinstance(instance, Model) or id(instance) in seen:
            continue
        seen.add(id(instance))
        if is_followed(type(instance)):
            setattr(instance._state, MARK, True)
        waiting += instance._state.fields_cache.values()
