"""Single flight between processes: of several that find the same answer missing at once, one asks the database.

1. an answer expires, or a write kills it  2. a reader claims it and loads  3. others find it claimed, and wait
4. the first stores it and says so  5. the others ask the cache again, by the rules of any read.

This is for load alone. A claim promises nothing: one that is lost or runs out costs a load more. A claim stands for a
few times what the load took when it was last made; while that is not known, for a second, and then for twice as long
each time it runs out before its load has ended. So a loader that was killed holds nobody for long, and a slow one is
joined by few. Only who claimed may say that it ended: another, too late, would let everybody in beside the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redis_toolkit.cache.entries import head_size, is_under, took_of
from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.connections import Link, pack
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.signals import cache_failed

__all__ = ["Flight", "forget", "learn"]

_CLAIM: Final = Script("cache_claim")
_LAND: Final = Script("cache_land")
_HEAD: Final = Script("cache_head")
#: A load that takes less, in seconds, is not worth the round trip of a claim.
_WORTH: Final = 0.001
#: A claim stands for so many times what the load took before; others are slower where several load at once.
_TIMES: Final = 4
#: Seconds that a claim stands at least, and where nobody knows how long the load takes.
_SHORTEST: Final = 0.1
_UNKNOWN: Final = 1.0

Family = tuple[str, bytes, tuple[str, ...]]

#: How many seconds loads of a kind took lately in this process, the slower counting for more.
_took: dict[Family, float] = {}
_MOST: Final = 4096


def learn(family: Family, took: float) -> None:
    """Remember that a load of ``family`` took so many seconds."""
    before = _took.get(family, 0.0)
    if len(_took) >= _MOST:
        _took.clear()
    _took[family] = max(took, 0.8 * before + 0.2 * took)


def forget() -> None:
    """Know nothing of how long loads take, as a new process does."""
    _took.clear()


class Flight:
    """The loading of the answer that is to lie under ``key``, where this ``entry`` lay, dead or due, or none.

    ``family``: the kind of load, of which it may be known how long it takes. ``stamps``: how many it depends on.
    """

    __slots__ = ("_before", "_claimed", "_ends", "_head", "_id", "_key", "_life", "_size", "_where", "is_anothers")

    def __init__(self, key: str, entry: bytes | None, family: Family, stamps: int) -> None:
        took = _took.get(family) if entry is None else took_of(entry)
        self._where = key
        self._before = entry
        self._size = head_size(stamps)
        self._key = keys.make("w", keys.digest(key.encode())) if took is None or took >= _WORTH else ""
        self._life = max(1, round((_UNKNOWN if took is None else max(_SHORTEST, _TIMES * took)) * 1000))
        self._id = b""
        self._ends = 0.0
        self._claimed = False
        self._head = b""
        #: Whether somebody else has claimed it.
        self.is_anothers = False

    def claim(self) -> list[bytes]:
        """The calls that claim it and look whether it has landed meanwhile; none for what is loaded in no time.

        1. A and B find nothing  2. A claims, loads, stores and ends  3. B claims: it must not load again.
        """
        if not self._key:
            return []
        return [_CLAIM.call(self._key, self._life), _HEAD.call(self._where, self._size - 1)]

    def hear(self, claimed: list[Any] | None, head: bytes) -> None:
        """Take the answers to the claim."""
        self._head = head
        if claimed is None:
            self._key = ""
            return
        self._id, left = claimed
        self.is_anothers = left > 0
        self._claimed = not self.is_anothers
        self._ends = monotonic() + left / 1000

    def has_landed(self, fingerprint: bytes, server_run: bytes, tokens: Sequence[bytes]) -> bool:
        """Whether, when it was claimed, another answer lay there than before, and a valid one."""
        is_another = self._before is None or self._before[: self._size] != self._head
        return self._claimed and is_another and is_under(self._head, fingerprint, server_run, tokens)

    def wait(self, link: Link, until: float) -> None:
        """Wait until somebody else has loaded it or the claim has run out, and not beyond ``until`` (monotonic)."""
        # In slices: a wait is an exchange like any other, whose answer is to come before the connection's time is out.
        slice_ms = settings.READ_TIMEOUT * 500
        while (left := (min(self._ends, until) - monotonic()) * 1000) > 0:
            block = max(1, round(min(left, slice_ms)))
            command = pack(("XREAD", "BLOCK", block, "STREAMS", self._key, self._id))
            try:
                # Once: on a connection that breaks meanwhile the wait is not begun anew.
                if link.ask_many(command, 1, idempotent=False)[0]:
                    return
            except StoreUnavailable as error:
                cache_failed.send_robust(sender=None, during="read", error=error)
                return

    def landed(self) -> list[bytes]:
        """The calls, to be sent after the SET of the entry, that let the others go on."""
        if not self._claimed:
            return []
        self._claimed = False
        return [_LAND.call(self._key, self._id)]

    def give_up(self, link: Link) -> None:
        """Let the others go on: nothing will be stored."""
        calls = self.landed()
        if calls:
            try:
                run(link, calls)
            except StoreUnavailable as error:
                cache_failed.send_robust(sender=None, during="store", error=error)
