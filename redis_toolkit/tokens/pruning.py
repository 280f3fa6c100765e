"""Rows of tokens that have ended: nobody gets in by them, and they stay until somebody deletes them."""

from __future__ import annotations

from typing import Final

from redis_toolkit.tokens import rows
from redis_toolkit.tokens.entries import is_in_redis_alone
from redis_toolkit.tokens.moments import this

__all__ = ["prune"]

#: Rows of one statement: none holds its locks for long.
_BATCH: Final = 1000


def prune(batch: int = _BATCH) -> int:
    """Delete the rows of tokens that have ended, ``batch`` at a time; how many. 0 where Redis alone has tokens.

    A row that has ended is never renewed, and no copy in Redis outlives it: nothing has to be told to anybody.
    """
    if is_in_redis_alone():
        return 0
    ended, many = rows.ended_by(this()), 0
    while found := list(ended.order_by("pk").values_list("pk", flat=True)[:batch]):
        many += rows.delete(ended.filter(pk__in=found))
    return many
