"""Reading what a field will hold: what the database has, and what waits in Redis, each once.

1. a reader sees 5 in the database  2. a flusher applies a batch of 3, COMMIT, and drops it  3. the reader sees nothing
in Redis, and says 5. (The other way round it says 11.) So the value and the ledger's id are read by one statement, then
Redis in one look, and the ids tell: the ledger's is the batch's (applied: do not count it), or that of the batch that
was dropped last (what stands there is not applied: count it), or neither: look again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import Error, transaction
from django.db.models import Subquery

from redis_toolkit.cache.behind import ledger
from redis_toolkit.cache.behind.counters import Counter
from redis_toolkit.cache.behind.gathering import Waiting, peek

__all__ = ["merged", "stored"]

#: Rows read at a time.
_AT_ONCE: Final = 500
#: Looks before the flushers are made to wait.
_LOOKS: Final = 5

#: The value of each row and the ledger's id, by the name of the row.
_Held = dict[str, tuple[Any, str]]


def stored(counter: Counter, names: Sequence[str]) -> dict[str, Any]:
    """What the database holds, by the names of rows; no more of those that are not there."""
    return {name: value for at in _chunks(names) for name, (value, _) in _held(counter, at).items()}


def merged(counter: Counter, names: Sequence[str]) -> dict[str, Any]:
    """What the rows will hold when all that waits is applied. Raises StoreUnavailable."""
    return {name: value for at in _chunks(names) for name, value in _merged(counter, at).items()}


def _merged(counter: Counter, names: Sequence[str]) -> dict[str, Any]:
    for _ in range(_LOOKS):
        held = _held(counter, names)
        seen = peek(counter, names)
        if _agree(held, seen):
            return _joined(counter, names, held, seen)
    try:
        with transaction.atomic(using=counter.database):
            # No batch is taken or applied meanwhile, so what stands in Redis is told by the ledger alone.
            ledger.lock(counter.database, counter.keys().ledger, wait=True)
            held = _held(counter, names)
            seen = peek(counter, names)
    except Error:
        # In a transaction of the caller's that sees the past there is no better answer than the last one.
        held = _held(counter, names)
        seen = peek(counter, names)
    return _joined(counter, names, held, seen)


def _held(counter: Counter, names: Sequence[str]) -> _Held:
    last = ledger.rows_in(counter.database).filter(pk=counter.keys().ledger).values("batch")
    rows = counter.rows.filter(pk__in=[counter.key_named(name) for name in names]).order_by()
    found = rows.values_list("pk", counter.field.attname, Subquery(last))
    return {counter.named(key): (value, batch or "") for key, value, batch in found}


def _agree(held: _Held, seen: Waiting) -> bool:
    """Whether no batch was applied and dropped between the two looks."""
    if not held or not seen.settled:
        # No row is there. Or a server that was emptied, or is new, knows of no batch that was dropped: none was, since.
        return True
    last = next(batch for _, batch in held.values())
    return last == seen.settled or (last == seen.batch and bool(seen.batch))


def _joined(counter: Counter, names: Sequence[str], held: _Held, seen: Waiting) -> dict[str, Any]:
    found = {}
    for name, gathered, taken in zip(names, seen.gathered, seen.taken, strict=True):
        if name not in held:
            continue
        value, last = held[name]
        numbers = [int(gathered)] if gathered is not None else []
        if taken is not None and last != seen.batch:
            numbers.append(int(taken))
        found[name] = counter.kind.merged(value, counter.kind.joined(numbers)) if numbers else value
    return found


def _chunks(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE)]
