"""All keys of a keyspace: found by SCAN, dropped by UNLINK. For commands and tests; for requests only some of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from redis_toolkit.core.connections import Link, pack

__all__ = ["drop", "scan"]

#: Keys the server looks at for one answer: a fraction of a millisecond of its time.
_AT_ONCE = 1000


def scan(link: Link, pattern: str, most: int | None = None) -> Iterator[list[bytes]]:
    """The keys that match a pattern of :func:`redis_toolkit.core.keys.pattern`, a batch for each round trip.

    A key that is there from beginning to end is found, perhaps twice; with ``most``, the number of round trips after
    which nobody looks any further, some are. Raises StoreUnavailable.
    """
    cursor = b"0"
    for _ in count() if most is None else range(most):
        cursor, found = link.ask(pack(("SCAN", cursor, "MATCH", pattern, "COUNT", _AT_ONCE)))
        if found:
            yield found
        if cursor == b"0":
            return


def drop(link: Link, keys: Iterable[list[bytes]]) -> int:
    """Delete batches of keys; the number of those that were there. Raises StoreUnavailable."""
    gone = 0
    for batch in filter(None, keys):
        # One command for each, which on a Cluster may lie in different slots.
        commands = [pack(("UNLINK", key)) for key in batch]
        gone += sum(link.ask_many(b"".join(commands), len(commands)))
    return gone
