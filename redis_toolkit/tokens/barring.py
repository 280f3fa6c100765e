"""How tokens are ended in Redis, whichever store they are of.

With ``db+redis`` a row is the truth, and Redis has copies of rows:

1. A asks for a token, Redis does not have it, A leaves an id there and reads the row  2. B deletes the row and commits,
and bars the token: the id is gone  3. A puts the row there under its id, and is refused, however long it was away. Who
asks after 2 reads that there is no row.

B bars before its commit as well: should it die between 2's commit and its bar, no copy is there, nor made for a while.

And who reads in the transaction that changes a row makes no copy of it: it may be rolled back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.tokens.moments import asked

__all__ = ["bar", "drop_copies", "is_uncommitted", "key", "note_new"]

_BAR: Final = Script("token_bar")
#: Milliseconds for which it is known that a token was revoked, and its row is not copied.
_BARRED: Final = 60_000
_log = logging.getLogger("redis_toolkit.tokens")


def key(digest: str) -> str:
    """Where the token of that digest is kept."""
    return keys.make("k", digest)


def bar(digest: str, left: int = 0) -> bytes:
    """The call that ends a token, at once or ``left`` microseconds from now at the latest."""
    return _BAR.call(key(digest), asked(), left, _BARRED)


@dataclass(slots=True)
class _Change:
    """Rows that a transaction changes, or (``drops`` is False) inserts: called when it has committed."""

    digests: tuple[str, ...]
    drops: bool = True
    is_over: bool = False

    def __call__(self) -> None:
        self.is_over = True
        if self.drops:
            _drop(self.digests)


def drop_copies(digests: Iterable[str], using: str) -> None:
    """Drop what Redis has of rows that the transaction on the database ``using`` changes, now and when it commits.

    While Redis is away nothing can be dropped there, and the change is not undone for it: what was copied is good for
    ``REDIS_TOOLKIT_TOKEN_CACHE_TTL`` at most, for who does reach Redis. The log says so.
    """
    from django.db import transaction  # noqa: PLC0415 - needs configured settings

    every = tuple(digests)
    if every:
        _drop(every)
        if transaction.get_connection(using).in_atomic_block:
            transaction.on_commit(_Change(every), using=using)


def note_new(digest: str, using: str) -> None:
    """Have no copies made of a row that the transaction on the database ``using`` inserts, till it has committed."""
    from django.db import transaction  # noqa: PLC0415 - needs configured settings

    if transaction.get_connection(using).in_atomic_block:
        transaction.on_commit(_Change((digest,), drops=False), using=using)


def is_uncommitted(digest: str, using: str) -> bool:
    """Whether a row was changed or inserted in the transaction that we are in."""
    from django.db import transaction  # noqa: PLC0415 - needs configured settings

    # (Django takes away from this list what is rolled back, to a savepoint too.)
    waiting = transaction.get_connection(using).run_on_commit
    return any(isinstance(each[1], _Change) and not each[1].is_over and digest in each[1].digests for each in waiting)


def _drop(digests: tuple[str, ...]) -> None:
    try:
        run(link(settings.DURABLE_ALIAS), [bar(each) for each in digests])
    except StoreUnavailable as error:
        _log.error(
            "Redis could not be told of %s changed or revoked token(s), and may take them for what they were for %s"
            " seconds: %s",
            len(digests),
            settings.TOKEN_CACHE_TTL,
            error,
        )
