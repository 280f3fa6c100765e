"""``TracingQuerySet``: a QuerySet that notes plain calls and builds its ``Query`` only when somebody looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, Self, TypeVar, cast, overload

from django.db.models import Model, QuerySet
from django.db.models.sql.query import Query

from redis_toolkit.cache.freshness import Terms
from redis_toolkit.cache.traces import Asked, Call, Trace, root, values_of
from redis_toolkit.cache.zones import follows_zone

__all__ = ["TracingQuerySet", "has_own"]

M = TypeVar("M", bound=Model)

_TEXT: Final = frozenset({str})
#: Where classes come from whose methods are known to add no conditions.
_KNOWN: Final = ("redis_toolkit.", "django.", "builtins.", "typing.")
#: Methods below those that are noted. A subclass that has its own may add conditions which no trace would show.
_BELOW: Final = (
    "__init__", "_chain", "_clone", "_filter_or_exclude", "_filter_or_exclude_inplace", "_next_is_sticky", "query",
)  # fmt: skip


class TracingQuerySet(QuerySet[M]):
    """Records ``filter``, ``exclude``, ``order_by``, ``select_related``, ``distinct``, ``all`` and slices.

    The trace tells what was asked as long as only these calls, and Django's own code, have touched the ``Query``.
    Whoever else looks at ``query`` gets it built, and ends the trace: they may change it.
    """

    _query: Any
    _prefetch_done: bool
    _hints: dict[str, Any]
    _sticky_filter: bool
    _deferred_filter: Any
    _defer_next_filter: bool

    _cache_terms: Terms = Terms()
    _cache_mode: str = "use"
    _trace: Trace | None = None
    _asked: tuple[Any, ...] = ()
    _pending: tuple[Call, ...] = ()

    def begin_trace(self) -> None:
        """Say that nothing was asked of this queryset yet: it is the whole table, as its manager made it."""
        if has_own(type(self), _BELOW) or _follows_zone(self.model):
            return
        self._trace = root(self.model)

    @property
    def query(self) -> Query:
        """The ``Query``, as ``QuerySet.query``; looking at it ends the trace."""
        if self._trace is not None:
            self._build()
            # Others that share this Query as their starting point must not see what is done to ours.
            self._query = self._query.chain()
            self._trace = None
        built: Query = cast("Any", QuerySet.query).fget(self)
        return built

    @query.setter
    def query(self, value: Query) -> None:
        self._trace, self._asked, self._pending = None, (), ()
        cast("Any", QuerySet.query).fset(self, value)

    def traced_query(self) -> Query:
        """The ``Query``, for those who only read it."""
        if self._trace is None:
            return self.query
        self._build()
        built: Query = self._query
        return built

    @contextmanager
    def keeping_trace(self) -> Iterator[None]:
        """Let Django's own code look at ``query`` without ending the trace."""
        trace, asked = self._trace, self._asked
        yield
        self._trace, self._asked = trace, asked

    def _build(self) -> None:
        """Make the calls that were only noted."""
        if not self._pending:
            return
        # Without a trace, so that every call reaches its Query.
        twin: Any = self._copied()
        pending = twin._pending
        twin._trace, twin._asked, twin._pending = None, (), ()
        # What a related manager says of its next filter was said after these calls, and is not about them.
        twin._sticky_filter, twin._defer_next_filter, twin._deferred_filter = False, False, None
        for call in pending:
            if call.method == "slice":
                twin = twin._chain()
                twin._query.set_limits(*call.args)
            else:
                twin = getattr(QuerySet, call.method)(twin, *call.args, **call.kwargs)
        # At once: 1. a thread that makes an answer anew builds the query  2. the caller looks at it, and must not find
        # that nothing is left to do while it is still that of the whole table.
        self.__dict__.update(_query=twin._query, _pending=())

    def _copied(self) -> Self:
        twin = self.__class__.__new__(self.__class__)
        twin.__dict__ = self.__dict__.copy()
        twin._result_cache = None
        twin._prefetch_done = False
        if not twin._hints:
            # Django gives each its own, and adds to it when it prefetches.
            twin._hints = {}
        return twin

    def _note(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], names: tuple[Any, ...],
        pins: tuple[Asked | None, ...] = (), values: tuple[Any, ...] = (),
    ) -> Self:  # fmt: skip
        """Note a call that Django has accepted before; make it, and note that it was accepted, if it is new."""
        trace = self._trace
        if trace is None:
            made: Self = getattr(super(), method)(*args, **kwargs)
            return made
        grown = trace.after(method, names)
        if grown is None:
            with self.keeping_trace():
                clone: Self = _slice(self, *args) if method == "slice" else getattr(super(), method)(*args, **kwargs)
            grown = trace.grow(method, names, pins)
            clone._pending = ()
        else:
            clone = self._copied()
            clone._pending = (*self._pending, Call(method, args, kwargs))
        clone._trace, clone._asked = grown, self._asked + values
        return clone

    def _notes(self) -> bool:
        """Whether calls can be noted now."""
        is_held = self._sticky_filter or self._defer_next_filter or self._deferred_filter is not None
        return self._trace is not None and not is_held

    def _clone(self) -> Self:
        with self.keeping_trace():
            clone: Self = super()._clone()  # type: ignore[misc]
        clone._cache_mode, clone._cache_terms = self._cache_mode, self._cache_terms
        return clone

    def all(self) -> Self:
        """As ``QuerySet.all``."""
        return self._copied() if self._notes() else super().all()

    def filter(self, *args: Any, **kwargs: Any) -> Self:
        """As ``QuerySet.filter``."""
        return self._filter("filter", args, kwargs)

    def exclude(self, *args: Any, **kwargs: Any) -> Self:
        """As ``QuerySet.exclude``."""
        return self._filter("exclude", args, kwargs)

    def _filter(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Self:
        trace = self._trace
        found = None
        if trace is not None and kwargs and not args and not trace.is_sliced and self._notes():
            found = values_of(self.model, kwargs)
        if found is None:
            made: Self = getattr(super(), method)(*args, **kwargs)
            return made
        pins, values = found
        plain = dict(zip(kwargs, values, strict=True))
        return self._note(method, (), plain, tuple(kwargs), pins if method == "filter" else (None,) * len(pins), values)

    def order_by(self, *field_names: Any) -> Self:
        """As ``QuerySet.order_by``."""
        if self._trace is not None and _any_follows_zone(self.model, field_names):
            # A trace does not tell one zone from another.
            ordered: Self = super().order_by(*field_names)
            return ordered
        return self._named("order_by", field_names)

    def select_related(self, *fields: Any) -> Self:
        """As ``QuerySet.select_related``."""
        if not fields:
            # From Django 6.1 on that is deprecated: each such call has to reach it.
            all_related: Self = super().select_related()
            return all_related
        return self._named("select_related", fields)

    def distinct(self, *field_names: Any) -> Self:
        """As ``QuerySet.distinct``."""
        return self._named("distinct", field_names)

    def _named(self, method: str, names: tuple[Any, ...]) -> Self:
        """A call that takes names only."""
        trace = self._trace
        if trace is None or trace.is_sliced or not self._notes() or set(map(type, names)) - _TEXT:
            made: Self = getattr(super(), method)(*names)
            return made
        return self._note(method, names, {}, names)

    @overload
    def __getitem__(self, k: int) -> M: ...
    @overload
    def __getitem__(self, k: slice) -> Self: ...
    def __getitem__(self, k: int | slice) -> M | Self:
        """As ``QuerySet.__getitem__``."""
        trace = self._trace
        if self._result_cache is None and trace is not None and not trace.is_sliced and type(k) is slice:
            bounds = (k.start, k.stop)
            if (
                k.step is None
                and self._notes()
                and all(each is None or (type(each) is int and each >= 0) for each in bounds)
            ):
                return self._note("slice", bounds, {}, (), (None, None), bounds)
        found: M | Self = super().__getitem__(k)
        return found

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        # A trace means something in this process only.
        state["_query"] = self.query
        return state | {"_trace": None, "_asked": (), "_pending": ()}


def _slice(queryset: Any, low: int | None, high: int | None) -> Any:
    clone = queryset._chain()
    clone.query.set_limits(low, high)
    return clone


@lru_cache(maxsize=1024)
def has_own(kind: type[Any], names: tuple[str, ...]) -> bool:
    """Whether a queryset class has methods by one of these names that are neither the toolkit's nor Django's."""
    theirs = [base for base in kind.__mro__ if not f"{base.__module__}.".startswith(_KNOWN)]
    return any(name in vars(base) for base in theirs for name in names)


@lru_cache(maxsize=1024)
def _follows_zone(model: type[Model]) -> bool:
    return _any_follows_zone(model, model._meta.ordering or ())


def _any_follows_zone(model: type[Model], names: Sequence[Any]) -> bool:
    return any(isinstance(name, str) and follows_zone(model, name) for name in names)
