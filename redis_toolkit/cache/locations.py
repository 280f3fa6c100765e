"""Where the answer to a queryset lies, found by its trace if it has one, else by its ``Query``."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from redis_toolkit.cache.databases import logical_name
from redis_toolkit.cache.dependencies import names_of
from redis_toolkit.cache.plans import Plan, plan_for
from redis_toolkit.cache.reading import Source
from redis_toolkit.cache.traces import Trace
from redis_toolkit.core import keys
from redis_toolkit.core.codecs import encode_value
from redis_toolkit.exceptions import CodecError

__all__ = ["Location", "NoQuestion", "locate"]


class NoQuestion(Exception):
    """The answer is empty whatever is in the database, and Django knows it."""


class Location(NamedTuple):
    """A place in the cache: the ``key`` of the entry, the ``stamps`` it depends on, and the ``plan`` of its query.

    ``keys`` is how many primary keys the query is pinned to, the stamps then ending in ``new``; None if it is not.
    """

    key: str
    stamps: list[str]
    keys: int | None
    plan: Plan


def locate(kind: str, queryset: Any, source: Source, *further: Any) -> Location | None:
    """Where the answer of ``kind`` to ``queryset`` lies; None if it must not be cached.

    Raises NoQuestion if the database is not asked either.
    """
    try:
        way = None if queryset._trace is None or further else _way(kind, queryset, source)
        if way is not None and way.plan.settled:
            return way.location(queryset._asked, source)
        plan, values = plan_for(kind, queryset.traced_query(), source.read, *further)
        if plan.recipe is None:
            if plan.is_empty:
                raise NoQuestion
            return None
        return _location(plan, plan.key(source.logical, values), plan.recipe.names(queryset.traced_query()), source)
    except CodecError:
        return None


def _location(plan: Plan, key: str, names: list[str] | None, source: Source) -> Location | None:
    recipe = plan.recipe
    if recipe is None:
        return None
    pinned = len(names) if names is not None and recipe.pinned else None
    return Location(key, recipe.stamps(names, source.logical), pinned, plan)


class _Way:
    """How a trace leads to locations: the plan of its query, and which asked values name the stamps."""

    __slots__ = ("ats", "plan", "prefix")

    def __init__(self, trace: Trace, plan: Plan) -> None:
        self.plan = plan
        self.prefix = b"trace" + trace.digest.encode() + plan.digest
        by = None if plan.recipe is None else plan.recipe.by
        columns = {pin.column: at for at, pin in enumerate(trace.pins) if pin is not None and pin.lookup in _PINNING}
        #: Positions of the values of the stamps' columns; None where only `*` is known to cover the query.
        self.ats = None
        if by is not None and all(column in columns for column in by.columns):
            self.ats = [columns[column] for column in by.columns]

    def location(self, values: tuple[Any, ...], source: Source) -> Location | None:
        """Where the answer for these values lies."""
        by = None if self.plan.recipe is None else self.plan.recipe.by
        names = None if by is None or self.ats is None else names_of(by, [values[at] for at in self.ats])
        asked = keys.digest(self.prefix + encode_value(list(values)))
        return _location(self.plan, keys.make("q", logical_name(source.logical), asked), names, source)


_PINNING: Final = frozenset({"exact", "in"})


def _way(kind: str, queryset: Any, source: Source) -> _Way | None:
    """The way by the trace of ``queryset``, worked out once; None if this query's values alone make it empty."""
    trace: Trace = queryset._trace
    way: _Way | None = trace.plans.get((kind, source.read))
    if way is None:
        plan, _ = plan_for(kind, queryset.traced_query(), source.read)
        way = trace.plans.setdefault((kind, source.read), _Way(trace, plan)) if plan.lasts else None
    return way
