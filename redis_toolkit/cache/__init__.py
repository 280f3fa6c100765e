"""Models and functions remembered in Redis, exact after every commit.

    class Lesson(models.Model):
        objects = models.Manager()
        cached = CacheManager(ttl=3600, by=["group", "teacher", ("room", "weekday")])

    Lesson.cached.get(pk=7)
    Lesson.cached.filter(group=5).select_related("room").order_by("weekday")
    Lesson.cached.filter(group=5).count()

The promise: once a write has committed and returned, no cached read that starts later sees the old value. Writes are
marked by a wrapper that sees every statement of Django's connections, so ``Lesson.objects`` stays untouched Django.
What cannot be seen (other programs, triggers, COPY) needs :func:`invalidate`, and the TTL bounds it.
"""

from __future__ import annotations

from redis_toolkit.cache.absence import Bloom
from redis_toolkit.cache.behind import Flushed, WriteBehind
from redis_toolkit.cache.functions import cached
from redis_toolkit.cache.invalidation import invalidate
from redis_toolkit.cache.managers import CacheManager
from redis_toolkit.cache.pages import CachedPages, Page
from redis_toolkit.cache.querysets import CachedQuerySet
from redis_toolkit.cache.relations import aprefetch_cached, prefetch_cached
from redis_toolkit.cache.renewing import renew
from redis_toolkit.cache.views import cached_view
from redis_toolkit.cache.vitals import Health, health

__all__ = [
    "Bloom",
    "CacheManager",
    "CachedPages",
    "CachedQuerySet",
    "Flushed",
    "Health",
    "Page",
    "WriteBehind",
    "aprefetch_cached",
    "cached",
    "cached_view",
    "health",
    "invalidate",
    "prefetch_cached",
    "renew",
]
