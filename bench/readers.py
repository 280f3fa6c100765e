"""How each contestant answers. One method per case; the ORM caches share all of them, keyed stores write their own."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import redis
from django.apps import apps
from django.conf import settings
from django.core.cache import cache

__all__ = ["BareReader", "CachedReader", "DjangoRedisReader", "PickleReader", "Reader"]


class Reader:
    """Plain Django, and what patches Django so that plain code is served from a cache."""

    manager = "objects"

    def __init__(self) -> None:
        self.model: Any = apps.get_model("school", "Lesson")
        self.lessons: Any = getattr(self.model, self.manager)

    def get(self, pk: int) -> Any:
        """One lesson by its key."""
        return self.lessons.get(pk=pk)

    def week(self, group: int) -> Any:
        """A group's fifty lessons in order, each with its course, teacher and room."""
        lessons = self.lessons.filter(group=group).select_related("course", "teacher", "room")
        return list(lessons.order_by("day", "starts_at"))

    def count(self, group: int) -> Any:
        """How many lessons a group has."""
        return self.lessons.filter(group=group).count()

    def in_bulk(self, pks: tuple[int, ...]) -> Any:
        """Fifty lessons by their keys."""
        return self.lessons.in_bulk(pks)

    def save(self, lesson: Any) -> Any:
        """Write one lesson that is already in memory, as an edit form would."""
        lesson.cancelled = not lesson.cancelled
        lesson.save()

    def answer(self, case: str, argument: Any) -> Any:
        """What the case returns, as Python objects."""
        return getattr(self, case)(argument)


class CachedReader(Reader):
    """Ours."""

    manager = "cached"


class DjangoRedisReader(Reader):
    """Cache-aside written by hand over Django's cache API."""

    def get(self, pk: int) -> Any:
        return self._kept(f"lesson:{pk}", super().get, pk)

    def week(self, group: int) -> Any:
        return self._kept(f"week:{group}", super().week, group)

    def count(self, group: int) -> Any:
        return self._kept(f"count:{group}", super().count, group)

    def in_bulk(self, pks: tuple[int, ...]) -> Any:
        found = cache.get_many([f"lesson:{pk}" for pk in pks])
        if len(found) < len(pks):
            rows = super().in_bulk(pks)
            cache.set_many({f"lesson:{pk}": row for pk, row in rows.items()})
            return rows
        return {row.pk: row for row in found.values()}

    def save(self, lesson: Any) -> Any:
        super().save(lesson)
        cache.delete(f"lesson:{lesson.pk}")

    def _kept(self, key: str, load: Callable[[int], Any], argument: int) -> Any:
        value = cache.get(key)
        if value is None:
            value = load(argument)
            cache.set(key, value)
        return value


class PickleReader(Reader):
    """Cache-aside written by hand over redis-py as it comes: the floor the aims are measured from."""

    def __init__(self) -> None:
        super().__init__()
        self.client: Any = redis.Redis.from_url(settings.REDIS_URL)

    def get(self, pk: int) -> Any:
        return self._kept(f"lesson:{pk}", super().get, pk)

    def week(self, group: int) -> Any:
        return self._kept(f"week:{group}", super().week, group)

    def count(self, group: int) -> Any:
        return self._kept(f"count:{group}", super().count, group)

    def in_bulk(self, pks: tuple[int, ...]) -> Any:
        found = self.client.mget([f"lesson:{pk}" for pk in pks])
        if None in found:
            rows = super().in_bulk(pks)
            for pk, row in rows.items():
                self._put(f"lesson:{pk}", row)
            return rows
        return dict(zip(pks, map(pickle.loads, found), strict=True))

    def save(self, lesson: Any) -> Any:
        super().save(lesson)
        self.client.delete(f"lesson:{lesson.pk}")

    def _kept(self, key: str, load: Callable[[int], Any], argument: int) -> Any:
        data = self.client.get(key)
        if data is not None:
            return pickle.loads(data)
        value = load(argument)
        self._put(key, value)
        return value

    def _put(self, key: str, value: Any) -> None:
        self.client.set(key, pickle.dumps(value, pickle.HIGHEST_PROTOCOL), ex=3600)


class BareReader(PickleReader):
    """The same keys fetched and left as bytes: what talking to Redis costs before anything is done with the answer."""

    def get(self, pk: int) -> Any:
        return self.client.get(f"lesson:{pk}")

    def week(self, group: int) -> Any:
        return self.client.get(f"week:{group}")

    def count(self, group: int) -> Any:
        return self.client.get(f"count:{group}")

    def in_bulk(self, pks: tuple[int, ...]) -> Any:
        return self.client.mget([f"lesson:{pk}" for pk in pks])

    def answer(self, case: str, argument: Any) -> Any:
        """The objects, not the bytes; the first call stores what the timed ones fetch."""
        return getattr(PickleReader, case)(self, argument)
