"""The lock under which a fine write reads what its rows hold, before it changes them.

1. we read group 5  2. another writer moves the row to 6, and commits  3. we overwrite it: lists of group 6 are never
told. Under the lock of the row step 2 waits for our commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache.changes import Change
from redis_toolkit.cache.status import is_open

__all__ = ["can_lock", "read_locked"]


def can_lock(connection: BaseDatabaseWrapper, text: str) -> bool:
    """Whether rows can be locked so that what is read of them is still true when the statement ``text`` runs."""
    if connections[connection.alias] is not connection:
        return False
    if connection.vendor != "sqlite":
        return bool(connection.features.has_select_for_update)
    # SQLite locks the database when a transaction begins, if it is told to; then what we read stays true. Under
    # RETURNING a transaction of our own could not be committed: the cursor is still open.
    if getattr(connection, "transaction_mode", None) not in {"IMMEDIATE", "EXCLUSIVE"}:
        return False
    return connection.in_atomic_block and connection.commit_on_exit if is_open(connection) else "RETURNING" not in text


def read_locked(change: Change, connection: BaseDatabaseWrapper) -> Sequence[Sequence[Any]]:
    """Lock the rows of ``change`` in the open transaction, and give their columns as in ``Table.read``."""
    table = change.table
    if table is None or table.pk is None:
        return []
    quote = connection.ops.quote_name
    columns = ", ".join(quote(column) for column in table.read)
    marks = ", ".join(["%s"] * len(change.keys))
    sql = f"SELECT {columns} FROM {quote(table.name)} WHERE {quote(table.pk.columns[0])} IN ({marks})"  # noqa: S608 - names are the model's, quoted
    if connection.features.has_select_for_update:
        # As strong as the statement's own lock: a weaker one, made stronger later, would be a way to deadlocks.
        no_key = connection.features.has_select_for_no_key_update and not change.removes
        sql += " " + connection.ops.for_update_sql(no_key=no_key)
    with connection.cursor() as cursor:
        cursor.execute(sql, change.keys)
        rows: Sequence[Sequence[Any]] = cursor.fetchall()
    return rows
