"""Single flight: of several readers that find the same answer stale at once, one asks the database.

1. a write kills an answer  2. a reader claims it and loads  3. others find it dead and claimed, and wait
4. the first stores it and says so  5. the others ask the cache again, by the rules of any read.

This is for load alone. A claim promises nothing: whoever waits in vain asks the database himself. How long a load takes
is known from the dead entry, so nobody waits much longer than that, and nobody waits for what is loaded in no time.
"""

from __future__ import annotations

from typing import Final

from redis_toolkit.cache.entries import took_of
from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.connections import Link, pack
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.signals import cache_failed

__all__ = ["Flight"]

_CLAIM: Final = Script("cache_claim")
#: A load that took less, in seconds, is not worth the round trip of a claim.
_WORTH: Final = 0.001
#: A claim stands for so many times what the load took before; others are slower where several load at once.
_TIMES: Final = 4
#: Seconds that nobody waits longer than; nor longer than half a time-out, for to wait is to wait for Redis.
_LONGEST: Final = 0.1


class Flight:
    """The loading of the answer that is to lie under ``key``, where a dead ``entry`` lies now."""

    __slots__ = ("_key", "_link", "_milliseconds")

    def __init__(self, link: Link, key: str, entry: bytes | None) -> None:
        took = 0.0 if entry is None else took_of(entry)
        self._link = link
        # (A damaged entry may say anything, even that it took no number of seconds.)
        self._key = keys.make("w", keys.digest(key.encode())) if took >= _WORTH else ""
        longest = min(_LONGEST, settings.READ_TIMEOUT / 2)
        self._milliseconds = max(1, round(min(_TIMES * took, longest) * 1000)) if self._key else 0

    def awaited(self) -> bool:
        """Claim it; where somebody else has, wait until he is through, and return True."""
        if not self._key:
            return False
        try:
            [began] = run(self._link, [_CLAIM.call(self._key, self._milliseconds)])
            if began is None:
                return False
            self._key, key = "", self._key
            # Once: on a connection that breaks meanwhile the wait is not begun anew.
            command = pack(("XREAD", "BLOCK", self._milliseconds, "STREAMS", key, began))
            self._link.ask_many(command, 1, idempotent=False)
        except StoreUnavailable as error:
            self._key = ""
            cache_failed.send_robust(sender=None, during="read", error=error)
        return True

    def landed(self) -> list[bytes]:
        """The commands, to be sent after the SET of the entry, that let the others go on."""
        return [pack(("XADD", self._key, "NOMKSTREAM", "MAXLEN", 1, "*", "ended", ""))] if self._key else []
