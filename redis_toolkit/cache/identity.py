"""What a query *is*, read off the ``Query`` object without compiling it.

:func:`describe` walks the query and splits it into its *structure* (nested tuples of plain values, the same for all
queries of one shape) and the *values* asked for. Whatever it does not know raises :class:`Opaque`, and the query is
identified by its SQL instead; so a new kind of expression costs a compilation, never a wrong answer.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from django.db.models import Field, Model, Q
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import Col, F, Value
from django.db.models.fields.reverse_related import ForeignObjectRel
from django.db.models.functions import Now, Random
from django.db.models.functions.datetime import TimezoneMixin
from django.db.models.lookups import Lookup
from django.db.models.query import QuerySet
from django.db.models.sql.query import Query
from django.db.models.sql.where import NothingNode, WhereNode
from django.utils import timezone

from redis_toolkit.cache.classes import Opaque, Undeclared, is_derived, joins_as_declared, name_of, trusted
from redis_toolkit.cache.literals import literal_of
from redis_toolkit.cache.zones import follows_zone

__all__ = ["Description", "Opaque", "Uncacheable", "describe"]


class Uncacheable(Exception):
    """The query's answer must not be cached; the message says why."""


#: Attributes of Query that are derived, or that say nothing about the answer.
_IGNORED: Final = frozenset({
    "model", "where", "alias_map", "alias_refcount", "low_mark", "high_mark", "annotations", "table_map", "base_table",
    "used_aliases", "alias_cols", "_lookup_joins", "_db",
    "_annotation_select_cache", "_extra_select_cache", "filter_is_sticky", "output_field",
    "contains_aggregate", "contains_over_clause", "contains_column_references", "explain_info",
})  # fmt: skip
_LOCKING: Final = (
    "select_for_update", "select_for_update_nowait", "select_for_update_skip_locked", "select_for_update_of",
    "select_for_no_key_update",
)  # fmt: skip
#: What the rest of a Query holds when nothing was asked.
_REST: Final[dict[str, Any]] = {
    name: getattr(Query, name)
    for name in (
        "default_cols", "default_ordering", "standard_ordering", "subquery", "select", "group_by", "order_by",
        "distinct", "distinct_fields", "select_related", "max_depth", "values_select", "annotation_select_mask",
        "combinator", "combinator_all", "combined_queries", "extra_select_mask", "extra_tables", "extra_order_by",
        "deferred_loading", *_LOCKING,
    )
} | {"external_aliases": {}, "extra": {}, "_filtered_relations": {}, "selected": None, "contains_subquery": False,
     "alias_prefix": "T", "subq_aliases": frozenset(["T"])}  # fmt: skip
#: The columns that prefetch_related() adds to a many-to-many query, by extra().
_PREFETCH: Final = "_prefetch_related_val_"


class Description:
    """The structure of a query and the values it asks for, in the order they were met.

    ``settled`` is False where the answer depends on more than was asked: on the current time zone.
    """

    __slots__ = ("queries", "settled", "structure", "tables", "values")

    def __init__(self) -> None:
        self.settled = True
        #: How many queries there are, itself and those inside it.
        self.queries = 1
        #: Every table that the query and those inside it name, as often as they do.
        self.tables: list[str] = []
        self.structure: tuple[Any, ...] = ()
        self.values: list[Any] = []


def describe(query: Query, *further: Any) -> Description:
    """Describe ``query`` (and ``further`` expressions, as ``aggregate`` takes). Raises Opaque or Uncacheable."""
    description = Description()
    walk = _Walk(description.values)
    structure = walk.query(query)
    description.tables = walk.tables
    description.queries = len(walk.queries)
    if further:
        walk.queries.clear()
        structure += tuple(walk.any(each) for each in further)
        if walk.queries:
            raise Uncacheable("an aggregate over a subquery, whose tables are not known beforehand")
    if walk.zoned:
        description.settled = False
        structure += (repr(timezone.get_current_timezone()),)
    description.structure = structure
    return description


def _tables_of(query: Query) -> list[str]:
    used = [join.table_name for alias, join in query.alias_map.items() if query.alias_refcount.get(alias)]
    return used or [query.get_meta().db_table]


def _refuse(name: str, value: Any) -> None:
    if name in _LOCKING:
        raise Uncacheable("select_for_update() reads what is there now")
    if name.startswith("extra") and not (name == "extra" and all(each.startswith(_PREFETCH) for each in value)):
        raise Uncacheable("extra() holds raw SQL")
    if name == "order_by" and "?" in value:
        raise Uncacheable("order_by('?') is random")


class _Walk:
    __slots__ = ("queries", "tables", "values", "zoned")

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        self.zoned = False
        #: Each once, wherever it is met: an annotation may stand in the conditions and the groups, too.
        self.queries: set[int] = set()
        self.tables: list[str] = []

    def query(self, query: Query) -> tuple[Any, ...]:
        if type(query) is not Query:
            raise Opaque(type(query))
        self.queries |= set() if query.combinator else {id(query)}  # (a union has no SELECT of its own)
        self.tables += _tables_of(query)
        parts: list[Any] = [query.get_meta().label, self.where(query.where)]
        if query.low_mark or query.high_mark is not None:
            parts.append("slice")
            self.values += (query.low_mark, query.high_mark)
        if len(query.alias_map) > 1:
            parts += [self.join(query, alias, join) for alias, join in query.alias_map.items()]
        if query.annotations:
            parts += [("annotation", name, self.any(each)) for name, each in query.annotations.items()]
        parts += self.rest(query)
        order: Sequence[Any] = query.order_by
        if query.default_ordering and not order:
            order = query.get_meta().ordering or ()
            parts += [("ordering", self.any(order))] if order else []
        self.zoned = self.zoned or any(follows_zone(query.model, name) for name in order if isinstance(name, str))
        return tuple(parts)

    def rest(self, query: Query) -> Iterator[tuple[str, Any]]:
        """What else was asked: every attribute that is not as it was when the query was new."""
        for name, value in vars(query).items():
            if name in _IGNORED:
                continue
            if name not in _REST:
                raise Opaque(name)
            if value != _REST[name] and (value or not name.startswith("extra")):
                _refuse(name, value)
                yield name, self.any(value)

    def join(self, query: Query, alias: str, join: Any) -> tuple[Any, ...]:
        used = query.alias_refcount.get(alias, 0) > 0
        field = getattr(join, "join_field", None)
        relation: Any = type(getattr(field, "field", field))
        if not joins_as_declared(relation):
            raise Undeclared(relation)
        filtered = getattr(join, "filtered_relation", None)
        return (
            alias, join.table_name, join.parent_alias, join.join_type, used, None if field is None else self.any(field),
            None if filtered is None else self.any(filtered),
        )  # fmt: skip

    def where(self, node: WhereNode) -> tuple[Any, ...]:
        children = []
        for child in node.children:
            if isinstance(child, Lookup):
                children.append(self.lookup(child))
            elif type(child) is WhereNode:
                children.append(self.where(child))
            elif type(child) is NothingNode:
                children.append(("nothing",))
            else:
                children.append(self.any(child))
        return (node.connector, node.negated, *children)

    def lookup(self, lookup: Any) -> tuple[Any, ...]:
        kind = trusted(type(lookup))
        parts: list[Any] = [kind]
        for name, value in vars(lookup).items():
            if name == "rhs":
                parts.append(self.value(value))
            elif name == "lhs" and type(value) is Col:
                parts.append(self.column(value))
            elif name == "bilateral_transforms" and not value:
                continue
            elif not is_derived(type(lookup), name):
                parts.append((name, self.any(value)))
        return tuple(parts)

    def column(self, column: Any) -> tuple[Any, ...]:
        target = column.target
        output = column.output_field
        parts = ("col", column.alias, target.model._meta.label, target.attname)
        return parts if output is target else (*parts, self.any(output))

    def value(self, value: Any) -> Any:
        """A value asked for: its type is structure, itself it goes to the values."""
        literal = literal_of(value)
        if literal is not None:
            self.values.append(literal.value)
            return literal.kind
        if isinstance(value, list | tuple):
            return type(value).__name__, tuple(self.value(item) for item in value)
        if type(value) is dict:
            return "dict", tuple((self.value(name), self.value(each)) for name, each in value.items())
        return self.any(value)

    def any(self, thing: Any) -> Any:
        """The structure of anything else a query may hold."""
        kind = type(thing)
        if kind is str or kind is int or thing is None:
            return thing
        handler = _HANDLERS.get(kind)
        if handler is None:
            handler = next((handle for base, handle in _BASES if isinstance(thing, base)), _Walk.expression)
        return handler(self, thing)

    def expression(self, thing: Any) -> tuple[Any, ...]:
        kind = type(thing)
        if issubclass(kind, Now | Random):
            raise Uncacheable(f"{kind.__name__} is another value each time")
        name = trusted(kind)
        if issubclass(kind, TimezoneMixin) or (issubclass(kind, F) and LOOKUP_SEP in thing.name):
            self.zoned = True
        if kind.__name__ in {"RawSQL", "ExtraWhere"}:
            raise Uncacheable("raw SQL may read anything")
        if not hasattr(thing, "__dict__"):
            raise Opaque(kind)
        parts = [(key, self.any(value)) for key, value in sorted(vars(thing).items()) if not is_derived(kind, key)]
        return (name, *parts)

    def field(self, field: Field[Any, Any]) -> tuple[Any, ...]:
        model = getattr(field, "model", None)
        if model is not None:
            return "field", model._meta.label, field.name, name_of(type(field))
        path, args, keywords = field.deconstruct()[1:]
        return "field", path, self.any(list(args)), self.any(dict(keywords))


def _opaque(_: _Walk, thing: Any) -> Any:
    # A relation may refer to any unique column, so an instance's key does not say what it stands for.
    raise Opaque(type(thing))


def _said(_: _Walk, constant: Any) -> tuple[str, str]:
    return type(constant).__name__, str(constant)


def _list(walk: _Walk, items: Any) -> tuple[Any, ...]:
    return tuple(walk.any(item) for item in items)


def _set(walk: _Walk, items: Any) -> tuple[Any, ...]:
    return tuple(sorted((walk.any(item) for item in items), key=repr))


def _mapping(walk: _Walk, items: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple((walk.any(name), walk.any(value)) for name, value in items.items())


def _q(walk: _Walk, q: Q) -> tuple[Any, ...]:
    children = [(c[0], walk.value(c[1])) if isinstance(c, tuple) else walk.any(c) for c in q.children]
    walk.zoned = True  # only names as yet, and one of them may be `starts__hour`
    return "q", q.connector, q.negated, *children


def _value(walk: _Walk, value: Value) -> tuple[Any, ...]:
    field = vars(value).get("output_field") or getattr(value, "_output_field", None)
    return "value", walk.value(value.value), None if field is None else walk.any(field)


def _relation(walk: _Walk, relation: ForeignObjectRel) -> tuple[Any, ...]:
    return "relation", relation.model._meta.label, relation.name, walk.any(relation.field)


def _queryset(walk: _Walk, queryset: QuerySet[Any]) -> tuple[Any, ...]:
    return "queryset", walk.query(queryset.query)


_HANDLERS: Final[dict[type, Callable[[_Walk, Any], Any]]] = {
    # As dictionary keys True, 1 and 1.0 are one.
    bool: _said, float: _said,
    list: _list, tuple: _list, set: _set, frozenset: _set, dict: _mapping, Col: _Walk.column, Value: _value,
    WhereNode: _Walk.where, Query: _Walk.query, Q: _q,
    datetime.timedelta: _Walk.value, datetime.date: _Walk.value, datetime.datetime: _Walk.value,
    datetime.time: _Walk.value, Decimal: _Walk.value, UUID: _Walk.value, bytes: _Walk.value,
}  # fmt: skip
_BASES: Final[tuple[tuple[type, Callable[[_Walk, Any], Any]], ...]] = (
    (Lookup, _Walk.lookup), (Field, _Walk.field), (ForeignObjectRel, _relation), (QuerySet, _queryset),
    (Model, _opaque), (datetime.tzinfo, lambda _walk, zone: str(zone)), (type, lambda _walk, kind: name_of(kind)),
    (Enum, lambda _walk, member: (name_of(type(member)), member.name)),
)  # fmt: skip
