"""Whether a connection is inside a transaction, as far as can be told."""

from __future__ import annotations

from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache import rehearsals

__all__ = ["is_open", "is_over"]

_PSYCOPG_IDLE: Final = 0


def is_open(connection: BaseDatabaseWrapper) -> bool:
    """Whether ``connection`` is inside a transaction: Django's, or one begun by hand, even by a raw ``BEGIN``."""
    if connection.connection is None or rehearsals.is_bare(connection):
        return False
    return connection.in_atomic_block or not connection.autocommit or _driver_is_busy(connection) is True


def is_over(connection: BaseDatabaseWrapper) -> bool:
    """Whether no transaction is under way on the live ``connection``; False where that cannot be told."""
    if connection.in_atomic_block:
        return rehearsals.is_bare(connection)
    busy = _driver_is_busy(connection)
    return connection.autocommit if busy is None else not busy


def _driver_is_busy(connection: BaseDatabaseWrapper) -> bool | None:
    """Whether the driver knows of a transaction under way; None if it cannot say."""
    raw: Any = connection.connection
    if connection.vendor == "postgresql" and hasattr(raw, "info"):
        return bool(raw.info.transaction_status != _PSYCOPG_IDLE)
    return bool(raw.in_transaction) if connection.vendor == "sqlite" else None
