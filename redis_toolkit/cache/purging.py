"""Deleting cached answers one by one, for their memory. Invalidation needs none of this: it costs a few stamps."""

from __future__ import annotations

from typing import Final

from redis_toolkit.cache import transcripts
from redis_toolkit.core import keys, keyspaces
from redis_toolkit.core.connections import Link

__all__ = ["purge"]

#: The rooms of keys that hold answers (of functions, of queries, rows) and the questions to them.
_ANSWERS: Final = frozenset({"f", "q", "r", transcripts.ROOM})


def purge(target: Link) -> int:
    """Delete every answer below ``PREFIX``, whatever its database or tenant; how many. Raises StoreUnavailable.

    Two round trips for each thousand keys of the server. Other projects' keys are passed over.
    """
    # Stamps stay. 1. a writer marks  2. its mark is deleted  3. a reader makes a new token, and stores the old row
    # 4. the writer commits and dies: the old row is served until its ttl. An answer, on the other hand, is nobody's to
    # rely on: who stores one while we are at work does so under stamps that stand. Stamps run out by themselves.
    found = keyspaces.scan(target, keys.pattern())
    return keyspaces.drop(target, ([key for key in batch if _is_answer(key)] for batch in found))


def _is_answer(key: bytes) -> bool:
    return keys.parts_of(key.decode("utf-8", "replace"))[0] in _ANSWERS
