"""Flushing: what is gathered goes into the database, batch by batch, each exactly once.

1. BEGIN, lock the counter's row in the ledger  2. take a batch in Redis  3. change the rows, write the batch's id into
the ledger, COMMIT  4. drop the batch. Killed before the COMMIT: the batch stands, the ledger does not know it, it is
applied by the next. Killed after it: the ledger knows it, the next only drops it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from decimal import InvalidOperation
from typing import Any, Final, NamedTuple

from django.db import DataError, Error, IntegrityError, connections, transaction

from redis_toolkit.cache.behind import ledger
from redis_toolkit.cache.behind.applying import apply, rows_at_once
from redis_toolkit.cache.behind.counters import Counter, declared
from redis_toolkit.cache.behind.gathering import Batch, age_of, settle, take, waiting
from redis_toolkit.cache.databases import each_once
from redis_toolkit.cache.rehearsals import is_bare
from redis_toolkit.cache.status import is_over
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable

__all__ = ["Flushed", "flush", "flush_all"]

#: What a database, or the way to it, says of a value that cannot be. Anything else is no fault of the batch.
_REFUSED: Final = (DataError, IntegrityError, OverflowError, ValueError, InvalidOperation)

_log = logging.getLogger("redis_toolkit.cache")


class Flushed(NamedTuple):
    """What became of what was gathered for ``counter`` (``app.Model.field``) of database ``alias``.

    ``rows`` were changed. ``absent`` are no more there, and ``refused`` were not taken by the database; both are
    dropped, the second with a line each in the log. ``kept``: whether something still waits that was there at the
    beginning, for the ``reason``. ``failed``: somebody has to do something about the reason.
    """

    counter: str
    alias: str
    rows: int = 0
    absent: int = 0
    refused: int = 0
    reason: str = ""
    kept: bool = False
    failed: bool = False


class _Applied(NamedTuple):
    rows: int = 0
    absent: int = 0
    refused: int = 0


def flush_all(aliases: Iterable[str] | None = None) -> Iterator[Flushed]:
    """Flush every counter that is declared, or those of these databases. One that cannot be hinders no other."""
    chosen = None if aliases is None else set(each_once(aliases))
    for counter in declared():
        if chosen is not None and not chosen & set(each_once([counter.database])):
            continue
        try:
            yield flush(counter)
        except (StoreUnavailable, Misconfigured) as error:
            yield Flushed(counter.label, counter.database, reason=_line(error), kept=True, failed=True)


def flush(counter: Counter) -> Flushed:
    """Apply what is gathered now. Raises StoreUnavailable, Misconfigured; nothing is lost then, nor applied twice."""
    counter.ensure()
    alias, done = counter.database, Flushed(counter.label, counter.database)
    gathered, is_left = waiting(counter)
    if not gathered and not is_left:
        return done
    connection = connections[alias]
    try:
        connection.ensure_connection()
        if not (is_bare(connection) or (is_over(connection) and connection.get_autocommit())):
            # What we apply would be committed, or not, by somebody else, and after we have dropped the batch.
            return done._replace(reason="a transaction is open", kept=True, failed=True)
    except Error as error:
        return done._replace(reason=f"the database did not answer: {_line(error)}", kept=True, failed=True)
    size = rows_at_once(counter)
    # What comes while we are at work is for the next flush, or this one might never end.
    for _ in range(-(-gathered // size) + is_left):
        try:
            applied = _flush_batch(counter, size)
        except ledger.BusyError:
            return done._replace(reason="another flusher is at work", kept=True)
        except Error as error:
            return done._replace(reason=_reason(alias, error), kept=True, failed=True)
        if applied is None:
            break
        done = done._replace(
            rows=done.rows + applied.rows, absent=done.absent + applied.absent, refused=done.refused + applied.refused
        )
    return done


def _reason(alias: str, error: Error) -> str:
    try:
        if not ledger.is_there(alias):
            return f"the database has no ledger (manage.py migrate redis_toolkit --database={alias})"
    except Error:
        pass
    return f"a batch could not be applied, and waits: {_line(error)}"


def _flush_batch(counter: Counter, size: int) -> _Applied | None:
    """Apply and drop one batch; None if there is none."""
    try:
        return _flush_once(counter, size, is_careful=False)
    except _REFUSED:
        # One value that cannot be would hold up all the others, for ever.
        return _flush_once(counter, size, is_careful=True)


def _flush_once(counter: Counter, size: int, *, is_careful: bool) -> _Applied | None:
    alias, name = counter.database, counter.keys().ledger
    with transaction.atomic(using=alias, durable=True):
        last = ledger.lock(alias, name, wait=False)
        batch = take(counter, size)
        if batch is None:
            return None
        applied = _Applied()
        if batch.id != last:
            _warn_of_an_old_one(counter, batch)
            applied = _apply(counter, batch, is_careful=is_careful)
            ledger.write(alias, name, batch.id)
    settle(counter, batch.id)
    return applied


def _apply(counter: Counter, batch: Batch, *, is_careful: bool) -> _Applied:
    numbers, unread = _read(counter, batch)
    if not is_careful:
        found = apply(counter, numbers)
        return _Applied(found, len(numbers) - found, unread)
    rows = refused = 0
    for key in sorted(numbers):
        try:
            with transaction.atomic(using=counter.database):
                rows += apply(counter, {key: numbers[key]})
        except _REFUSED as error:
            refused += 1
            _log.error("%s of row %s was not changed by %s: %s", counter.label, key, numbers[key], _line(error))
    return _Applied(rows, len(numbers) - rows - refused, refused + unread)


def _read(counter: Counter, batch: Batch) -> tuple[dict[Any, int], int]:
    """The numbers by primary key, and how many of them cannot be read."""
    found: dict[Any, int] = {}
    unread = 0
    for name, number in batch.numbers.items():
        try:
            key, given = counter.key_named(name.decode()), int(number)
        except ValueError:
            unread += 1
            _log.error("%s: what is gathered for the row %r cannot be read: %r.", counter.label, name, number)
            continue
        found[key] = counter.kind.joined([found[key], given]) if key in found else given
    return found, unread


#: Seconds after which somebody should hear of a batch that was not applied at once.
_OLD: Final = 60.0


def _warn_of_an_old_one(counter: Counter, batch: Batch) -> None:
    age = age_of(batch.id)
    if age is not None and age > _OLD:
        _log.warning(
            "%s: a batch of %d rows was left %.0f seconds ago, and is applied now.",
            counter.label, len(batch.numbers), age,
        )  # fmt: skip


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
