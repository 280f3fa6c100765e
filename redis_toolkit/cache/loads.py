"""Single flight within a process: of its threads that miss the same answer at once, one loads it, the others wait.

A thread takes another's answer only if it is as good as its own would be, in one of two ways:

- The answer was stored, and its stamps were found standing, after the thread had come. So no write has ended it.
- The database was read after the thread had come. So whatever was committed when it came is in the answer, even where
  there are no stamps: a writer is at work, or Redis is away. Of those who come while a load is under way the next one
  loads for all.

1. a thread loads the old row  2. a writer commits and returns  3. another thread comes: by neither way may it be given
that row. It waits for the load to end all the same, so that one load of an answer is under way at a time, or two where
the stamps that the second has seen say that the first is of no use to it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from redis_toolkit.core.clock import monotonic

__all__ = ["Load", "Place", "join_or_begin", "within"]

#: The key of an answer, and the database that is read for it: a replica's answer is not the primary's.
Place = tuple[str, str]

_under_way: dict[Place, Load] = {}
_lock = threading.Lock()
_nesting = threading.local()


class Load:
    """One load of one answer, which other threads of this process may wait for.

    ``payload`` holds what was loaded once it ``has_payload``; ``tokens`` are the stamps it is loaded under, if it is to
    be stored. ``is_running``: the database is being asked.
    """

    __slots__ = (
        "_ended",
        "_is_verified",
        "_place",
        "_read_at",
        "failed",
        "followers",
        "has_payload",
        "is_running",
        "payload",
        "tokens",
        "took",
    )

    def __init__(self, place: Place) -> None:
        self._place = place
        self._ended = threading.Event()
        self._is_verified = False
        self._read_at = 0.0
        #: The load raised something, or what it gave cannot be handed on.
        self.failed = False
        self.followers = 0
        self.has_payload = False
        self.is_running = False
        self.payload: bytes | None = None
        self.tokens: list[bytes] | None = None
        #: Seconds that it took, once that is known.
        self.took: float | None = None

    def is_useless(self, seen: Sequence[bytes | None] | None) -> bool:
        """Whether who has ``seen`` these stamps cannot be given this answer: one has changed since it was begun."""
        if self.tokens is None or seen is None:
            return False
        if len(seen) != len(self.tokens):
            # The same name was given to two things that depend on different models.
            return True
        return any(one is not None and one != token for one, token in zip(seen, self.tokens, strict=True))

    def run(self) -> None:
        """The database is asked from now on."""
        self._read_at = monotonic()
        self.is_running = True

    def land(self, payload: bytes | None, *, verified: bool) -> None:
        """This is the answer. ``verified``: it was found valid after :meth:`seal`."""
        self.payload, self._is_verified, self.has_payload = payload, verified, True

    def seal(self) -> int:
        """Let nobody join any more. The number of those who have."""
        with _lock:
            if _under_way.get(self._place) is self:
                del _under_way[self._place]
            return self.followers

    def end(self) -> None:
        """Let those who wait go on."""
        self.seal()
        self._ended.set()

    def wait(self, until: float) -> None:
        """Wait for the end, or ``until`` that moment of the monotonic clock."""
        self._ended.wait(max(0.0, until - monotonic()))

    def serves(self, began: float, *, trusts: bool) -> bool:
        """Whether a thread that joined, and whose read began then, may take the answer.

        ``trusts``: whether it might ask the cache. 1. Redis is away, a writer commits and returns  2. the thread comes
        3. Redis is back, and the stamps stand, for nobody has looked at the outbox yet.
        """
        return self.has_payload and ((self._is_verified and trusts) or self._read_at >= began)


def join_or_begin(place: Place, seen: Sequence[bytes | None] | None) -> tuple[Load, bool]:
    """The load of what lies at ``place``, and whether it is the caller's to do, and to ``end``.

    ``seen``: the stamps as the caller read them, None if it could not.
    """
    with _lock:
        load = _under_way.get(place)
        if load is None or load.is_useless(seen):
            load = _under_way[place] = Load(place)
            return load, True
        if is_nested() and not load.is_running:
            # It may wait for a place that the load around this one holds.
            return Load(place), True
        load.followers += 1
        return load, False


@contextmanager
def within() -> Iterator[None]:
    """Around a load: what it reads from the cache in its turn is nested in it."""
    _nesting.depth = getattr(_nesting, "depth", 0) + 1
    try:
        yield
    finally:
        _nesting.depth -= 1


def is_nested() -> bool:
    """Whether this thread is inside a load."""
    return getattr(_nesting, "depth", 0) > 0


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    # (Not `_nesting`: the one thread there is may have been forked within a load, and comes out of it.)
    _lock = threading.Lock()
    _under_way.clear()


os.register_at_fork(after_in_child=_after_fork)
