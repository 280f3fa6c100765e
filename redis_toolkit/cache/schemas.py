"""Which tables may lack columns that their models have: a migration has changed them, and may not be the last.

``migrate`` says when it begins and ends; whoever runs Django's ``MigrationExecutor`` by itself (a test of a migration,
say) does not. There a model as it was writes to a table as it was, and to read a column that is yet to come would end
its transaction with an error.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache.changes import Change
from redis_toolkit.cache.statements import Coarse, Write
from redis_toolkit.cache.tables import Table, tables

__all__ = ["Schemas"]

_CHANGING: Final = re.compile(r"\b(?:alter|create|drop|rename)\b", re.IGNORECASE)
#: Where Django writes down which migrations have run.
_RECORD: Final = "django_migrations"


class Schemas:
    """What one connection has seen of changes to tables."""

    def __init__(self) -> None:
        self._doubtful: set[str] = set()

    def hear(self, text: str, write: Write | None, change: Change | None, alias: str) -> None:
        """Notice a statement that changes what columns a table has, or that records a migration."""
        if isinstance(write, Coarse):
            if change is not None and _CHANGING.search(text) is not None:
                self._doubtful |= change.names.keys()
        elif write is not None and write.table == _RECORD:
            self._doubtful |= tables(alias).by_name.keys()

    def lacks(self, table: Table, connection: BaseDatabaseWrapper) -> bool:
        """Whether ``table`` now lacks one of the columns whose values a writer must read. Asked once if it does not."""
        if table.name not in self._doubtful:
            return False
        connection.validate_no_broken_transaction()
        # A cursor of the backend: whoever counts queries is not to count this one.
        with connection.wrap_database_errors, closing(connection.create_cursor()) as cursor:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table.name)} WHERE 1 = 0")  # noqa: S608 - the model's own name
            found = {column[0] for column in cursor.description}
        if found.issuperset(table.read):
            self._doubtful.discard(table.name)
            return False
        return True
