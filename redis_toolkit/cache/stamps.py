"""Stamps and marks in Redis: what cached answers depend on.

A stamp is a small string that names something which may change. Its value is a random token, never a counter, so that
one that was evicted or lost comes back different. A writer replaces the token by a mark (its transaction's id and a
deadline) before it changes the thing, and takes the mark away after the commit. An answer is valid while every stamp
it was built under still stands, unmarked.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from redis_toolkit.cache.absence import drops
from redis_toolkit.cache.freshness import stamp_life
from redis_toolkit.cache.subjects import Subject, is_generation, subject_of
from redis_toolkit.conf import settings
from redis_toolkit.core.connections import Link
from redis_toolkit.core.scripts import Script, run

__all__ = [
    "TOKEN_SIZE", "Subject", "all_tokens", "ensure", "is_generation", "mark", "new_transaction_id", "subject_of",
    "unmark", "unmark_all",
]  # fmt: skip

#: Bytes of a token: the letter "t" and 64 random bits.
TOKEN_SIZE: Final = 9
#: Bytes of a transaction's id.
ID_SIZE: Final = 12
#: Most stamps in one round trip, where there may be any number of them.
_BATCH: Final = 1000

_STAMP: Final = Script("cache_stamp")
_MARK: Final = Script("cache_mark")
_UNMARK: Final = Script("cache_unmark")


def new_transaction_id() -> bytes:
    """A random id for a transaction (``os.urandom``, so that forked workers never share one)."""
    return os.urandom(ID_SIZE)


def all_tokens(values: Sequence[bytes | None]) -> bool:
    """Whether each of the stamps stands and none is marked."""
    return all(value is not None and value[:1] == b"t" for value in values)


def ensure(link: Link, stamps: Sequence[str], ttl: float, further: Sequence[bytes] = ()) -> list[bytes]:
    """The values of ``stamps``, each made if it is missing, in one round trip. ``ttl``: seconds the entry will live.

    The answers to ``further`` calls of scripts, made in the same round trip, follow.
    """
    life = stamp_life(ttl, settings.CACHE_TTL)
    random = os.urandom((TOKEN_SIZE - 1) * len(stamps))
    size = TOKEN_SIZE - 1
    calls = [_STAMP.call(stamp, b"t" + random[at * size : (at + 1) * size], life) for at, stamp in enumerate(stamps)]
    return run(link, [*calls, *further])


def mark(link: Link, stamps: Iterable[str], transaction: bytes, further: Sequence[bytes] = ()) -> None:
    """Mark ``stamps`` for a transaction, in one round trip, with ``further`` calls of scripts."""
    life = round(settings.MARK_TTL * 1000)
    run(link, [*(_MARK.call(stamp, transaction, life) for stamp in stamps), *further])


def unmark(link: Link, stamps: Iterable[str], transaction: bytes, further: Sequence[bytes] = ()) -> None:
    """Take a transaction's marks away, in one round trip; they linger for ``REPLICA_LAG``."""
    linger = round(settings.REPLICA_LAG * 1000)
    # What is further goes first: while a stamp is marked nobody stores that there is no such row.
    run(link, [*further, *(_UNMARK.call(stamp, transaction, linger) for stamp in stamps)])


def unmark_all(link: Link, marks: Iterable[tuple[str, bytes]]) -> None:
    """Drop what Redis was not told of in time: pairs of a stamp and a transaction, a thousand to a round trip.

    The filters of their tables are dropped as well.
    """
    linger = round(settings.REPLICA_LAG * 1000)
    every = iter(marks)
    while batch := list(islice(every, _BATCH)):
        calls = [_UNMARK.call(stamp, transaction, linger) for stamp, transaction in batch]
        run(link, [*drops(stamp for stamp, _ in batch), *calls])
