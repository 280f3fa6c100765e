"""``CacheManager``: what a model declares to be remembered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar, cast

from asgiref.sync import sync_to_async
from django.core import checks
from django.db import models
from django.db.models import Model
from django.db.models.manager import BaseManager

from redis_toolkit.cache.absence import Bloom
from redis_toolkit.cache.answers import source_of
from redis_toolkit.cache.bulk import in_bulk
from redis_toolkit.cache.declarations import problems
from redis_toolkit.cache.freshness import Terms, seconds, terms
from redis_toolkit.cache.querysets import CachedQuerySet
from redis_toolkit.cache.rows import ABSENT, rows_of
from redis_toolkit.cache.tracing import has_own
from redis_toolkit.exceptions import Misconfigured

__all__ = ["CacheManager"]

M = TypeVar("M", bound=Model)


_Manager = models.Manager.from_queryset(CachedQuerySet)


class CacheManager(_Manager[M]):
    """A manager whose reads are answered from Redis and exact after every commit.

    ``ttl``: seconds (or a timedelta) an answer may live, default ``REDIS_TOOLKIT_CACHE_TTL``. ``fresh``: seconds after
    which an answer, still given, is made anew in the background. ``stale``: seconds for which an answer that a write
    has ended may still be given while it is made anew; default 0, exact. ``by``: fields, or tuples
    of fields, that queries filter on; a query that pins one to a value stays cached while other rows change.
    The primary key, unique fields and unique constraints need not be declared. ``bloom``: True, or a :class:`Bloom`,
    for a filter that answers for keys which are not there without asking the database, once it was built.
    ``follow``: names of foreign keys, or True for all, that rows from the cache follow through the cache
    (``lesson.teacher``). ``outage_ttl``: seconds (or a timedelta) for which this process keeps answers to itself while
    Redis is away; so much older than what other processes have committed they may be then. None: the database answers.
    ``write_through``: rows that are saved, created or updated by key are read again after the commit, and stored, so
    that the next ``get(pk=...)`` is a hit.
    """

    # (As of one that was made without our constructor: by `copy`, or by a project's own that does not call it.)
    terms = Terms()
    by: tuple[tuple[str, ...], ...] = ()
    bloom: Bloom | None = None
    write_through = False
    followed_relations: Literal[True] | tuple[str, ...] = ()

    def __init__(  # noqa: PLR0913 - a declaration: each is a word of its own
        self,
        *,
        ttl: float | timedelta | None = None,
        fresh: float | timedelta | None = None,
        stale: float | timedelta | None = None,
        by: Iterable[str | Sequence[str]] = (),
        bloom: bool | Bloom = False,
        follow: bool | Iterable[str] = (),
        outage_ttl: float | timedelta | None = None,
        write_through: bool = False,
    ) -> None:
        super().__init__()
        self.bloom = Bloom() if bloom is True else bloom or None
        if isinstance(by, str):
            raise Misconfigured(f"`by` is a list of fields, or of tuples of fields: by=[{by!r}].")
        outage = 0.0 if outage_ttl is None else seconds(outage_ttl)
        self.write_through = write_through
        self.terms = terms(ttl, fresh, stale)._replace(outage=outage)
        self.by = tuple((names,) if isinstance(names, str) else tuple(names) for names in by)
        if isinstance(follow, str):
            raise Misconfigured(f"`follow` is a list of fields, or True: follow=[{follow!r}].")
        self.followed_relations = follow is True or tuple(follow or ())

    def get_queryset(self) -> CachedQuerySet[M]:
        """A fresh CachedQuerySet of all rows."""
        queryset: Any = super().get_queryset()
        queryset._cache_terms = self.terms
        if not _is_narrowed(cast("Any", type(self))):
            queryset.begin_trace()
        cached: CachedQuerySet[M] = queryset
        return cached

    def get(self, *args: Any, **kwargs: Any) -> M:
        """The one row that fits, as ``QuerySet.get``; by key or unique fields in one round trip and no SQL."""
        if not args and kwargs and self._is_whole():
            alias = self.db
            source = source_of(self.model, self._db, cast("Any", self)._hints, alias)
            found = source and rows_of(self.model, alias).get(kwargs, source, self.terms)
            if found is ABSENT:
                name = self.model._meta.object_name
                missing: type[Exception] = cast("Any", self.model).DoesNotExist
                raise missing(f"{name} matching query does not exist.")
            if found is not None:
                row: M = found
                return row
        one: M = self.get_queryset().get(*args, **kwargs)
        return one

    async def aget(self, *args: Any, **kwargs: Any) -> M:
        """:meth:`get` for asynchronous callers."""
        found: M = await sync_to_async(self.get)(*args, **kwargs)
        return found

    def in_bulk(self, id_list: Iterable[Any] | None = None, *, field_name: str = "pk") -> dict[Any, M]:
        """Rows by key, as ``QuerySet.in_bulk``: one round trip, and one query for those that are missing."""
        wanted = None if id_list is None else list(id_list)
        if wanted and field_name == "pk" and self._is_whole():
            alias = self.db
            source = source_of(self.model, self._db, cast("Any", self)._hints, alias)
            found = source and in_bulk(rows_of(self.model, alias), wanted, source, self.terms)
            if found is not None:
                return found
        bulk: dict[Any, M] = self.get_queryset().in_bulk(wanted, field_name=field_name)
        return bulk

    async def ain_bulk(self, id_list: Iterable[Any] | None = None, *, field_name: str = "pk") -> dict[Any, M]:
        """:meth:`in_bulk` for asynchronous callers."""
        found: dict[Any, M] = await sync_to_async(self.in_bulk)(id_list, field_name=field_name)
        return found

    def _is_whole(self) -> bool:
        """Whether this manager shows every row, and a row asked for by key is just that row."""
        return _shows_whole_rows(cast("Any", type(self)), cast("Any", self)._queryset_class)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """System checks of what the manager declares."""
        return [*super().check(**kwargs), *problems(self)]


#: Methods that say which row ``get(pk=7)`` finds.
_MEANING: Final = (
    "__init__",
    "get",
    "in_bulk",
    "filter",
    "_filter_or_exclude",
    "_filter_or_exclude_inplace",
    "_fetch_all",
)


@lru_cache(maxsize=1024)
def _shows_whole_rows(kind: Any, queryset_kind: Any) -> bool:
    if kind.get_queryset is not CacheManager.get_queryset or _is_narrowed(kind):
        return False
    return not has_own(queryset_kind, _MEANING)


@lru_cache(maxsize=1024)
def _is_narrowed(kind: Any) -> bool:
    """Whether CacheManager builds on another class's ``get_queryset``, as with ``class Mine(CacheManager, Theirs)``."""
    behind = kind.__mro__[kind.__mro__.index(CacheManager) + 1 :]
    return bool(next(base for base in behind if "get_queryset" in vars(base)) is not BaseManager)


CachedQuerySet.manager_class = CacheManager
