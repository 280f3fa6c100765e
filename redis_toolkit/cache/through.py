"""Write-through: after a commit the rows that were written are read again and stored, so that the next reader hits.

They are read from the database and never taken from an instance, which holds what somebody meant to write. And they are
stored by the rules of any read, after the marks are off. The race of two writers whose readings cross:

1. A commits, unmarks, takes the row's stamps and reads its version  2. B marks, which ends those stamps, commits,
unmarks, reads and stores its own version  3. A stores the older one over it, under stamps that are gone: a miss for the
next reader, never an answer. With B between A's commit and A's stamps, A reads B's version.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from django.apps import apps
from django.db import connections
from django.db.models import Model
from django.db.models.signals import ModelSignal

from redis_toolkit.cache.bulk import fill
from redis_toolkit.cache.gate import is_full
from redis_toolkit.cache.reading import Source
from redis_toolkit.cache.rows import rows_of
from redis_toolkit.cache.transactions import Transaction
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.conf import settings
from redis_toolkit.signals import cache_failed

__all__ = ["connect", "created", "store"]

_log = logging.getLogger("redis_toolkit.cache")
#: A transaction that wrote more rows than this leaves them to readers.
_MOST_ROWS: Final = 100


#: The models that are written through, by table.
_models: Final[dict[str, type[Model]]] = {}


def connect(post_save: ModelSignal) -> None:
    """Begin to write through, and hear of rows whose key the database makes."""
    for model in apps.get_models():
        if _manager_of(model) is not None and not model._meta.proxy:
            _models[model._meta.db_table] = model
            post_save.connect(_saved, sender=model, dispatch_uid="redis_toolkit.through")
    Transaction.then = _then if _models else None


def created(model: type[Model], alias: str, keys: Iterable[Any]) -> None:
    """Rows were inserted: they are stored once they are committed, or now if they are."""
    table = model._meta.db_table
    if table not in _models:
        return
    connection = connections[alias]
    watch = watch_of(connection)
    watch.settle(connection)
    if watch._open is None:
        store(alias, {table: set(keys)})
    else:
        watch._open.rows.setdefault(table, set()).update(keys)


def store(alias: str, rows: Mapping[str, AbstractSet[Any]]) -> None:
    """Read these rows (their keys, by table) again, and store those of models that are written through. Never raises.

    With ``REPLICA_LAG`` marks linger after a commit, and nothing can be stored under them.
    """
    wanted = {_models[name]: keys for name, keys in rows.items() if name in _models}
    if settings.REPLICA_LAG or not 0 < sum(map(len, wanted.values())) <= _MOST_ROWS or is_full():
        # (Who has committed does not queue for the sake of readers to come.)
        return
    try:
        for model, keys in wanted.items():
            # A statement has them as the driver wants them.
            found = {model._meta.pk.to_python(key) for key in keys}
            fill(rows_of(model, alias), found, Source(alias, alias), _manager_of(model).terms)
    except Exception as error:  # noqa: BLE001 - the write is committed: nothing that comes after it may hurt its caller
        _log.warning("Rows that were written could not be written through: %s", str(error))
        cache_failed.send_robust(sender=None, during="store", error=error)


def _manager_of(model: type[Model]) -> Any:
    return next((each for each in model._meta.managers if getattr(each, "write_through", False)), None)


def _then(ended: Transaction) -> None:
    store(ended.alias, ended.rows)


def _saved(*, instance: Model, using: str, **about: Any) -> None:
    if about["created"]:
        created(type(instance), using, [instance.pk])
