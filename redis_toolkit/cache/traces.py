"""Traces: what a queryset was asked for, written down instead of worked out.

Django builds a ``Query`` anew for every ``filter(group=5).order_by("weekday")``, and that costs more than the round
trip to Redis. For the plainest calls the queryset only notes the call; the ``Query`` is built when somebody looks at
it, which on a hit nobody does. A chain of calls is a path in a tree of :class:`Trace` nodes, grown by chains that
Django has accepted; the values asked for stand beside it.

Only calls whose values cannot be refused take part: the model's own fields, and values of exactly the type the column
holds. Everything else builds the ``Query`` at once, so errors come from where Django raises them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, ForeignKey, Model
from django.db.models.constants import LOOKUP_SEP

from redis_toolkit.cache.columns import plain_type, stored_field
from redis_toolkit.core.keys import digest

__all__ = ["Asked", "Call", "Trace", "root", "values_of"]

_MOST_TRACES: Final = 4096
_LOOKUPS: Final = frozenset({"exact", "gt", "gte", "lt", "lte", "in", "isnull"})


class Call(NamedTuple):
    """A call of a queryset method, to be made when the ``Query`` is wanted after all."""

    method: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class Asked(NamedTuple):
    """What one keyword of a ``filter`` asks for: of which column, by which lookup, values of which type."""

    column: str
    lookup: str
    kind: type
    related: type[Model] | None


class Trace:
    """A chain of calls. ``pins`` says which column each asked value pins (None: none), in the order of the values."""

    __slots__ = ("_next", "digest", "is_sliced", "model", "pins", "plans")

    def __init__(self, model: type[Model], name: str, pins: tuple[Asked | None, ...], *, is_sliced: bool) -> None:
        self.model = model
        self.digest = digest(name.encode("utf-8", "surrogatepass"))
        self.pins = pins
        self.is_sliced = is_sliced
        #: Plans by kind of answer and database alias.
        self.plans: dict[tuple[str, str], Any] = {}
        self._next: dict[tuple[str, tuple[Any, ...]], Trace] = {}

    def after(self, method: str, names: tuple[Any, ...]) -> Trace | None:
        """The trace that this call leads to, if Django has accepted it before."""
        return self._next.get((method, names))

    def grow(self, method: str, names: tuple[Any, ...], pins: tuple[Asked | None, ...]) -> Trace | None:
        """Remember that Django accepts this call here. None when there are too many shapes to remember them all."""
        global _count  # noqa: PLW0603 - a bound for the whole tree
        if _count >= _MOST_TRACES:
            return None
        _count += 1
        name = f"{self.digest}.{method}{names!r}"
        grown = Trace(self.model, name, self.pins + pins, is_sliced=self.is_sliced or method == "slice")
        return self._next.setdefault((method, names), grown)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


_count = 0
_roots: dict[type[Model], Trace] = {}
_fields: dict[tuple[type[Model], str], Asked | None] = {}


def root(model: type[Model]) -> Trace:
    """The trace of a queryset of which nothing has been asked yet."""
    try:
        return _roots[model]
    except KeyError:
        return _roots.setdefault(model, Trace(model, model._meta.label, (), is_sliced=False))


def values_of(model: type[Model], kwargs: Mapping[str, Any]) -> tuple[tuple[Asked, ...], tuple[Any, ...]] | None:
    """What ``filter(**kwargs)`` asks for: its pins and plain values; None if Django must look at it."""
    pins, values = [], []
    for name, value in kwargs.items():
        asked = _asked(model, name)
        if asked is None:
            return None
        plain = _plain(asked, value)
        if plain is None:
            return None
        pins.append(asked)
        values.append(plain)
    return tuple(pins), tuple(values)


def _plain(asked: Asked, value: Any) -> Any:
    """``value`` as Django would pass it to the database; None if it might refuse or change it."""
    kind = asked.kind
    if asked.lookup == "in":
        if type(value) not in {list, tuple} or not value:
            return None
        items = [_one(asked, item) for item in value]
        return None if None in items else items
    if asked.lookup == "isnull":
        return value if type(value) is bool else None
    return value if type(value) is kind else _one(asked, value)


def _one(asked: Asked, value: Any) -> Any:
    if asked.related is not None and type(value) is asked.related:
        value = value.pk
    return value if type(value) is asked.kind else None


def _asked(model: type[Model], name: str) -> Asked | None:
    try:
        return _fields[model, name]
    except KeyError:
        return _fields.setdefault((model, name), _find(model, name))


def _find(model: type[Model], name: str) -> Asked | None:
    path, _, lookup = name.partition(LOOKUP_SEP)
    lookup = lookup or "exact"
    try:
        field = model._meta.pk if path == "pk" else _by_name(model, path)
    except FieldDoesNotExist:
        return None
    if field.model._meta.db_table != model._meta.db_table or lookup not in _LOOKUPS:
        return None
    kind = plain_type(field)
    if kind is None or not _has_djangos_lookups(stored_field(field)):
        return None
    related: type[Model] | None = None
    if field.is_relation:
        if not isinstance(field, ForeignKey) or lookup not in {"exact", "in", "isnull"}:
            return None
        target = field.related_model
        if path == field.name and field.target_field is target._meta.pk:
            related = target
    return Asked(str(field.column), lookup, kind, related)


def _by_name(model: type[Model], path: str) -> Field[Any, Any]:
    """The field called ``path``, or whose column attribute is."""
    for field in model._meta.concrete_fields:
        if path in {field.name, field.attname}:
            return field
    raise FieldDoesNotExist(path)


def _has_djangos_lookups(field: Field[Any, Any]) -> bool:
    return all(
        (found := field.get_lookup(name)) is not None and found.__module__.startswith("django.") for name in _LOOKUPS
    )


def forget() -> None:
    """Forget every trace (only tests change models under a running process)."""
    global _count  # noqa: PLW0603
    _roots.clear()
    _fields.clear()
    _count = 0
