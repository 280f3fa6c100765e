"""``invalidate``: for what the toolkit cannot see (other programs, triggers, COPY, raw driver cursors)."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import connections, router
from django.db.models import Field, Model

from redis_toolkit.cache.tables import ANY, NEW, Table, tables, tables_with_key_of
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.exceptions import Misconfigured

__all__ = ["invalidate", "invalidate_all"]


def invalidate(target: type[Model] | Model, /, *, using: str | None = None, **by: Any) -> bool:
    """Make every cached answer about ``target`` a miss, at once; inside a transaction until, and again at, its end.

    - ``invalidate(Lesson)``: everything that reads the table.
    - ``invalidate(lesson)`` or ``invalidate(Lesson, pk=7)``: what depends on this row, on the values it has in the
      database now, and on those of the instance.
    - ``invalidate(Lesson, group=5)``: what depends on a declared ``by``.

    ``using``: database alias, by default the one that writes of the model go to. Raises Misconfigured for a model that
    is not watched and for values that are not declared; both would otherwise do nothing, silently.

    Returns whether Redis was told. Otherwise it is away, and whoever drains the outbox tells it (on a database without
    the outbox this process does, as soon as it can).
    """
    model = target if isinstance(target, type) else type(target)
    if not issubclass(model, Model):
        raise Misconfigured(f"invalidate() takes a model or an instance of one, not {target!r}.")
    alias = using or router.db_for_write(model, **({} if isinstance(target, type) else {"instance": target}))
    names: dict[str, set[str]] = {}
    for each in (model, *model._meta.all_parents):
        table = tables(alias).by_name.get(each._meta.db_table)
        if table is None:
            raise Misconfigured(
                f"{each._meta.label} is not watched, so nothing is cached that depends on it. Give it a CacheManager or"
                " name it in REDIS_TOOLKIT_WATCH."
            )
        names[table.name] = _names(each, table, target, alias, by)
    return watch_of(connections[alias]).touch(connections[alias], names)


def invalidate_all(alias: str) -> bool:
    """Make every cached answer about database ``alias`` a miss. Costs two round trips. Returns whether Redis was told.

    A generation stands for its whole table, so nothing is searched for, however much is cached.
    """
    names = {name: {""} for name in tables(alias).by_name}
    return watch_of(connections[alias]).touch(connections[alias], names)


def _names(model: type[Model], table: Table, target: type[Model] | Model, alias: str, by: dict[str, Any]) -> set[str]:
    if isinstance(target, Model):
        return _row(
            model, table, [field.value_from_object(target) for field in model._meta.pk_fields], alias
        ) | _of_instance(table, target)
    if not by:
        return {""}
    if set(by) == {"pk"} and model is not target and table.name not in tables_with_key_of(target):
        # A parent with a key of its own: the child's says nothing of its row.
        return {""}
    if set(by) == {"pk"}:
        key = by["pk"]
        return _row(model, table, list(key) if isinstance(key, tuple) else [key], alias)
    owners = {_field(target, name).model._meta.db_table for name in by}
    if len(owners) == 1 and table.name not in owners:
        # The value is another table's, a parent's or a child's: it says nothing of which rows of this one changed.
        return {""}
    return _declared(table, by) | {ANY}


def _row(model: type[Model], table: Table, key: list[Any], alias: str) -> set[str]:
    """The stamps of a row: its key, and the declared values it has in the database now."""
    if table.pk is None:
        return {""}
    prepared = [field.to_python(value) for field, value in zip(table.pk.fields, key, strict=True)]
    names = {ANY, NEW, table.pk.name(prepared)}
    asked = {field.attname: value for field, value in zip(table.pk.fields, prepared, strict=True)}
    for by in table.bys:
        values = model._base_manager.using(alias).filter(**asked).values_list(*(field.attname for field in by.fields))
        names |= {by.name(row) for row in values.iterator()}
    return {name for name in names if name is not None}


def _of_instance(table: Table, instance: Model) -> set[str]:
    names = set()
    for by in table.bys:
        values = [instance.__dict__.get(field.attname) for field in by.fields]
        try:
            names.add(by.name([None if v is None else f.to_python(v) for f, v in zip(by.fields, values, strict=True)]))
        except (TypeError, ValueError):
            return {""}
    return {name for name in names if name is not None}


def _declared(table: Table, asked: dict[str, Any]) -> set[str]:
    values: dict[str, Any] = {}
    for name, value in asked.items():
        field = _field(table.model, name)
        if isinstance(field, Field):
            values[str(field.column)] = value.pk if isinstance(value, Model) else field.get_prep_value(value)
    for by in table.bys:
        if set(by.columns) == set(values):
            name_of = by.name_in(values)
            return set() if name_of is None else {name_of}
    raise Misconfigured(
        f"{table.model._meta.label} is not cached by {', '.join(asked)}. Declare it in the CacheManager's `by`, or call"
        " invalidate() with the model alone."
    )


def _field(model: type[Model], name: str) -> Any:
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise Misconfigured(f"{model._meta.label} has no field {name!r} to invalidate by.") from error
