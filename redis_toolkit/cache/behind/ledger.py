"""The ledger: which batch the database has. Its row is changed in the transaction that applies a batch.

1. a flusher applies a batch, COMMIT  2. it is killed before it drops the batch in Redis  3. the next one finds the
batch there, and its id in the ledger: it only drops it. (Killed before the COMMIT, the id is not there, and the rows
are not changed.)
"""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.db import connections
from django.db.models import QuerySet

from redis_toolkit.core.clock import now

__all__ = ["TABLE", "BusyError", "is_there", "lock", "rows_in", "write"]

TABLE: Final = "redis_toolkit_ledger"


class BusyError(Exception):
    """Another flusher has the lock."""


def rows_in(alias: str) -> QuerySet[Any]:
    """The ledger of a database."""
    return QuerySet(model=apps.get_model("redis_toolkit", "Ledger"), using=alias)


def is_there(alias: str) -> bool:
    """Whether the database has a ledger. Raises errors of the database."""
    with connections[alias].cursor() as cursor:
        tables = connections[alias].introspection.get_table_list(cursor)
    return any(table.name == TABLE for table in tables)


def lock(alias: str, counter: str, *, wait: bool) -> str:
    """Lock the row of a counter till the open transaction ends; the id of its last batch, "" before the first.

    Raises BusyError where another has it, unless we ``wait``. (SQLite locks the whole database, and always waits.)
    """
    # 1. A takes a batch  2. B finds it taken, applies it, drops it, and applies the next  3. A applies the first again:
    # the ledger's last id is another's. So a batch is taken, and looked up here, under the lock, which ends with the
    # connection: who holds it holds it until its COMMIT, or cannot commit.
    skips = connections[alias].features.has_select_for_update_skip_locked and not wait
    rows: Any = rows_in(alias).select_for_update(skip_locked=skips).filter(pk=counter).values_list("batch", flat=True)
    found = list(rows)
    if not found:
        ours = rows_in(alias)
        ours.bulk_create([ours.model(counter=counter)], ignore_conflicts=True)
        found = list(rows.all())
    if not found:
        raise BusyError
    return str(found[0])


def write(alias: str, counter: str, batch: str) -> None:
    """Say in the open transaction that it applies this batch. The row must be locked."""
    rows_in(alias).filter(pk=counter).update(batch=batch, applied=now())
