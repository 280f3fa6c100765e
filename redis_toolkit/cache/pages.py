"""Pages of a long list: which rows, from one cached query; the rows themselves, by key, in one MGET.

A page is what comes after a point in a total order (``orderings.py``), not what comes after so many rows, so nothing
that is written before that point moves a row from one page to another. Each row is stored once, for all lists: one
that changes is loaded once, and every page shows it.

Which rows are a page's is an answer like any other: it depends on the stamps of its query, the declared ``by`` values
above all, and is exact. A write to any row that may be on it makes it a miss, and one query for keys finds it anew.

The race between the two steps: 1. a reader finds that 7, 8, 9 are on the page  2. 8 is deleted  3. the reader finds
no row 8. So the list is not what it was, and is asked for again; were 8 just left out, a page might be half empty.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from asgiref.sync import sync_to_async
from django.db.models import Model, QuerySet
from django.db.models.manager import BaseManager
from django.db.models.query import ModelIterable

from redis_toolkit.cache import cursors
from redis_toolkit.cache.answers import source_of
from redis_toolkit.cache.bulk import in_bulk
from redis_toolkit.cache.instances import link_known
from redis_toolkit.cache.orderings import Ordering, ordering_of
from redis_toolkit.cache.querysets import CachedQuerySet
from redis_toolkit.cache.rows import rows_of
from redis_toolkit.exceptions import Misconfigured

__all__ = ["CachedPages", "Page"]

M = TypeVar("M", bound=Model)

#: Rows on the largest page.
_LARGEST: Final = 1000
#: How often a page is asked for while rows go between its two steps.
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """``rows``, at most the size of a page, and ``next``: the cursor of the page after this, None at the end."""

    rows: tuple[M, ...]
    next: str | None


class CachedPages(Generic[M]):
    """The rows of a cached queryset, page by page, for endless scrolling.

    ``queryset``: a :class:`CachedQuerySet` or its manager, sorted by columns that are not null; the primary key is put
    at the end. ``size``: rows on a page, 1,000 at most. Iterating gives every row, page after page.

    Each row that matches throughout, and whose ordering columns stay as they are, is met exactly once, whatever is
    inserted, changed or deleted meanwhile. Raises Misconfigured for a queryset that cannot be paged, ValueError for a
    size.
    """

    def __init__(self, queryset: QuerySet[M] | BaseManager[M], *, size: int = 50) -> None:
        if type(size) is not int or not 1 <= size <= _LARGEST:
            raise ValueError(f"The size of a page is a number of rows from 1 to {_LARGEST}, not {size!r}.")
        asked: Any = queryset
        self._queryset = asked.all()
        if not getattr(self._queryset, "answers_from_cache", False):
            raise Misconfigured(
                "CachedPages takes a queryset of a CacheManager, as in CachedPages(Lesson.cached.all())."
            )
        query = self._queryset.traced_query()
        _refuse(self._queryset, query)
        self.size = size
        self._ordering: Ordering = ordering_of(self._queryset, query)
        if not query.standard_ordering:
            # What reverse() says is in the ordering now.
            self._queryset = self._queryset.reverse()

    def page(self, after: str | None = None) -> Page[M]:
        """The page after the cursor ``after``, the first one without (or with an empty one).

        Raises :class:`~redis_toolkit.exceptions.BadCursor`, a ValueError, for a cursor that is not this list's.
        """
        point = cursors.read(self._ordering, after) if after else None
        listed, rows = self._found(point)
        if self._queryset._known_related_objects:
            link_known(self._queryset, rows)
        last = self._ordering.point(listed[self.size - 1]) if len(listed) > self.size else None
        return Page(tuple(rows), None if last is None else cursors.write(self._ordering, last))

    async def apage(self, after: str | None = None) -> Page[M]:
        """:meth:`page` for asynchronous callers."""
        found: Page[M] = await sync_to_async(self.page)(after)
        return found

    def walk(self, after: str | None = None) -> Iterator[M]:
        """Every row after the cursor ``after``, from the first without, a page at a time."""
        while True:
            page = self.page(after)
            yield from page.rows
            if page.next is None:
                return
            after = page.next

    async def awalk(self, after: str | None = None) -> AsyncIterator[M]:
        """:meth:`walk` for asynchronous callers."""
        while True:
            page = await self.apage(after)
            for row in page.rows:
                yield row
            if page.next is None:
                return
            after = page.next

    def __iter__(self) -> Iterator[M]:
        return self.walk()

    def __aiter__(self) -> AsyncIterator[M]:
        return self.awalk()

    def _found(self, point: list[Any] | None) -> tuple[list[tuple[Any, ...]], list[M]]:
        """What is listed after ``point``, and the rows of the page."""
        tries = _TRIES
        while True:
            listed = self._listed(point)
            keys = list(dict.fromkeys(map(self._ordering.key, listed[: self.size])))
            found = self._rows(keys)
            rows = [found[key] for key in keys if key in found]
            tries -= 1
            if len(rows) == len(keys) or not tries:
                return listed, rows

    def _listed(self, point: list[Any] | None) -> list[tuple[Any, ...]]:
        """The ordering columns and keys of the rows after ``point``, and of one more to tell whether more follow."""
        asked = self._queryset if point is None else self._queryset.filter(self._ordering.after(point))
        asked = asked.order_by(*self._ordering.names).values_list(*self._ordering.paths)
        return list(asked[: self.size + 1])

    def _rows(self, keys: list[Any]) -> dict[Any, Any]:
        """The rows with these primary keys that are there."""
        if not keys:
            return {}
        asked = self._queryset
        mode = getattr(asked, "_fetch_mode", None)
        if asked._cache_mode == "use" and (mode is None or not mode.track_peers):
            source = source_of(asked.model, asked._db, asked._hints, asked.db)
            found = source and in_bulk(rows_of(asked.model, asked.db), keys, source, asked._cache_terms)
            if found is not None:
                for row in found.values() if mode is not None else ():
                    row._state.fetch_mode = mode
                return found
        whole: Any = CachedQuerySet(model=asked.model, using=asked._db, hints=asked._hints)
        whole._cache_mode, whole._cache_terms = asked._cache_mode, asked._cache_terms
        if mode is not None:
            whole = whole.fetch_mode(mode)
        return {row.pk: row for row in whole.filter(pk__in=keys)}


def _refuse(queryset: Any, query: Any) -> None:
    """Raise Misconfigured for what rows that are fetched by key, or that follow a point, cannot be."""
    asked = {
        "a slice": query.is_sliced,
        "a union": query.combinator,
        "distinct() with fields": query.distinct_fields,
        "select_related(), which would store a row with each of its relations: use prefetch_cached(page.rows, …)": (
            query.select_related
        ),
        "prefetch_related(): use prefetch_cached(page.rows, …), or prefetch_related_objects(page.rows, …)": (
            queryset._prefetch_related_lookups
        ),
        "annotate(), for rows are fetched by key: use alias()": query.annotation_select or query.extra_select,
        "only() or defer(), for whole rows are stored": query.deferred_loading != (frozenset(), True),
        "values()": queryset._iterable_class is not ModelIterable,
        "select_for_update()": query.select_for_update,
    }
    for what, is_there in asked.items():
        if is_there:
            raise Misconfigured(f"CachedPages takes no queryset with {what}.")
