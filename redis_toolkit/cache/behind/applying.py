"""Numbers become values of rows, by statements of Django's own: so the cache hears of them like of any other write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import connections
from django.db.models import Case, QuerySet, Value, When
from django.db.models.functions import Cast

from redis_toolkit.cache.behind.counters import Counter
from redis_toolkit.cache.changes import MOST_STAMPS
from redis_toolkit.cache.tables import tables

__all__ = ["apply", "rows_at_once"]

#: Most rows of one batch, and so of one transaction.
_MOST: Final = 500


def rows_at_once(counter: Counter) -> int:
    """How many rows a batch may have so that each is told to the cache by itself, and not the whole table."""
    table = tables(counter.database).by_name.get(counter.model._meta.db_table)
    stamps_of_a_row = 1 if table is None else 1 + len(table.bys)
    return max(1, min(_MOST, (MOST_STAMPS - 1) // stamps_of_a_row))


def apply(counter: Counter, numbers: Mapping[Any, int]) -> int:
    """Apply ``numbers``, by primary key, in the open transaction; how many of the rows there are.

    Raises what the database does where a value cannot be.
    """
    rows, field, kind = counter.rows, counter.field, counter.kind
    features = connections[counter.database].features
    # In the order of their keys, as all should who lock more than one. Locked, they hold what we read till we write.
    locked: Any = rows.select_for_update(no_key=features.has_select_for_no_key_update).filter(pk__in=sorted(numbers))
    held = dict(locked.order_by("pk").values_list("pk", field.attname))
    changed = {}
    for key, value in held.items():
        merged = kind.merged(value, numbers[key])
        if merged != value:
            changed[key] = merged
    for piece in _pieces(counter, changed):
        _update(rows, field, piece, is_cast=features.requires_casted_case_in_updates)
    return len(held)


def _pieces(counter: Counter, changed: dict[Any, Any]) -> list[dict[Any, Any]]:
    """As many rows as one statement may have parameters for: SQLite's are few."""
    found = list(changed.items())
    pk: Any = counter.model._meta.pk
    size = max(1, connections[counter.database].ops.bulk_batch_size([pk, pk, counter.field], found))
    return [dict(found[at : at + size]) for at in range(0, len(found), size)]


def _update(rows: QuerySet[Any], field: Any, values: dict[Any, Any], *, is_cast: bool) -> None:
    # As bulk_update() writes it, whose form the cache can read; that one would make an instance of each row.
    whens = [When(pk=key, then=Value(value, output_field=field)) for key, value in values.items()]
    case: Any = Case(*whens, output_field=field)
    rows.filter(pk__in=list(values)).update(**{field.name: Cast(case, output_field=field) if is_cast else case})
