"""Which stamps a query depends on: the generation of every table it reads, and for each the finest that is certain.

Its own table can have a finer stamp where the top level of its WHERE pins the primary key, a unique set or a declared
``by`` to values: no row without these values can change the answer. Everything else depends on ``*``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Sized
from typing import Any, Final

from django.db import connections
from django.db.models.expressions import Col, ColPairs
from django.db.models.fields.related_lookups import RelatedExact, RelatedIn
from django.db.models.fields.tuple_lookups import TupleIn
from django.db.models.lookups import Exact, In, IntegerFieldExact
from django.db.models.sql.query import Query
from django.db.models.sql.where import AND, WhereNode

from redis_toolkit.cache.columns import namer_of
from redis_toolkit.cache.identity import Uncacheable
from redis_toolkit.cache.tables import NEW, By, Table, tables

__all__ = ["Recipe", "names_of", "recipe_of"]

#: A query for more values than this depends on ``*`` instead of one stamp for each.
MOST_VALUES: Final = 64

_NAME: Final = r'(?:["`][^"`]+["`]\.)*["`][^"`]+["`]'
_READ: Final = re.compile(rf"\b(?:FROM|JOIN)\s+({_NAME})", re.IGNORECASE)
#: A FROM that reads no table.
_NO_TABLE: Final = re.compile(r"\bEXTRACT\((?:\w+|'\w+'|%s) FROM |\bDISTINCT FROM ", re.IGNORECASE)
#: One that Django does not write: in a template of the project's own, reading nobody knows what.
_STRANGE: Final = re.compile(rf"\b(?:FROM|JOIN)\s+(?:(?![(\"`])|{_NAME}(?:\s+(?:AS\s+)?\w+)?\s*,)", re.IGNORECASE)
Path = tuple[int, ...]


class Recipe:
    """How to get from a query to its stamps."""

    __slots__ = ("_base", "_is_once", "_others", "_paths", "by", "is_row_for_row", "pinned", "tables")

    def __init__(
        self, base: Table, by: By | None, paths: tuple[Path, ...], others: list[Table], *, is_once: bool
    ) -> None:
        self._base = base
        self._is_once = is_once
        self.by = by
        self._paths = paths
        self._others = others
        self.tables = tuple(dict.fromkeys((base.name, *(table.name for table in others))))
        #: Whether each row of the answer is one of the table's: no group of none, no function that makes many of one.
        self.is_row_for_row = False
        #: Whether the primary key is pinned, so that a row may be missing because its key is not there *yet*.
        self.pinned = by is not None and by is base.pk

    def add_tables(self, names: Sequence[str], alias: str) -> None:
        """Depend on further tables, coarsely; and on the whole of its own if that is read a second time."""
        if names.count(self._base.name) > 1:
            self.coarsen()
        watched = tables(alias).by_name
        for name in names:
            if name not in self.tables:
                self._others.append(_watched(watched.get(name), name))
                self.tables += (name,)

    def coarsen(self) -> None:
        """Depend on the whole of the query's own table."""
        self.by, self.pinned, self._is_once = None, False, False

    def names(self, query: Query) -> list[str] | None:
        """The names of the finest stamps that cover ``query``; None if only ``*`` does."""
        return None if self.by is None else _names(self.by, self._paths, query)

    def stamps(self, names: list[str] | None, alias: str) -> list[str]:
        """The stamps to depend on, given :meth:`names`; ``new`` comes last where the primary key is pinned."""
        found = [stamp for table in self._others for stamp in table.whole(alias)]
        if names is None:
            found += self._base.whole(alias)
        else:
            found += self._base.stamps(alias, ("", *names, NEW) if self.pinned else ("", *names))
        return found

    def pins(self, query: Query, alias: str) -> tuple[str, ...]:
        """The fields that ``query`` pins to values, as ``by`` could name them: for watchers."""
        # How many values there are is the query's, not the shape's.
        return _pins(query, alias) if self._is_once else ()


def recipe_of(query: Query, sql: str, alias: str) -> Recipe:
    """The recipe for ``query``, whose SQL (as compiled for ``alias``) is ``sql``. Raises Uncacheable."""
    watched = tables(alias)
    quote = connections[alias].ops.quote_name
    by_quoted = {quote(name): table for name, table in watched.by_name.items()}
    read: list[Table] = []
    sql = _NO_TABLE.sub("", sql)
    if _STRANGE.search(sql) is not None:
        raise Uncacheable("its SQL names tables in a way of its own")
    for name in _READ.findall(sql):
        if name not in by_quoted:
            raise Uncacheable(f"the table {name} is not watched; name it in REDIS_TOOLKIT_WATCH")
        read.append(by_quoted[name])
    base = watched.by_name.get(query.get_meta().db_table)
    if base is None or base not in read:
        raise Uncacheable(f"the table of {query.get_meta().label} is not watched, or not read")
    is_once = read.count(base) == 1 and not query.combinator
    by, paths = _finest(base, query) if is_once else (None, ())
    others = [table for table in dict.fromkeys(read) if table is not base]
    recipe = Recipe(base, by, paths, others, is_once=is_once)
    recipe.is_row_for_row = not query.annotations and query.group_by is None
    return recipe


def _watched(table: Table | None, name: str) -> Table:
    if table is None:
        raise Uncacheable(f"the table {name} is not watched; name it in REDIS_TOOLKIT_WATCH")
    return table


def _finest(base: Table, query: Query) -> tuple[By | None, tuple[Path, ...]]:
    pinned = dict(_pinned(query.where, _base_alias(query), ()))
    declared = sorted(base.bys, key=lambda by: (not by.unique, -len(by.columns)))
    for by in (base.pk, *declared):
        if by is not None and all(column in pinned for column in by.columns):
            paths = tuple(pinned[column] for column in by.columns)
            if sum(isinstance(_at(query.where, path), In | TupleIn) for path in paths) <= 1:
                return by, paths
    return None, ()


def _pins(query: Query, alias: str) -> tuple[str, ...]:
    """The fields that the top level pins to plain values, those whose values can name a stamp; of lists the first."""
    columns, has_list = set[str](), False
    for column, path in _pinned(query.where, _base_alias(query), ()):
        lookup = _at(query.where, path)
        if isinstance(lookup, In | TupleIn):
            values: Any = lookup.rhs
            # (No declaration helps a query with more values, or the values of a second list.)
            if has_list or not isinstance(values, Sized) or len(values) > MOST_VALUES:
                continue
            has_list = True
        columns.add(column)
    own = query.get_meta().db_table
    fields = [
        field for field in query.get_meta().concrete_fields
        if field.column in columns and field.model._meta.db_table == own
    ]  # fmt: skip
    return tuple(field.name for field in fields if namer_of(field, connections[alias].vendor))


def _pinned(node: WhereNode, alias: str | None, path: Path) -> Iterator[tuple[str, Path]]:
    """Each column of the base table that the top level pins to plain values, and where."""
    if node.connector != AND or node.negated:
        return
    children: list[Any] = list(node.children)
    for at, child in enumerate(children):
        if type(child) is WhereNode:
            yield from _pinned(child, alias, (*path, at))
        elif type(child) in _EQUALITIES and type(child.lhs) is Col and child.lhs.alias == alias:
            if not child.bilateral_transforms and _plain(child.rhs):
                yield str(child.lhs.target.column), (*path, at)
        elif type(child) is TupleIn and _is_one_column(child.lhs, alias) and _plain(child.rhs):
            # What prefetch_related() asks of the far side of a foreign key.
            yield child.lhs.targets[0].column, (*path, at)


def _base_alias(query: Query) -> str | None:
    """What ``query`` calls its own table; None if nothing has asked for a column of it yet."""
    # (``Query.base_table`` remembers what it said: a query that was asked too early could not be compiled any more.)
    return next(iter(query.alias_map), None)


def _is_one_column(columns: Any, alias: str | None) -> bool:
    return type(columns) is ColPairs and len(columns.targets) == 1 and columns.alias == alias


_EQUALITIES: Final = frozenset({Exact, IntegerFieldExact, RelatedExact, In, RelatedIn})


def _plain(value: Any) -> bool:
    return not hasattr(value, "resolve_expression") and not hasattr(value, "as_sql")


def _at(node: Any, path: Path) -> Any:
    for step in path:
        node = node.children[step]
    return node


def _names(by: By, paths: tuple[Path, ...], query: Query) -> list[str] | None:
    """The names of the stamps of ``by`` for what ``query`` asks; None if it asks for too much or oddly."""
    asked: list[Any] = []
    for path in paths:
        lookup = _at(query.where, path)
        if isinstance(lookup, TupleIn):
            asked.append([each[0] for each in lookup.rhs])
        else:
            asked.append(list(lookup.rhs) if isinstance(lookup, In) else lookup.rhs)
    return names_of(by, asked)


def names_of(by: By, asked: Sequence[Any]) -> list[str] | None:
    """The names of the stamps of ``by`` for a value, or a list of values, of each of its columns.

    None for too many of them, and for values that name no stamp.
    """
    rows: list[Sequence[Any]] = [()]
    for values in asked:
        several = values if type(values) is list else (values,)
        if len(several) > MOST_VALUES:
            return None
        rows = [(*row, value) for row in rows for value in several]
    try:
        names = dict.fromkeys(map(by.name, rows))
    except (TypeError, ValueError):
        return None
    names.pop(None, None)
    return list(names)  # type: ignore[arg-type]
