"""Plans: what each *shape* of query depends on and how its rows travel, worked out once per process.

The first query of a shape is compiled to see which tables its SQL reads; later ones, hits above all, are not. A plan
holds the tables, the recipe for the stamps (from the values a query asks for), and for rows their codec and builder.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final, cast

from django.core.exceptions import EmptyResultSet, FieldError
from django.db import DatabaseError, connections
from django.db.models.sql.query import Query

from redis_toolkit.cache import volatility
from redis_toolkit.cache.classes import Undeclared
from redis_toolkit.cache.databases import logical_name
from redis_toolkit.cache.dependencies import Recipe, recipe_of
from redis_toolkit.cache.identity import Description, Opaque, Uncacheable, describe
from redis_toolkit.cache.instances import Builder
from redis_toolkit.core import keys
from redis_toolkit.core.codecs import RowsCodec, column_for, encode_value
from redis_toolkit.exceptions import CodecError

__all__ = ["Plan", "Shape", "plan_for"]

_MOST_PLANS: Final = 4096
_log = logging.getLogger("redis_toolkit.cache")

_EMPTY: Final = "the answer is empty without asking the database"
_SELECT: Final = re.compile(r"\bSELECT\b")
_QUOTED: Final = re.compile(r"\"[^\"]*\"|`[^`]*`|'[^']*'")
_MANY: Final = re.compile(r"%s(?:, %s)+")
_LIMIT: Final = re.compile(r"\b(LIMIT|OFFSET) -?\d+")


class Shape:
    """How the rows of a query travel and become what Django would give."""

    __slots__ = ("builder", "codec")

    def __init__(self, compiler: Any, alias: str) -> None:
        connection = connections[alias]
        self.codec = RowsCodec([column_for(expression, connection) for expression, _, _ in compiler.select])
        # values() may select what is no field of the model, and builds no instances.
        self.builder = Builder(compiler) if compiler.klass_info and compiler.query.default_cols else None


class Plan:
    """What all queries of one shape have in common. ``reason`` says why their answers are not cached, if so.

    ``settled`` is False where the same calls, made again, may ask something else: in another time zone, or because only
    the SQL tells what was asked. ``lasts`` is False where the values of one query made it, or a part of it, empty: then
    its SQL does not show what others of the shape read.
    """

    __slots__ = ("digest", "lasts", "reason", "recipe", "settled", "shape")

    def __init__(self, digest: bytes, recipe: Recipe | None, shape: Shape | None, reason: str | None) -> None:
        self.settled = True
        self.digest = digest
        self.recipe = recipe
        self.shape = shape
        self.reason = reason
        self.lasts = reason is not _EMPTY

    @property
    def is_empty(self) -> bool:
        """Whether the answer is empty for these values, and no database need be asked for it."""
        return self.reason is _EMPTY

    def key(self, alias: str, values: list[Any]) -> str:
        """The key of the entry for ``values``. Raises CodecError for a value that cannot be written down."""
        return keys.make("q", logical_name(alias), keys.digest(self.digest + encode_value(values)))


_plans: dict[Any, Plan] = {}


def plan_for(kind: str, query: Query, alias: str, *further: Any) -> tuple[Plan, list[Any]]:
    """The plan of ``query`` for answers of ``kind`` on database ``alias``, and the values it asks for.

    ``further`` are expressions that come on top, and their names (as ``aggregate`` takes them).
    """
    try:
        description = describe(query, *further)
    except Uncacheable as refusal:
        return Plan(b"", None, None, str(refusal)), []
    except Opaque:
        return _plan_by_sql(kind, query, alias, further)
    structure = (kind, alias, description.structure)
    plan = _plans.get(structure)
    if plan is None:
        plan = _keep(structure, _make(kind, query, alias, description, further))
    return plan, description.values


def _plan_by_sql(kind: str, query: Query, alias: str, further: tuple[Any, ...]) -> tuple[Plan, list[Any]]:
    """For a query that only its SQL identifies."""
    if further:
        return Plan(b"", None, None, "an aggregate of a class that only its author knows"), []
    try:
        sql, params = _copy_of(query).get_compiler(using=alias).as_sql()
    except EmptyResultSet:
        return Plan(b"", None, None, _EMPTY), []
    description = Description()
    # Queries of one SQL may still give instances of another class, a proxy's, or none.
    description.structure = ("sql", sql, query.get_meta().label, query.default_cols, bool(query.select_related))
    description.values = [_spoken(param) for param in params]
    description.settled = False
    structure = (kind, alias, description.structure)
    plan = _plans.get(structure)
    if plan is None:
        plan = _make(kind, query, alias, description, ())
        if plan.recipe is not None:
            # One SQL may come from trees that differ in what compiles to nothing, so where values stand is not known.
            plan.recipe.coarsen()
        if plan.shape is not None and not plan.shape.codec.is_plain:
            # One SQL may be read by two output fields, which only the project's code can tell apart.
            plan = Plan(b"", None, None, "only its SQL identifies it, and a field of the project's own reads it")
        plan = _keep(structure, plan)
    return plan, description.values


def _spoken(param: Any) -> Any:
    """A parameter without the class by which a driver is told its type, which the name of that class then tells."""
    kind = type(param)
    for plain in (int, float, str, bytes):
        if isinstance(param, plain) and kind not in {plain, bool}:
            return [kind.__qualname__, cast("Any", plain)(param)]
    return param


def _keep(structure: Any, plan: Plan) -> Plan:
    if not plan.lasts:
        # What is empty for these values (a number the column cannot hold) may be full for others.
        return plan
    if len(_plans) >= _MOST_PLANS:
        # Shapes come from code, so this many mean that something makes them up; starting over bounds the memory.
        _plans.clear()
    return _plans.setdefault(structure, plan)


def _make(kind: str, query: Query, alias: str, description: Description, further: tuple[Any, ...]) -> Plan:
    copy = _copy_of(query)
    compiler = copy.get_compiler(using=alias)
    try:
        sql, _ = compiler.as_sql()
        _refuse_additions(query, copy)
        if description.tables:
            # It was described, and not only spelled out as SQL.
            _refuse_hidden_joins(copy)
        for expression in further:
            if not isinstance(expression, str):
                # As Query.get_aggregation() does; its joins show which further tables are read.
                resolved = expression.resolve_expression(copy, allow_joins=True, reuse=None, summarize=True)
                sql = f"{sql} {compiler.compile(resolved)[0]}"
        recipe = recipe_of(copy, sql, alias)
        if further:
            used = [each.table_name for name, each in copy.alias_map.items() if copy.alias_refcount[name]]
            recipe.add_tables(used, alias)
        # Values may make Django leave a subquery out of the SQL; with others of the same shape it is there.
        recipe.add_tables(description.tables, alias)
        _refuse_volatile(sql, alias)
        shape = Shape(compiler, alias) if kind == "rows" else None
    except EmptyResultSet:
        return Plan(b"", None, None, _EMPTY)
    except (DatabaseError, FieldError, TypeError, ValueError) as trouble:
        # Django compiles less of it, or knows better what to say.
        return Plan(b"", None, None, f"it could not be compiled by itself: {trouble}")
    except (Uncacheable, CodecError) as refusal:
        _log.info("Answers of %s are not cached: %s", query.get_meta().label, refusal)
        return Plan(b"", None, None, str(refusal))
    # The SQL is part of the digest (its lists and limits evened out), so that code which compiles the same question
    # to something else, after a deploy or an upgrade, does not meet the old answers.
    evened = _LIMIT.sub(r"\1", _MANY.sub("%s", sql))
    text = repr((kind, alias, description.structure, evened))
    plan = Plan(keys.digest(text.encode("utf-8", "surrogatepass")).encode(), recipe, shape, None)
    plan.settled = description.settled
    plan.lasts = _is_whole(sql, description.queries)
    return plan


def _copy_of(query: Query) -> Query:
    """A copy to compile: that changes a query."""
    copy = query.clone()
    if copy.selected is not None:
        # clone() shares it, and an ordered combination of queries adds to it.
        copy.selected = dict(copy.selected)
    return copy


def _refuse_additions(asked: Query, compiled: Query) -> None:
    if len(compiled.select) > len(asked.select):
        raise Uncacheable("it is ordered by a column that it does not give, which Django adds to its rows")


def _refuse_hidden_joins(compiled: Query) -> None:
    """Refuse what a project's own relation joins for ordering and select_related(), which is seen only now."""
    try:
        describe(compiled)
    except Undeclared as relation:
        raise Uncacheable("it joins by code of the project's own, which may look at more than was asked") from relation
    except (Opaque, Uncacheable):
        # Compiling may leave things in a query that nobody asks for.
        return


def _refuse_volatile(sql: str, alias: str) -> None:
    reason = volatility.reason(sql, connections[alias].vendor)
    if reason is not None:
        raise Uncacheable(reason)


def _is_whole(sql: str, queries: int) -> bool:
    """Whether every query that was asked for stands in ``sql``: values may make Django leave one out."""
    return len(_SELECT.findall(_QUOTED.sub("?", sql))) >= queries


def forget() -> None:
    """Work out every plan anew (only tests change models or settings under a running process)."""
    _plans.clear()
