"""What waits in Redis: numbers by row, and one batch of them that a flusher has taken.

Three keys of one slot: a hash in which is gathered, the batch (such a hash, its id in it), and the id of the last batch
that was dropped. None of them ever expires.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from redis_toolkit.cache.behind.counters import Counter
from redis_toolkit.cache.behind.kinds import Latest
from redis_toolkit.core.clock import now
from redis_toolkit.core.connections import pack
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import StoreUnavailable

__all__ = ["MOST_AT_ONCE", "Batch", "Waiting", "age_of", "gather", "peek", "settle", "take", "waiting"]

#: Most rows in one call: the server does nothing else meanwhile.
MOST_AT_ONCE: Final = 10_000

_GATHER: Final = Script("cache_gather")
_TAKE: Final = Script("cache_take")
_SETTLE: Final = Script("cache_settle")
_PEEK: Final = Script("cache_peek")


class Batch(NamedTuple):
    """A batch as it lies in Redis: numbers by the names of rows, neither of them looked at yet."""

    id: str
    numbers: dict[bytes, bytes]


class Waiting(NamedTuple):
    """What waits for some rows, as of one moment: numbers in their order, and the ids of batches ("" for none)."""

    settled: str
    batch: str
    gathered: list[bytes | None]
    taken: list[bytes | None]


def gather(counter: Counter, gathered: str, numbers: Mapping[str, int]) -> None:
    """Add ``numbers``, by the names of rows: all of them or, with any error but OutcomeUnknown, none; one round trip.

    ``gathered``: the key, as it was when the change was made.

    Raises StoreUnavailable, also where too many rows wait.
    """
    # 1. we add 3  2. the server does, and dies before it answers  3. on a new connection we add 3 again: 6.
    # So a sum is sent once, and never again where its answer is lost. The latest of two times may be.
    once = counter.kind_name != Latest.name
    words = [word for name, number in numbers.items() for word in (name, str(number))]
    call = _GATHER.call(gathered, counter.most, counter.kind_name, *words)
    if not run(counter.link, [call], idempotent=not once)[0]:
        raise StoreUnavailable(
            f"{counter.label} has {counter.most} rows that wait to be flushed, and takes no more (most={counter.most})."
            " Run manage.py redis_drain, or let Celery beat send redis_toolkit.flush_write_behind."
        )


def take(counter: Counter, rows: int) -> Batch | None:
    """The batch to apply: one left behind, or at most ``rows`` rows of what is gathered. Raises StoreUnavailable."""
    keys = counter.keys()
    found = run(counter.link, [_TAKE.call_on((keys.gathered, keys.batch), _new_id(), rows)])[0]
    numbers = dict(zip(found[::2], found[1::2], strict=True))
    return Batch(_text(numbers.pop(b"")), numbers) if numbers else None


def settle(counter: Counter, batch: str) -> None:
    """Drop the batch of this id, which the database has. Raises StoreUnavailable."""
    keys = counter.keys()
    run(counter.link, [_SETTLE.call_on((keys.batch, keys.settled), batch)])


def peek(counter: Counter, names: Sequence[str]) -> Waiting:
    """What waits for these rows, in one round trip. Raises StoreUnavailable."""
    keys = counter.keys()
    settled, batch, *numbers = run(
        counter.link, [_PEEK.call_on((keys.gathered, keys.batch, keys.settled), *names)]
    )[0]  # fmt: skip
    return Waiting(_text(settled), _text(batch), *numbers)


def waiting(counter: Counter) -> tuple[int, bool]:
    """How many rows wait to be taken, and whether a batch has been. Raises StoreUnavailable."""
    keys = counter.keys()
    gathered, taken = counter.link.ask_many(pack(("HLEN", keys.gathered)) + pack(("EXISTS", keys.batch)), 2)
    return gathered, bool(taken)


def _text(identity: bytes | None) -> str:
    return "" if identity is None else identity.decode("ascii", "replace")


def _new_id() -> str:
    # The time is for people, who want to know how old a batch is; what makes it the only one is random.
    return f"{round(now() * 1000):013d}-{os.urandom(12).hex()}"


def age_of(batch: str) -> float | None:
    """Seconds since the batch of this id was taken, by the clocks of two hosts; None for an id that is not ours."""
    taken = batch.partition("-")[0]
    return max(0.0, now() - int(taken) / 1000) if taken.isdecimal() else None
