"""The columns that a query selects, written down so that another process can read the same rows alike.

What cannot be made again with certainty (a converter of the project's own on an expression, a field that no model has)
is not written down at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Aggregate, Field
from django.db.models.expressions import BaseExpression, Col, ColPairs, Expression
from django.db.models.sql.query import Query
from django.utils.module_loading import import_string

from redis_toolkit.core.codecs import Column, column_for

__all__ = ["Unwritable", "read", "write"]


class Unwritable(Exception):
    """What is selected cannot be written down."""


#: Sums of these come out otherwise if the rows are added in another order.
_INEXACT: Final = frozenset({"FloatField", "DecimalField", "DurationField"})
#: What a field of no model may have been given, beyond what a value is read by.
_PLAIN: Final = (str, int, bool, type(None))


def write(expressions: Sequence[Any], vendor: str) -> list[Any]:
    """What :func:`read` needs to make the columns of ``expressions`` again. Raises Unwritable."""
    return [_write(expression, vendor) for expression in expressions]


def read(written: Sequence[Any], connection: BaseDatabaseWrapper) -> list[Column]:
    """The columns. Raises LookupError for a model or a field that is no more."""
    columns = []
    for kind, name, *fields in written:
        column = column_for(_READERS[kind](*map(_field_from, fields)), connection)
        columns.append(replace(column, name=name) if kind == "expression" else column)
    return columns


class _StandIn(Expression):
    """An expression that reads values as any other of its output field does."""

    def __init__(self, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)


_READERS: Final[dict[str, Any]] = {
    "column": lambda target, output=None: Col(target.model._meta.db_table, target, output),
    "column as usual": lambda field: field.get_col(field.model._meta.db_table),
    "columns": lambda field: field.get_col(field.model._meta.db_table),
    "expression": _StandIn,
}


def _write(expression: Any, vendor: str) -> list[Any]:
    if type(expression) is Col:
        return _write_column(expression.target, expression.output_field)
    if type(expression) is ColPairs:
        if list(expression.targets) != list(getattr(expression.output_field, "fields", ())):
            # A relation by several columns, which is no composite key.
            raise Unwritable(expression)
        return ["columns", "", _written_field(expression.output_field, of_a_model=True)]
    _refuse(expression, vendor)
    return ["expression", type(expression).__name__, _written_field(expression.output_field)]


def _write_column(target: Any, output: Any) -> list[Any]:
    written = _written_field(target, of_a_model=True)
    if output is target:
        return ["column", "", written]
    if output is target.get_col(target.model._meta.db_table).output_field:
        # A foreign key read as what it refers to; a generated column, whose own output field belongs to no model.
        return ["column as usual", "", written]
    return ["column", "", written, _written_field(output, of_a_model=True)]


def _refuse(expression: Any, vendor: str) -> None:
    """Refuse what reads its values in a way of its own, and what need not come out the same twice."""
    kind = type(expression)
    if not expression or not isinstance(expression, BaseExpression) or not kind.__module__.startswith("django."):
        raise Unwritable(kind)
    for name in ("convert_value", "get_db_converters"):
        if getattr(kind, name) is not getattr(BaseExpression, name):
            raise Unwritable(kind)
    field = expression.output_field
    # These are given the expression, and some look at what it is.
    if hasattr(field, "from_db_value") or type(field).get_db_converters is not Field.get_db_converters:
        raise Unwritable(kind)
    stored = field.get_internal_type()
    is_exact = stored not in _INEXACT or (stored, vendor) == ("DecimalField", "postgresql")
    if not is_exact and any(map(_sums, _parts(expression))):
        raise Unwritable(kind)


def _parts(expression: Any) -> Iterator[Any]:
    found: Iterator[Any] = expression.flatten()
    return found


def _sums(part: Any) -> bool:
    """Whether the value may be added up from those of many rows: in a subquery it may."""
    # From Django 6.1 on a subquery stands in a query as its Query.
    return (
        isinstance(part, Query)
        or hasattr(part, "query")
        or (isinstance(part, Aggregate) and part.name not in {"Count", "Max", "Min"})
    )


def _written_field(field: Any, *, of_a_model: bool = False) -> list[Any]:
    model = getattr(field, "model", None)
    if model is not None:
        if model._meta.get_field(field.name) is not field:
            raise Unwritable(field)
        return [model._meta.label_lower, field.name]
    if of_a_model or not type(field).__module__.startswith("django."):
        raise Unwritable(field)
    path, args, keywords = field.deconstruct()[1:]
    if args or not all(type(value) in _PLAIN for value in keywords.values()):
        raise Unwritable(field)
    return [path, keywords]


def _field_from(written: Sequence[Any]) -> Any:
    where, name = written
    if isinstance(name, dict):
        return import_string(where)(**name)
    try:
        return apps.get_model(where)._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise LookupError(name) from error
