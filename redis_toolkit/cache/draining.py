"""Draining outboxes: by hand (``manage.py redis_drain``) or on a schedule (the Celery task, cron).

A process that serves hits looks at the outbox by itself. This is for the rest: sites whose readers are all asleep, and
tables that grew long during an outage. It reads in pieces, so it needs no more memory for a million rows than for few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Max

from redis_toolkit.cache import outbox
from redis_toolkit.cache.databases import each_once, primary_of
from redis_toolkit.cache.stamps import unmark_all
from redis_toolkit.cache.status import is_over
from redis_toolkit.core.connections import Link, link

__all__ = ["Drained", "drain", "drain_all"]

#: Rows read at a time. A row names up to a thousand stamps.
PIECE: Final = 200


class Drained(NamedTuple):
    """What became of the outbox of database ``alias``.

    ``rows`` were dropped in Redis and are gone. ``kept`` were dropped, too, and stay: their write may still be under
    way, or ``reason`` stood against deleting them. ``failed``: somebody has to do something about the reason.
    """

    alias: str
    rows: int = 0
    kept: int = 0
    reason: str = ""
    failed: bool = False


def drain_all(aliases: Iterable[str] | None = None) -> Iterator[Drained]:
    """Drain the outboxes of these databases, or of all, each once. Raises StoreUnavailable; the rows stay then."""
    target = link()
    for alias in each_once(aliases):
        yield drain(alias, target)


def drain(alias: str, target: Link) -> Drained:
    """Drop in Redis what is in the outbox of database ``alias`` now, and delete it. Raises StoreUnavailable."""
    connection = connections[alias]
    try:
        connection.ensure_connection()
        # Asked first: without autocommit every query begins a transaction.
        is_free = is_over(connection)
        if not outbox.is_there(connection):
            return Drained(alias, reason=f"it has no outbox (manage.py migrate redis_toolkit --database={alias})")
        return _drain(connection, target, is_free=is_free)
    except Error as error:
        return Drained(alias, reason=f"the database did not answer: {_line(error)}", failed=True)


def _drain(connection: BaseDatabaseWrapper, target: Link, *, is_free: bool) -> Drained:
    # In a transaction of the caller's the rows may be its own, whose write is not committed yet.
    reason, failed = ("", False) if is_free else ("a transaction is open", True)
    # What comes while we are at work is for the next drain, or this one might never end.
    last = outbox.rows_in(connection).aggregate(last=Max("pk"))["last"]
    gone = kept = 0
    for found in _pieces(connection, last):
        # 1. we read a row whose write may be under way  2. its stamps are dropped  3. the write commits, is over
        # 4. we delete the row. So whether it is over is asked before 2, and else it stays.
        over = [row.id for row in found if row.is_over]
        writers = {row.writer for row in found}
        unmark_all(target, (mark for row in found for mark in row.marks))
        # By id and writer: rows that another has committed since we read are not among them. Who drains, looks or
        # makes the outbox smaller beside us drops and deletes the same once more, and finds nothing to do.
        if not reason:
            try:
                gone += outbox.rows_in(connection).filter(pk__in=over, writer__in=writers).delete()[0]
                kept += len(found) - len(over)
                continue
            except Error as error:
                # A replica cannot be written to; its rows go when those of its primary have gone.
                failed = primary_of(connection.alias) == connection.alias
                reason = f"its rows could not be deleted: {_line(error)}"
        kept += len(found)
    if not reason and not connection.get_autocommit():
        connection.commit()
    return Drained(connection.alias, gone, kept, reason if kept else "", failed and kept > 0)


def _pieces(connection: BaseDatabaseWrapper, last: int | None) -> Iterator[list[outbox.Row]]:
    rows = outbox.rows_in(connection).order_by("pk").values_list(*outbox.Row._fields)
    at = 0
    while last is not None:
        found = [outbox.Row(*values) for values in rows.filter(pk__gt=at, pk__lte=last)[:PIECE]]
        if found:
            yield found
        if len(found) < PIECE:
            return
        at = found[-1].id


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
