"""What the database itself changes when rows are deleted: foreign keys with ``DB_CASCADE`` and its like."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import deletion

__all__ = ["tables_below"]


def tables_below() -> dict[str, set[str]]:
    """For each table, those that a deletion in it may reach without a statement that anybody sees, down the chain."""
    by_database: Any = getattr(deletion, "DatabaseOnDelete", None)
    below: dict[str, set[str]] = {}
    if by_database is None:
        return below
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.local_concrete_fields:
            on_delete = getattr(field.remote_field, "on_delete", None)
            if isinstance(on_delete, by_database) and isinstance(field.related_model, type):
                below.setdefault(field.related_model._meta.db_table, set()).add(model._meta.db_table)
    while any(_grow(reached, below) for reached in below.values()):
        pass
    return below


def _grow(reached: set[str], below: dict[str, set[str]]) -> bool:
    """Add what lies one step further down; whether there was anything."""
    further = set().union(*(below.get(name, set()) for name in reached)) - reached
    reached |= further
    return bool(further)
