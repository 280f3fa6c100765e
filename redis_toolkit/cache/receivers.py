"""What the cache listens to."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import ModelSignal

from redis_toolkit.cache import looks, outages, outbox, trust
from redis_toolkit.cache.tables import tables
from redis_toolkit.cache.watch import Watch, watch_of
from redis_toolkit.conf import settings

__all__ = ["before_migrate", "connect_post_save", "on_breaker", "on_connection", "on_migrate", "on_request_exception"]


def on_connection(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """A connection was opened: watch it, unless it is one of Django's own for making and dropping databases."""
    if connection.alias in connections.settings:
        watch_of(connection)


def connect_post_save(post_save: ModelSignal) -> None:
    """Hear of saves on SQLite, where an INSERT with RETURNING is committed only after our wrapper has returned."""
    for connection in connections.all():
        if connection.vendor == "sqlite":
            for model in apps.get_models(include_auto_created=True):
                if model._meta.db_table in tables(connection.alias).by_name:
                    post_save.connect(_saved, sender=model, dispatch_uid="redis_toolkit.saved")


def on_breaker(*, alias: str, state: str, before: str, **_: Any) -> None:
    """Redis is away, or back."""
    if alias != settings.ALIAS:
        return
    if before == "closed":
        trust.lost()
    elif state == "closed":
        outages.forget()
        trust.regained()


def before_migrate(**_: Any) -> None:
    """Columns that the models declare may not be there yet."""
    Watch.migrating = True


def on_migrate(**_: Any) -> None:
    """Tables may have come or gone."""
    Watch.migrating = False
    outbox.forget()
    looks.forget()


def on_request_exception(**_: Any) -> None:
    """A view failed, so its transaction was rolled back: take the marks off before its connection is closed."""
    for connection in connections.all(initialized_only=True):
        watch_of(connection).settle(connection)


def _saved(*, using: str, **_: Any) -> None:
    connection = connections[using]
    watch_of(connection).settle(connection)
