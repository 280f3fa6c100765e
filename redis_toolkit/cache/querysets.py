"""``CachedQuerySet``: a QuerySet whose answers come from Redis where they can."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar, Self, TypeVar

from django.db import models
from django.db.models import Model

from redis_toolkit.cache import answers, through
from redis_toolkit.cache.freshness import Terms, terms
from redis_toolkit.cache.prefetching import with_cached_querysets
from redis_toolkit.cache.tracing import TracingQuerySet

__all__ = ["CachedQuerySet"]

M = TypeVar("M", bound=Model)


class CachedQuerySet(TracingQuerySet[M]):
    """A QuerySet answered from Redis: iteration, ``get``, ``count``, ``exists``, ``aggregate`` and all built on them.

    It chains, pickles and subclasses like any other. ``iterator()``, ``raw()``, ``select_for_update()`` and writes go
    to the database as ever.
    """

    #: By this the toolkit knows, without importing this class, that a manager answers from the cache.
    answers_from_cache = True

    #: What ``as_manager()`` makes; CacheManager, which builds on this class, puts itself here.
    manager_class: ClassVar[type[models.Manager[Any]]] = models.Manager

    _prefetch_related_lookups: Any

    def cache(
        self,
        ttl: float | timedelta | None = None,
        *,
        fresh: float | timedelta | None = None,
        stale: float | timedelta | None = None,
    ) -> Self:
        """Answer from the cache. ``ttl``, ``fresh`` and ``stale``: seconds or a timedelta, as for CacheManager.

        What is not given is as the manager has it. Raises ValueError for what is no life.
        """
        own = terms(ttl, fresh, stale)
        kept = self._cache_terms if stale is None else self._cache_terms._replace(stale=0.0)
        return self._with_cache("use", own.over(kept))

    def nocache(self) -> Self:
        """Answer from the database and store nothing."""
        return self._with_cache("off", self._cache_terms)

    def refresh(self) -> Self:
        """Answer from the database and store the answer anew."""
        return self._with_cache("refresh", self._cache_terms)

    def _with_cache(self, mode: str, own: Terms) -> Self:
        clone = self.all()
        clone._cache_mode, clone._cache_terms = mode, own
        return clone

    def _fetch_all(self) -> None:
        if self._result_cache is None:
            self._result_cache = answers.rows(self)
        super()._fetch_all()

    def _prefetch_related_objects(self) -> None:
        own = self._prefetch_related_lookups
        if self._cache_mode != "off":
            self._prefetch_related_lookups = with_cached_querysets(self, CachedQuerySet)
        try:
            super()._prefetch_related_objects()  # type: ignore[misc]
        finally:
            # Clones ask for what the caller asked for, on a database and in a way of their own.
            self._prefetch_related_lookups = own

    # A copy asks, for Django counts the rows that a queryset holds: 1. a count past its `fresh` is given
    # 2. the queryset is read  3. a writer commits  4. a thread counts anew, under new stamps, and must not count those.

    def count(self) -> int:
        """The number of rows, as ``QuerySet.count``."""
        if self._result_cache is not None:
            return len(self._result_cache)
        number: int = answers.value("count", self, lambda: super(CachedQuerySet, self._copied()).count())
        return number

    def exists(self) -> bool:
        """Whether there is any row, as ``QuerySet.exists``."""
        if self._result_cache is not None:
            return bool(self._result_cache)
        found: bool = answers.value("exists", self, lambda: super(CachedQuerySet, self._copied()).exists())
        return found

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The aggregates over the rows, as ``QuerySet.aggregate``."""

        def compute() -> Any:
            return super(CachedQuerySet, self._copied()).aggregate(*args, **kwargs)

        expressions = [*args, *kwargs.values()]
        if self.query.distinct_fields or not all(hasattr(each, "resolve_expression") for each in expressions):
            # Django knows what to say to that.
            found: dict[str, Any] = compute()
        else:
            found = answers.value("aggregate", self, compute, *kwargs, *expressions)
        return found

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """Create rows, as ``QuerySet.bulk_create``; where rows are written through, those that come back with a key."""
        made: list[M] = super().bulk_create(objs, *args, **kwargs)
        through.created(self.model, self.db, [each.pk for each in made if each.pk is not None])
        return made

    @classmethod
    def as_manager(cls) -> Any:
        """A CacheManager with the methods of this class."""
        manager: Any = cls.manager_class.from_queryset(cls)()
        manager._built_with_as_manager = True
        return manager

    as_manager.queryset_only = True  # type: ignore[attr-defined]
