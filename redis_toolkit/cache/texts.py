"""Statements as text."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["text_of"]


def text_of(sql: Any, connection: BaseDatabaseWrapper) -> str:
    """The text of a statement that is no string (psycopg's ``sql.SQL``, bytes)."""
    if isinstance(sql, bytes):
        return sql.decode("utf-8", "replace")
    compose = getattr(sql, "as_string", None)
    return str(compose(connection.connection)) if compose is not None else str(sql)
