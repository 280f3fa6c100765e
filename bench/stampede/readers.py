"""How each contestant answers, and which of its keys is the entry. Every one of them asks by ``Reader.rows``."""

from __future__ import annotations

import inspect
import threading
from typing import Any

from django.apps import apps
from django.conf import settings
from redis import Redis

from bench.stampede.loads import slow
from bench.stampede.plan import BOUND, LIFE, ROW, SOFT

__all__ = [
    "Cachalot", "Cacheops", "CacheopsLock", "Cashews", "Dogpile", "Floor", "GetOrSet", "Ours", "OursFunction", "Reader",
]  # fmt: skip

_KEY = "lesson"


class Reader:
    """Plain Django, and what patches Django so that plain code is served from a cache.

    ``entry``: what the name of the entry's key looks like. ``servable``: whether it may serve what is past a soft time.
    """

    manager = "objects"
    entry = ""
    servable = False

    def __init__(self) -> None:
        self.model: Any = apps.get_model("school", "Lesson")

    def rows(self) -> Any:
        """The lesson, by a query that takes its time."""
        return getattr(self.model, self.manager).filter(pk=ROW).annotate(slow=slow())

    def load(self) -> list[Any]:
        """What those who are told what to keep are told to keep."""
        return list(self.rows())

    def ask(self, *, soft: bool) -> str:
        """The lesson's topic; ``soft`` if what is past its soft time may be served."""
        del soft
        [lesson] = self.load()
        return str(lesson.topic)

    def stir(self) -> None:
        """Read another lesson: where two hundred come at once, somebody has come a moment before."""
        list(getattr(self.model, self.manager).filter(pk=ROW + 1))

    def write(self, topic: str) -> None:
        """Save the lesson with another topic."""
        lesson = self.model.objects.get(pk=ROW)
        lesson.topic = topic
        lesson.save()


class Ours(Reader):
    """``Lesson.cached``."""

    manager = "cached"
    entry = "rt:q:.*"

    def __init__(self) -> None:
        super().__init__()
        self.servable = "fresh" in inspect.signature(self.model.cached.all().cache).parameters

    def ask(self, *, soft: bool) -> str:
        rows = self.rows()
        if soft:
            rows = rows.cache(ttl=LIFE, fresh=SOFT)
        [lesson] = rows
        return str(lesson.topic)


class OursFunction(Reader):
    """A function with ``@cached``: on a hit no queryset is made."""

    entry = "rt:f:.*"

    def stir(self) -> None:
        """Read another lesson, from the cache as well."""
        list(self.model.cached.filter(pk=ROW + 1))

    def __init__(self) -> None:
        from redis_toolkit.cache import cached

        super().__init__()
        self.servable = "fresh" in inspect.signature(cached).parameters
        means: dict[str, Any] = {"depends_on": [self.model], "ttl": LIFE}
        self._hard = cached(**means, key=_KEY)(self._topic)
        self._soft = cached(**means, key=_KEY, fresh=SOFT)(self._topic) if self.servable else self._hard

    def ask(self, *, soft: bool) -> str:
        return (self._soft if soft else self._hard)()

    def _topic(self) -> str:
        [lesson] = self.load()
        return str(lesson.topic)


class Cacheops(Reader):
    """Every operation cached, by its settings."""

    entry = "q:[0-9a-f]*"


class CacheopsLock(Cacheops):
    """The queryset that is heavy, with a lock."""

    def rows(self) -> Any:
        return super().rows().cache(lock=True)


class Cachalot(Reader):
    """Every query cached, by its app."""

    entry = ":1:.*"


class Floor(Reader):
    """A GET by redis-py, and nothing else: as long a crowd of this size waits for each other anyhow."""

    entry = _KEY

    def __init__(self) -> None:
        super().__init__()
        self._mine = threading.local()

    @property
    def _client(self) -> Redis:
        # One for each thread, as ours: a pool's lock would be measured, and connections that it opens.
        if not hasattr(self._mine, "client"):
            self._mine.client = Redis.from_url(settings.REDIS_URL, single_connection_client=True)
        client: Redis = self._mine.client
        return client

    def ask(self, *, soft: bool) -> str:
        del soft
        value: Any = self._client.get(_KEY)
        if value is None:
            [lesson] = self.load()
            value = str(lesson.topic).encode()
            self._client.set(_KEY, value, ex=LIFE)
        return str(value.decode())


class GetOrSet(Reader):
    """Django's ``cache.get_or_set``."""

    entry = ":1:.*"

    def ask(self, *, soft: bool) -> str:
        from django.core.cache import cache

        del soft
        [lesson] = cache.get_or_set(_KEY, self.load, LIFE)
        return str(lesson.topic)


class Dogpile(Reader):
    """``region.get_or_create``, which is what ``cache_on_arguments`` calls."""

    entry = _KEY
    servable = True

    def __init__(self) -> None:
        from dogpile.cache import make_region

        super().__init__()
        self.region = make_region().configure(
            "dogpile.cache.redis",
            arguments={
                "url": settings.REDIS_URL, "redis_expiration_time": LIFE, "distributed_lock": True,
                "thread_local_lock": False, "lock_timeout": BOUND,
            },
        )  # fmt: skip

    def ask(self, *, soft: bool) -> str:
        [lesson] = self.region.get_or_create(_KEY, self.load, expiration_time=SOFT if soft else LIFE)
        return str(lesson.topic)


class Cashews(Reader):
    """Its decorators, for coroutines: ``arrange`` is told how a coroutine has something done in a thread."""

    entry = _KEY
    servable = True

    def arrange(self, in_a_thread: Any) -> None:
        """Set the cache up in the running event loop."""
        from cashews import cache, register_backend
        from cashews.backends.redis import Redis
        from cashews.picklers import PicklerType

        # What "redis://" is registered as; it knows no name for sockets.
        register_backend("unix", Redis, pass_uri=True, pickler=PicklerType.DEFAULT)
        cache.setup(settings.REDIS_URL)

        async def load() -> list[Any]:
            rows: list[Any] = await in_a_thread(self.load)
            return rows

        self._hard = cache(ttl=LIFE, key=_KEY, lock=True)(load)
        self._soft = cache.early(ttl=LIFE, early_ttl=SOFT, key=_KEY)(load)

    async def aask(self, *, soft: bool) -> str:
        """:meth:`ask` of a coroutine."""
        [lesson] = await (self._soft() if soft else self._hard())
        return str(lesson.topic)
