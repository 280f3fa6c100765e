"""Total orders: what a list is sorted by, so that *after this row* means one thing and no row is met twice.

A page begins where another ended. That point is written down as the last row's values of the ordering columns, and what
comes after it is a condition on these columns: for ``(a, -b, pk)`` after ``(1, 2, 3)``

    a >= 1 AND (a > 1 OR (a = 1 AND b < 2) OR (a = 1 AND b = 2 AND pk > 3))

The first part says nothing new, and lets the database begin in the middle of an index. Everything hangs on the order
being total: it ends in a unique key, no column is null (databases sort nulls to either end, and nothing is greater than
one), and a value comes back from the database as the one that it compares with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from django.core.exceptions import FieldDoesNotExist
from django.db import connections, models
from django.db.models import Field, ForeignKey, Model, Q
from django.db.models.constants import LOOKUP_SEP

from redis_toolkit.cache.columns import plain_type, stored_field
from redis_toolkit.exceptions import Misconfigured

__all__ = ["Ordering", "ordering_of"]

#: Beside those with a plain type: values that compare in Python's hands as they do in the database.
_SORTED: Final = (
    models.DateTimeField, models.TimeField, models.DurationField, models.FloatField, models.DecimalField,
)  # fmt: skip
#: Of decimals that SQLite keeps exactly, for it keeps them as floats.
_DIGITS: Final = 15


class Column(NamedTuple):
    """A column to sort by: the ``path`` of lookups that leads to it, its direction, and the type of what it holds."""

    path: str
    is_descending: bool
    kind: str

    @property
    def name(self) -> str:
        """As ``order_by`` takes it."""
        return f"-{self.path}" if self.is_descending else self.path


class Ordering:
    """A total order of the rows of one model."""

    __slots__ = ("columns", "key_at", "names", "paths", "signature")

    def __init__(self, model: type[Model], columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        #: As ``order_by`` takes them.
        self.names = [column.name for column in columns]
        keys = [field.attname for field in model._meta.pk_fields]
        #: What is read of each row: the columns, and those of the primary key that are not among them.
        self.paths = list(dict.fromkeys([*(column.path for column in columns), *keys]))
        #: Where in that the primary key stands.
        self.key_at = [self.paths.index(key) for key in keys]
        #: What a cursor must have been made for to mean anything here.
        self.signature = repr((model._meta.label, [tuple(column) for column in columns]))

    def key(self, row: Sequence[Any]) -> Any:
        """The primary key in what was read of a row."""
        key = tuple(row[at] for at in self.key_at)
        return key[0] if len(key) == 1 else key

    def point(self, row: Sequence[Any]) -> list[Any]:
        """The values of the columns in what was read of a row."""
        return list(row[: len(self.columns)])

    def after(self, point: Sequence[Any]) -> Q:
        """The condition that a row comes after ``point``."""
        first, *_ = self.columns
        later = Q()
        equal: dict[str, Any] = {}
        for column, value in zip(self.columns, point, strict=True):
            later |= Q(**equal, **{_lookup(column, "lt" if column.is_descending else "gt"): value})
            equal[column.path] = value
        if len(self.columns) == 1:
            return later
        return Q(**{_lookup(first, "lte" if first.is_descending else "gte"): point[0]}) & later


def _lookup(column: Column, name: str) -> str:
    return f"{column.path}{LOOKUP_SEP}{name}"


def ordering_of(queryset: Any, query: Any) -> Ordering:
    """The total order of ``queryset``: what it asks for, and the primary key. Raises Misconfigured."""
    asked: Sequence[Any] = query.order_by
    if not asked and query.default_ordering:
        asked = query.get_meta().ordering or ()
    if query.extra_order_by:
        raise Misconfigured("Pages cannot be sorted by extra(): sort them by columns.")
    model, vendor = queryset.model, connections[queryset.db].vendor
    columns: list[Column] = []
    for column, field in _columns(model, [*asked, "pk"], vendor, flipped=not query.standard_ordering):
        columns.append(column)
        if field.unique and LOOKUP_SEP not in column.path:
            # Nothing that would come after it could tell two rows apart.
            return Ordering(model, columns)
    return Ordering(model, columns)


def _columns(
    model: type[Model], asked: Sequence[Any], vendor: str, *, flipped: bool
) -> Iterator[tuple[Column, Field[Any, Any]]]:
    seen: set[str] = set()
    descending = flipped
    for at, name in enumerate(asked):
        if not isinstance(name, str) or name in {"?", "-?"}:
            raise Misconfigured(
                f"Pages cannot be sorted by {name!r}: what is not a column of its own has no value to go on from. "
                'Sort them by names of fields, as in order_by("-weekday", "pk").'
            )
        # The key that is put at the end goes the way of the last column: then one index, read backwards, will do.
        descending = descending if at == len(asked) - 1 else name.startswith("-") != flipped
        path = name.removeprefix("-")
        if path == "pk" and len(model._meta.pk_fields) > 1:
            fields = [(field.attname, field) for field in model._meta.pk_fields]
        else:
            fields = [_field(model, path)]
        for attname, field in fields:
            _refuse(attname, field, vendor)
            if attname not in seen:
                seen.add(attname)
                yield Column(attname, descending, stored_field(field).get_internal_type()), field


def _field(model: type[Model], path: str) -> tuple[str, Field[Any, Any]]:
    """The path of lookups to a column, by attribute names, and its field."""
    *relations, last = path.split(LOOKUP_SEP)
    here = model
    for name in relations:
        relation = _named(here, name, path)
        if not isinstance(relation, ForeignKey):
            raise Misconfigured(f"Pages cannot be sorted by {path!r}: {name!r} is no foreign key.")
        if relation.null:
            raise Misconfigured(
                f"Pages cannot be sorted by {path!r}: {name!r} may be null, and then there is no value."
            )
        here = relation.related_model
    field = here._meta.pk if last == "pk" else _named(here, last, path)
    if isinstance(field, ForeignKey) and last == field.name and field.related_model._meta.ordering:
        raise Misconfigured(
            f"Pages cannot be sorted by {path!r}: its rows have an ordering of their own. Name a column of it, or "
            f"{LOOKUP_SEP.join([*relations, field.attname])!r}."
        )
    return LOOKUP_SEP.join([*relations, field.attname]), field


def _named(model: type[Model], name: str, path: str) -> Field[Any, Any]:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise Misconfigured(
            f"Pages cannot be sorted by {path!r}: {model._meta.label} has no field {name!r}."
        ) from error
    if not isinstance(field, Field) or not field.concrete or field.many_to_many:
        raise Misconfigured(f"Pages cannot be sorted by {path!r}: {name!r} is no column of {model._meta.label}.")
    return field


def _refuse(path: str, field: Field[Any, Any], vendor: str) -> None:
    """Raise Misconfigured for a column whose values make no total order, or do not come back as they compare."""
    if field.null:
        raise Misconfigured(
            f"Pages cannot be sorted by {path!r}, which may be null: databases sort nulls to either end. Sort by "
            "another column, or give this one a default."
        )
    stored = stored_field(field)
    is_djangos = type(stored).__module__.startswith("django.db.models.")
    if plain_type(field) is None and not (is_djangos and isinstance(stored, _SORTED)):
        raise Misconfigured(
            f"Pages cannot be sorted by {path!r}: nobody knows how values of {type(stored).__name__} compare."
        )
    if isinstance(stored, models.DecimalField) and vendor == "sqlite" and (stored.max_digits or 99) > _DIGITS:
        raise Misconfigured(f"Pages cannot be sorted by {path!r} on SQLite, which keeps {_DIGITS} digits of a decimal.")
