"""What a Django project should do with Redis or Valkey, done right.

Today: **models remembered**. A manager answers reads from Redis, and is exact after every commit::

    from redis_toolkit.cache import CacheManager, invalidate

    class Lesson(models.Model):
        group = models.ForeignKey("Group", models.CASCADE)
        ...
        objects = models.Manager()                  # untouched Django
        cached = CacheManager(ttl=3600, by=["group"])

    Lesson.cached.get(pk=7)                         # one round trip, no SQL
    Lesson.cached.filter(group=5).order_by("weekday")
    Lesson.objects.filter(group=5).update(room=3)   # what it touched is dead at once
    invalidate(Lesson, pk=7)                        # for writes made by other programs

The promise: once a write has committed and returned, no cached read that starts later sees the
old value; and whatever crashes, restarts or disconnects, nothing wrong stays in the cache. When
Redis is down, the database answers.

Where things are: ``redis_toolkit.cache`` (models remembered), ``redis_toolkit.testing`` (for your
tests), ``redis_toolkit.signals`` (what can be watched), ``redis_toolkit.exceptions`` (what can be
raised). Settings all begin with ``REDIS_TOOLKIT_`` and stand in ``redis_toolkit/conf/``.
Everything else is ours to change.

To come, each in a room of its own: throttling, one-time codes, sessions, API tokens.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
