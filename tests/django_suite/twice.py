"""Each cached read is made twice, so that the answer a test sees comes out of Redis, and held against the database.

The first read counts where a test counts queries; the second, and the look into the database, are left out of the log.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db import connections
from django.db.models import Model

from redis_toolkit.cache import CachedQuerySet, CacheManager
from redis_toolkit.cache.columns import namer_of
from redis_toolkit.signals import cache_read
from tests.portraits import portrait, same

__all__ = ["TwiceManager", "TwiceQuerySet", "outcomes"]

M = TypeVar("M", bound=Model)

#: How cached reads were answered: "hit", "miss", "bypass"; and how many answers were "compared" with the database.
outcomes: Counter[str] = Counter()


def _count(*, outcome: str, **_: Any) -> None:
    outcomes[outcome] += 1


cache_read.connect(_count, weak=False)


@contextmanager
def unlogged(alias: str) -> Iterator[None]:
    """Keep the queries made inside out of what a test counts."""
    connection = connections[alias]
    log, connection.queries_log = connection.queries_log, deque()
    try:
        yield
    finally:
        connection.queries_log = log


class TwiceQuerySet(CachedQuerySet[M]):
    """A CachedQuerySet that asks twice and compares."""

    def _ask_twice(self) -> None:
        if self._result_cache is not None or self._cache_mode != "use":
            return
        first = self._twin()
        first._fetch_all()
        with unlogged(self.db):
            again, hits = self._twin(), outcomes["hit"]
            again._fetch_all()
            if outcomes["hit"] > hits:
                self._compare(again)
        self._result_cache = again._result_cache

    def _twin(self, mode: str = "use") -> Self:
        """This queryset once more, without prefetching: that comes when the answer is there."""
        twin = self._copied()
        # Compiling some queries changes them.
        twin._query = self._query.chain()
        if twin._query.selected is not None:
            twin._query.selected = dict(twin._query.selected)
        twin._prefetch_related_lookups = ()
        twin._cache_mode = mode
        return twin

    def _compare(self, cached: Self) -> None:
        direct = self._twin("off")
        direct._fetch_all()
        ours, theirs = ([portrait(each) for each in answer._result_cache] for answer in (cached, direct))
        if not direct.query.is_sliced and not direct.ordered:
            # In no order that anybody asked for: PostgreSQL's changes with every update.
            ours.sort(key=repr)
            theirs.sort(key=repr)
        _hold(ours, theirs, self.model)

    def __iter__(self) -> Any:
        self._ask_twice()
        return super().__iter__()

    def __len__(self) -> int:
        self._ask_twice()
        return super().__len__()

    def __bool__(self) -> bool:
        self._ask_twice()
        return super().__bool__()

    def count(self) -> int:
        """As ``CachedQuerySet.count``, twice."""
        return self._value_twice(super().count, lambda direct: direct.count())

    def exists(self) -> bool:
        """As ``CachedQuerySet.exists``, twice."""
        return self._value_twice(super().exists, lambda direct: direct.exists())

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As ``CachedQuerySet.aggregate``, twice."""
        ask = super().aggregate
        return self._value_twice(lambda: ask(*args, **kwargs), lambda direct: direct.aggregate(*args, **kwargs))

    def _value_twice(self, ask: Callable[[], Any], ask_directly: Callable[[Any], Any]) -> Any:
        if self._result_cache is not None or self._cache_mode != "use":
            return ask()
        ask()
        with unlogged(self.db):
            hits = outcomes["hit"]
            found = ask()
            if outcomes["hit"] > hits:
                _hold(found, ask_directly(self._twin("off")), self.model)
        return found


class TwiceManager(CacheManager[M]):
    """A CacheManager that asks twice and compares, and declares whatever can be declared: the finest stamps there are."""

    @property
    def by(self) -> tuple[tuple[str, ...], ...]:  # type: ignore[override]
        """Each field of the model's own table whose values can name stamps."""
        fields = self.model._meta.local_concrete_fields
        return tuple((field.name,) for field in fields if not field.primary_key and namer_of(field, "sqlite"))

    @by.setter
    def by(self, value: Any) -> None:
        pass

    def get(self, *args: Any, **kwargs: Any) -> M:
        """As ``CacheManager.get``, twice."""
        with suppress(ObjectDoesNotExist):
            super().get(*args, **kwargs)
        with unlogged(self.db):
            hits = outcomes["hit"]
            found: M = super().get(*args, **kwargs)
            if outcomes["hit"] > hits:
                direct = self.get_queryset().nocache().get(*args, **kwargs)
                _hold(portrait(found), portrait(direct), self.model)
        return found

    def in_bulk(self, id_list: Iterable[Any] | None = None, *, field_name: str = "pk") -> dict[Any, M]:
        """As ``CacheManager.in_bulk``, twice."""
        wanted = None if id_list is None else list(id_list)
        super().in_bulk(wanted, field_name=field_name)
        with unlogged(self.db):
            hits = outcomes["hit"]
            found: dict[Any, M] = super().in_bulk(wanted, field_name=field_name)
            if outcomes["hit"] > hits:
                direct = self.get_queryset().nocache().in_bulk(wanted, field_name=field_name)
                _hold(portrait(found), portrait(direct), self.model)
        return found


# As it would be if TwiceManager were written ``CacheManager.from_queryset(TwiceQuerySet)``.
TwiceManager._queryset_class = TwiceQuerySet  # type: ignore[attr-defined]
TwiceQuerySet.manager_class = TwiceManager


def _hold(ours: Any, theirs: Any, model: Any) -> None:
    outcomes["compared"] += 1
    if not same(ours, theirs):
        raise AssertionError(f"The cache answers {ours!r}, the database {theirs!r}, for a query of {model}")
