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
from redis_toolkit.core.scripts import Script
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
    """The loading of the answer that is to lie under ``key``, where a dead ``entry`` lies now.

    ``is_anothers`` tells, once the claim was heard, whether somebody else is loading it.
    """

    __slots__ = ("_began", "_key", "_milliseconds")

    def __init__(self, key: str, entry: bytes | None) -> None:
        took = 0.0 if entry is None else took_of(entry)
        # (A damaged entry may say anything, even that it took no number of seconds.)
        self._key = keys.make("w", keys.digest(key.encode())) if took >= _WORTH else ""
        longest = min(_LONGEST, settings.READ_TIMEOUT / 2)
        self._milliseconds = max(1, round(min(_TIMES * took, longest) * 1000)) if self._key else 0
        self._began: bytes | None = None

    @property
    def is_anothers(self) -> bool:
        """Whether somebody else has claimed it."""
        return self._began is not None

    def claim(self) -> list[bytes]:
        """The call that claims it; none for what is loaded in no time."""
        return [_CLAIM.call(self._key, self._milliseconds)] if self._key else []

    def hear(self, answer: bytes | None) -> None:
        """Take the answer to the claim: None, or when somebody else began."""
        self._began = answer

    def wait(self, link: Link) -> None:
        """Wait until somebody else has loaded it, or for as long as that may take."""
        command = pack(("XREAD", "BLOCK", self._milliseconds, "STREAMS", self._key, self._began or b"$"))
        self._key = ""
        try:
            # Once: on a connection that breaks meanwhile the wait is not begun anew.
            link.ask_many(command, 1, idempotent=False)
        except StoreUnavailable as error:
            cache_failed.send_robust(sender=None, during="read", error=error)

    def landed(self) -> list[bytes]:
        """The commands, to be sent after the SET of the entry, that let the others go on."""
        return [pack(("XADD", self._key, "NOMKSTREAM", "MAXLEN", 1, "*", "ended", ""))] if self._key else []
